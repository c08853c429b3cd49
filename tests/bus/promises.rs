//! Every promise as two tests: over a file of its own, and over the broker that all tests share.

macro_rules! promises {
    (@over $transport:ident: $($room:ident: $($promise:ident),+ $(,)?;)+) => {
        mod $transport {
            $($(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                let bus = crate::fixture::Bus::$transport();
                crate::$room::$promise(&bus).await;
            })+)+
        }
    };
    ($($promises:tt)+) => {
        promises!(@over on_sqlite: $($promises)+);
        promises!(@over on_rabbitmq: $($promises)+);
    };
}
