//! Consuming is quick: acknowledgements are sent in batches, and what has come is handed out at once. Nobody is to notice.

use crate::support::{rabbitmq_url, rabbitmqctl, wait_until};
use crate::{number, numbered, open, plain, soon, unique};

/// What the broker counts in a queue: `messages`, delivered or not, or those that are ready.
fn count(queue: &str, what: &str) -> String {
    let listed = rabbitmqctl(&["list_queues", "--quiet", "--no-table-headers", "name", what]);
    let found = listed.lines().find_map(|line| line.strip_prefix(queue)).map(str::trim);
    found.unwrap_or_default().to_owned()
}

fn messages(queue: &str) -> String {
    count(queue, "messages")
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

#[tokio::test]
async fn whoever_consumes_without_a_pause_lets_others_run() {
    let (name, most) = (unique("turns"), 300);
    let bus = open(rabbitmq_url(), plain(&name)).await;
    for number in 0..most {
        bus.publisher().publish(&name, &name, numbered(number)).await.unwrap();
    }
    wait_until("all are ready", || count(&name, "messages_ready") == most.to_string());
    let mut consumer = bus.consume(&name, 1000).await.unwrap();
    wait_until("all are here", || count(&name, "messages_ready") == "0");
    let other = tokio::spawn(async {});
    for _ in 0..most {
        soon("the next", consumer.next()).await.unwrap().ack().await.unwrap();
    }
    assert!(other.is_finished(), "one thread, and nobody else had a turn");
    bus.close().await;
}
