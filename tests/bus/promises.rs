//! Every promise as two tests: over a file of its own, and over the broker that all tests share.

macro_rules! promises {
    ($($room:ident: $($promise:ident),+ $(,)?;)+) => {
        mod on_sqlite {
            $($(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                let bus = crate::fixture::Bus::on_sqlite();
                crate::$room::$promise(&bus).await;
            })+)+
        }

        mod on_rabbitmq {
            $($(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                let bus = crate::fixture::Bus::on_rabbitmq();
                crate::$room::$promise(&bus).await;
            })+)+
        }
    };
}
