//! Acknowledgements are sent in batches, which nobody is to notice.

use crate::support::{rabbitmq_url, rabbitmqctl, wait_until};
use crate::{number, numbered, open, plain, soon, unique};

/// What the broker knows of, delivered or not.
fn messages(queue: &str) -> String {
    let listed = rabbitmqctl(&["list_queues", "--quiet", "--no-table-headers", "name", "messages"]);
    let found = listed.lines().find_map(|line| line.strip_prefix(queue)).map(str::trim);
    found.unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_waits_for_no_other() {
    let name = unique("ack");
    let bus = open(rabbitmq_url(), plain(&name)).await;
    for number in 0..3 {
        bus.publisher().publish(&name, &name, numbered(number)).await.unwrap();
    }
    let mut consumer = bus.consume(&name, 100).await.unwrap();
    let first = soon("the first", consumer.next()).await.unwrap();
    let second = soon("the second", consumer.next()).await.unwrap();
    first.ack().await.unwrap();
    // Nobody waits for the third, and a quarter of the prefetch is far away.
    wait_until("the broker knows of the first", || messages(&name) == "2");
    let third = soon("the third", consumer.next()).await.unwrap();
    third.ack().await.unwrap();
    wait_until("the broker knows of the third, though the second is out", || messages(&name) == "1");
    assert_eq!(number(&second), 1);
    drop(second);
    let second = soon("the second again", consumer.next()).await.unwrap();
    assert_eq!((number(&second), second.attempt), (1, 2));
    second.ack().await.unwrap();
    wait_until("nothing is left", || messages(&name) == "0");
    bus.close().await;
}
