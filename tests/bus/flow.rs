//! Many messages, many consumers: who gets what, how much, and in which order.

use crate::fixture::{Bus, next, note, send, several, soon, take, text};
use crate::support::{wait_until_async, wait_until_equal};
use futures_util::FutureExt;
use oat::bus::{Connection, Consumer};
use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

pub async fn prefetch_is_never_exceeded(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    send(&connection.publisher(), &queue.name, 0..10).await;
    let mut narrow = connection.consume(&queue.name, 3).await.unwrap();
    let mut held = several(&mut narrow, 3).await;
    // Whoever gets all the others proves that these three were the limit.
    let other = bus.open(&[], &[]).await;
    let mut wide = other.consume(&queue.name, 10).await.unwrap();
    held.extend(several(&mut wide, 7).await);
    let all: BTreeSet<String> = held.iter().map(text).collect();
    assert_eq!(all, (0..10).map(|n: u32| n.to_string()).collect());

    wide.cancel().await;
    send(&connection.publisher(), &queue.name, ["when there is room"]).await;
    held.swap_remove(0).ack().await.unwrap();
    assert_eq!(take(&mut narrow).await, "when there is room");
}

pub async fn competing_consumers_share_every_message_exactly_once(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    let consumers: Vec<_> = futures_util::future::join_all((0..3).map(|_| eater(bus, &queue.name))).await;
    send(&connection.publisher(), &queue.name, 0..300).await;
    wait_until_async("everything is eaten", async || {
        consumers.iter().map(|(eaten, _)| eaten.lock().unwrap().len()).sum::<usize>() >= 300
    })
    .await;
    let mut all = Vec::new();
    for (eaten, _) in &consumers {
        let eaten = eaten.lock().unwrap();
        assert!(!eaten.is_empty(), "one of them got nothing");
        all.extend(eaten.iter().cloned());
    }
    all.sort_by_key(|text| text.parse::<u32>().unwrap());
    assert_eq!(all, (0..300).map(|n: u32| n.to_string()).collect::<Vec<_>>());
}

type Eaten = std::sync::Arc<std::sync::Mutex<Vec<String>>>;

/// A consumer with a connection of its own that takes whatever comes.
async fn eater(bus: &Bus, queue: &str) -> (Eaten, tokio_util::task::AbortOnDropHandle<()>) {
    let connection = bus.open(&[], &[]).await;
    let mut consumer = connection.consume(queue, 4).await.unwrap();
    let eaten = Eaten::default();
    let plate = eaten.clone();
    let eating = tokio::spawn(async move {
        while let Some(delivery) = consumer.next().await {
            let text = text(&delivery);
            delivery.ack().await.unwrap();
            plate.lock().unwrap().push(text);
        }
        drop(connection);
    });
    (eaten, tokio_util::task::AbortOnDropHandle::new(eating))
}

pub async fn consumers_of_one_connection_take_turns(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    let mut one = connection.consume(&queue.name, 2).await.unwrap();
    let mut two = connection.consume(&queue.name, 2).await.unwrap();
    send(&connection.publisher(), &queue.name, 0..4).await;
    let all = [next(&mut one).await, next(&mut two).await, next(&mut one).await, next(&mut two).await];
    assert_eq!(all.iter().map(text).collect::<BTreeSet<_>>().len(), 4);
}

pub async fn messages_come_in_the_order_in_which_a_publisher_was_answered(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    let mut consumer = connection.consume(&queue.name, 10).await.unwrap();
    let publisher = connection.publisher();
    let sending = send(&publisher, &queue.name, 0..200);
    let taking = async {
        for n in 0..200 {
            assert_eq!(take(&mut consumer).await, n.to_string());
        }
    };
    tokio::join!(sending, taking);
}

pub async fn a_publish_that_is_begun_and_left_alone_holds_up_no_other(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    let publisher = connection.publisher();
    let mut idle = pin!(publisher.publish("", &queue.name, note("idle")));
    assert!(idle.as_mut().now_or_never().is_none());
    send(&connection.publisher(), &queue.name, ["busy"]).await;
    send(&publisher, &queue.name, ["busy too"]).await;
    idle.await.unwrap();
    assert_eq!(connection.depth(&queue.name).await.unwrap().ready, 3);
}

pub async fn many_publishes_at_once_all_arrive(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    let publisher = connection.publisher();
    let all = (0..1000).map(|n| publisher.publish("", &queue.name, note(n)));
    let sent = soon("every confirmation", futures_util::future::join_all(all)).await;
    sent.into_iter().for_each(|outcome| outcome.unwrap());
    let mut consumer = connection.consume(&queue.name, 100).await.unwrap();
    let mut left: BTreeSet<String> = (0..1000).map(|n: u32| n.to_string()).collect();
    while !left.is_empty() {
        let text = take(&mut consumer).await;
        assert!(left.remove(&text), "{text} came twice");
    }
}

pub async fn a_cancelled_consumer_gives_back_what_it_has_not_handed_out(bus: &Bus) {
    let (connection, mut consumer, queue) = holder_of_five(bus).await;
    let mine = next(&mut consumer).await;
    consumer.cancel().await;
    assert!(soon("the end", consumer.next()).await.is_none());
    drained_by_another(bus, &queue, 4, &text(&mine)).await;
    mine.ack().await.expect("what was handed out can still be settled");
    connection.close().await;
}

pub async fn a_dropped_consumer_gives_back_what_it_has_not_handed_out(bus: &Bus) {
    let (connection, mut consumer, queue) = holder_of_five(bus).await;
    let mine = next(&mut consumer).await;
    drop(consumer);
    drained_by_another(bus, &queue, 4, &text(&mine)).await;
    mine.ack().await.expect("what was handed out can still be settled");
    connection.close().await;
}

/// A consumer that has fetched all five messages of its queue.
async fn holder_of_five(bus: &Bus) -> (Connection, Consumer, String) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    send(&connection.publisher(), &queue.name, 0..5).await;
    let consumer = connection.consume(&queue.name, 5).await.unwrap();
    wait_until_equal("all are fetched", 0, async || connection.depth(&queue.name).await.unwrap().ready).await;
    (connection, consumer, queue.name)
}

/// Another connection gets exactly `count` messages, and not the one that is held.
async fn drained_by_another(bus: &Bus, queue: &str, count: usize, held: &str) {
    let other = bus.open(&[], &[]).await;
    let mut consumer = other.consume(queue, 10).await.unwrap();
    let mut got = BTreeSet::new();
    while got.len() < count {
        assert!(got.insert(take(&mut consumer).await));
    }
    assert!(!got.contains(held));
    other.close().await;
}

pub async fn cancelling_in_the_middle_of_the_stream_loses_and_doubles_nothing(bus: &Bus) {
    // More than RabbitMQ takes for granted since 4.0: what is not handed out comes back again and again here.
    let queue = bus.queue("work").delivery_limit(1000);
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    let publisher = connection.publisher();
    let sending = send(&publisher, &queue.name, 0..100);
    let taking = async {
        let mut got = Vec::new();
        // Consumers come and go while messages are on their way to them.
        while got.len() < 100 {
            let mut consumer = connection.consume(&queue.name, 8).await.unwrap();
            got.push(take(&mut consumer).await);
            match got.len() % 3 {
                0 => drop(consumer),
                _ => consumer.cancel().await,
            }
        }
        got
    };
    let ((), mut got) = tokio::join!(sending, taking);
    got.sort_by_key(|text| text.parse::<u32>().unwrap());
    assert_eq!(got, (0..100).map(|n: u32| n.to_string()).collect::<Vec<_>>());
}

pub async fn giving_up_on_the_next_message_loses_nothing(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    let mut consumer = connection.consume(&queue.name, 2).await.unwrap();
    let publisher = connection.publisher();
    let sending = send(&publisher, &queue.name, 0..50);
    let taking = async {
        let mut got = 0;
        while got < 50 {
            // Sometimes long enough, sometimes not.
            let patience = Duration::from_micros(200 * (got % 7));
            if let Ok(delivery) = tokio::time::timeout(patience, consumer.next()).await {
                let delivery = delivery.expect("the consumer goes on");
                assert_eq!((text(&delivery), delivery.attempt), (got.to_string(), 1));
                delivery.ack().await.unwrap();
                got += 1;
            }
        }
    };
    soon("every message", async { tokio::join!(sending, taking) }).await;
}

pub async fn a_waiting_consumer_ends_when_its_connection_is_closed(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
    let publisher = connection.publisher();
    let (end, ()) = soon("the end", async { tokio::join!(consumer.next(), connection.close()) }).await;
    assert!(end.is_none());
    assert!(publisher.publish("", &queue.name, note("too late")).await.is_err());
}

pub async fn depth_tells_the_truth(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    let shows = async |ready: u64, unacked: u64, consumers: u64| {
        let what = format!("{ready} ready, {unacked} out, {consumers} consumers");
        wait_until_async(&what, async || {
            let depth = connection.depth(&queue.name).await.unwrap();
            (depth.ready, depth.consumers) == (ready, consumers) && depth.unacked.is_none_or(|out| out == unacked)
        })
        .await;
    };
    shows(0, 0, 0).await;
    send(&connection.publisher(), &queue.name, 0..5).await;
    shows(5, 0, 0).await;
    let other = bus.open(&[], &[]).await;
    let mut consumer = other.consume(&queue.name, 2).await.unwrap();
    shows(3, 2, 1).await;
    take(&mut consumer).await;
    shows(2, 2, 1).await;
    drop(consumer);
    shows(4, 0, 0).await;
    let _second = other.consume(&queue.name, 1).await.unwrap();
    shows(3, 1, 1).await;
    other.close().await;
    shows(4, 0, 0).await;
}
