//! A delivery is settled once, and nothing is lost whatever becomes of it.

use crate::fixture::{Bus, next, note, send, several, soon, take, text};
use crate::support::wait_until_equal;
use oat::bus::{Binding, Error, ExchangeKind, HeaderValue};
use std::time::Duration;

pub async fn an_acknowledged_message_is_gone(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    send(&connection.publisher(), &queue.name, ["done"]).await;
    take(&mut connection.consume(&queue.name, 1).await.unwrap()).await;
    connection.close().await;

    let connection = bus.open(&[], &[]).await;
    send(&connection.publisher(), &queue.name, ["new"]).await;
    let delivery = next(&mut connection.consume(&queue.name, 1).await.unwrap()).await;
    assert_eq!((text(&delivery), delivery.attempt), ("new".into(), 1));
}

pub async fn a_dropped_delivery_comes_back_with_its_attempt_counted(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    send(&connection.publisher(), &queue.name, ["again"]).await;
    let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
    for attempt in 1..=3 {
        let delivery = next(&mut consumer).await;
        assert_eq!((delivery.attempt, delivery.redelivered), (attempt, attempt > 1));
        assert_eq!(text(&delivery), "again");
        drop(delivery);
    }
    next(&mut consumer).await.ack().await.unwrap();
}

pub async fn what_is_given_back_comes_again_and_is_not_counted(bus: &Bus) {
    let dead = bus.queue("dead");
    let work = bus.queue("work").dead_letters_to("", &dead.name).delivery_limit(1);
    let connection = bus.open(&[], &[dead, work.clone()]).await;
    send(&connection.publisher(), &work.name, ["not me"]).await;
    let mut consumer = connection.consume(&work.name, 1).await.unwrap();
    drop(next(&mut consumer).await);
    for _ in 0..5 {
        let delivery = next(&mut consumer).await;
        assert_eq!((text(&delivery), delivery.attempt), ("not me".into(), 2));
        delivery.give_back().await.unwrap();
    }
    assert_eq!(take(&mut consumer).await, "not me");
    assert_eq!(connection.depth(&work.name).await.unwrap().ready, 0, "there is one of it");
}

pub async fn retry_counts_attempts_and_goes_to_the_back(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    send(&connection.publisher(), &queue.name, ["first", "second"]).await;
    let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let delivery = next(&mut consumer).await;
        seen.push((text(&delivery), delivery.attempt));
        delivery.retry().await.unwrap();
    }
    let expected = [("first", 1), ("second", 1), ("first", 2), ("second", 2)];
    assert_eq!(seen, expected.map(|(text, attempt)| (text.to_owned(), attempt)));
    drop(next(&mut consumer).await);
    // Retries and returns both count, wherever in the queue it came back.
    let both = [next(&mut consumer).await, soon("the other", async { consumer_of(bus, &queue.name).await }).await];
    let first = both.iter().find(|delivery| text(delivery) == "first").expect("it came back");
    assert_eq!(first.attempt, 4);
}

/// One delivery, from a connection of its own.
async fn consumer_of(bus: &Bus, queue: &str) -> oat::bus::Delivery {
    let connection = bus.open(&[], &[]).await;
    next(&mut connection.consume(queue, 1).await.unwrap()).await
}

pub async fn reject_carries_the_reason_the_origin_and_the_raw_body(bus: &Bus) {
    let (tasks, graves) = (bus.exchange("in", ExchangeKind::Direct), bus.exchange("dead", ExchangeKind::Direct));
    let dead = bus.queue("dead").bound(Binding::new(&graves.name, "grave"));
    let work = bus.queue("work").bound(Binding::new(&tasks.name, "key")).dead_letters_to(&graves.name, "grave");
    let connection = bus.open(&[tasks.clone(), graves.clone()], &[dead.clone(), work.clone()]).await;
    let raw = oat::bus::Message::new("application/json", b"{ not json \xff".to_vec()).id("m-1");
    connection.publisher().publish(&tasks.name, "key", raw.clone()).await.unwrap();
    next(&mut connection.consume(&work.name, 1).await.unwrap()).await.reject("no such formula").await.unwrap();

    let delivery = next(&mut connection.consume(&dead.name, 1).await.unwrap()).await;
    let message = &delivery.message;
    assert_eq!(
        (&message.body, &message.content_type, &message.message_id),
        (&raw.body, &raw.content_type, &raw.message_id)
    );
    assert_eq!(message.text("x-oat-reason"), Some("no such formula"));
    assert_eq!(message.text("x-oat-queue"), Some(work.name.as_str()));
    assert_eq!(message.text("x-oat-exchange"), Some(tasks.name.as_str()));
    assert_eq!(message.text("x-oat-routing-key"), Some("key"));
    assert_eq!((&delivery.exchange, delivery.routing_key.as_str()), (&graves.name, "grave"));
}

pub async fn whatever_came_can_be_buried(bus: &Bus) {
    let dead = bus.queue("dead");
    let work = bus.queue("work").dead_letters_to("", &dead.name);
    let connection = bus.open(&[], &[dead.clone(), work.clone()]).await;
    // As much as a publisher may send to RabbitMQ: there is no room for our headers beside these.
    let full = note("the body").id("m-1").header("foreign", HeaderValue::Text("x".repeat(99_900)));
    connection.publisher().publish("", &work.name, full).await.unwrap();
    let delivery = next(&mut connection.consume(&work.name, 1).await.unwrap()).await;
    delivery.reject(&"ü".repeat(200_000)).await.unwrap();
    let buried = next(&mut connection.consume(&dead.name, 1).await.unwrap()).await;
    assert_eq!((text(&buried), buried.message.message_id.as_deref()), ("the body".into(), Some("m-1")));
    assert_eq!(buried.message.text("x-oat-queue"), Some(work.name.as_str()));
    let reason = buried.message.text("x-oat-reason").unwrap();
    assert_eq!(reason, format!("{}…", "ü".repeat(1000)));
}

pub async fn whatever_may_be_published_can_be_tried_again(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    let full = note("the body").header("foreign", HeaderValue::Text("x".repeat(99_900)));
    connection.publisher().publish("", &queue.name, full).await.unwrap();
    let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
    next(&mut consumer).await.retry().await.unwrap();
    let again = next(&mut consumer).await;
    assert_eq!((again.attempt, again.message.text("foreign").map(str::len)), (2, Some(99_900)));
    again.retry_after(Duration::from_millis(100)).await.unwrap();
    let again = next(&mut consumer).await;
    assert_eq!((again.attempt, again.message.text("foreign").map(str::len)), (3, Some(99_900)));
    again.ack().await.unwrap();
}

pub async fn rejecting_without_dead_letters_is_an_error_and_loses_nothing(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    send(&connection.publisher(), &queue.name, ["kept"]).await;
    let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
    let error = next(&mut consumer).await.reject("why not").await.unwrap_err();
    assert!(matches!(&error, Error::NoDeadLetter { queue: name } if *name == queue.name), "{error:?}");
    assert_eq!(take(&mut consumer).await, "kept");
}

pub async fn a_delivery_limit_of_two_gives_three_deliveries_and_a_dead_letter(bus: &Bus) {
    let exchange = bus.exchange("dead", ExchangeKind::Direct);
    let dead = bus.queue("dead").bound(Binding::new(&exchange.name, "grave"));
    let work = bus.queue("work").dead_letters_to(&exchange.name, "grave").delivery_limit(2);
    let connection = bus.open(&[exchange], &[dead.clone(), work.clone()]).await;
    send(&connection.publisher(), &work.name, ["poison"]).await;
    let mut consumer = connection.consume(&work.name, 1).await.unwrap();
    for attempt in 1..=3 {
        let delivery = next(&mut consumer).await;
        assert_eq!((text(&delivery), delivery.attempt), ("poison".into(), attempt));
    }
    let delivery = next(&mut connection.consume(&dead.name, 1).await.unwrap()).await;
    assert_eq!(text(&delivery), "poison");
    let reason = delivery.message.text("x-oat-reason").unwrap_or_default();
    assert!(reason.contains("limit"), "{:?}", delivery.message.headers);
    assert_eq!(delivery.message.text("x-oat-queue"), Some(work.name.as_str()));
    send(&connection.publisher(), &work.name, ["the next"]).await;
    assert_eq!(take(&mut consumer).await, "the next");
}

pub async fn a_retried_message_is_not_worn_out_by_its_attempts(bus: &Bus) {
    let dead = bus.queue("dead");
    let work = bus.queue("work").dead_letters_to("", &dead.name).delivery_limit(1);
    let connection = bus.open(&[], &[dead, work.clone()]).await;
    send(&connection.publisher(), &work.name, ["patience"]).await;
    let mut consumer = connection.consume(&work.name, 1).await.unwrap();
    for attempt in 1..=5 {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.attempt, attempt);
        delivery.retry().await.unwrap();
    }
    assert_eq!(take(&mut consumer).await, "patience");
}

pub async fn closing_gives_back_what_is_out(bus: &Bus) {
    let queue = bus.queue("work");
    let holder = bus.open(&[], std::slice::from_ref(&queue)).await;
    send(&holder.publisher(), &queue.name, ["held", "unread"]).await;
    let mut consumer = holder.consume(&queue.name, 2).await.unwrap();
    let held = next(&mut consumer).await;
    holder.close().await;

    let connection = bus.open(&[], &[]).await;
    wait_until_equal("both are back", 2, async || connection.depth(&queue.name).await.unwrap().ready).await;
    let mut other = connection.consume(&queue.name, 2).await.unwrap();
    let (one, two) = (next(&mut other).await, next(&mut other).await);
    let mut texts = [text(&one), text(&two)];
    texts.sort();
    assert_eq!(texts, ["held", "unread"]);
    let again = if text(&one) == "held" { &one } else { &two };
    assert_eq!((again.attempt, again.redelivered), (2, true));
    assert!(held.ack().await.is_err(), "it is somebody else's by now");
    one.ack().await.unwrap();
    two.ack().await.unwrap();
}

pub async fn settling_in_any_order_settles_each_and_no_other(bus: &Bus) {
    let queue = bus.queue("work");
    let holder = bus.open(&[], std::slice::from_ref(&queue)).await;
    // RabbitMQ forgets what it has not yet passed on when it is told of more than 32 at once and then left.
    send(&holder.publisher(), &queue.name, 0..25).await;
    let mut consumer = holder.consume(&queue.name, 25).await.unwrap();
    let out = several(&mut consumer, 25).await;
    // Taken no more: what goes back stays there.
    consumer.cancel().await;
    let (mut held, mut left) = (Vec::new(), Vec::new());
    for (place, delivery) in out.into_iter().rev().enumerate() {
        match place % 5 {
            0 => {
                left.push(text(&delivery));
                drop(delivery);
            }
            1 => {
                left.push(text(&delivery));
                held.push(delivery);
            }
            _ => delivery.ack().await.unwrap(),
        }
    }
    holder.close().await;
    is_left(bus, &queue.name, left).await;
    drop(held);
}

/// Whether these texts, in any order, and no others are in a queue.
async fn is_left(bus: &Bus, queue: &str, mut texts: Vec<String>) {
    let connection = bus.open(&[], &[]).await;
    let mut consumer = connection.consume(queue, 1).await.unwrap();
    let mut found = Vec::new();
    while found.len() < texts.len() {
        found.push(take(&mut consumer).await);
    }
    found.sort();
    texts.sort();
    assert_eq!(found, texts);
    assert_eq!(connection.depth(queue).await.unwrap().ready, 0);
}

pub async fn what_was_acknowledged_is_gone_whatever_goes_back_with_it(bus: &Bus) {
    let queue = bus.queue("work");
    let holder = bus.open(&[], std::slice::from_ref(&queue)).await;
    send(&holder.publisher(), &queue.name, 0..60).await;
    let mut consumer = holder.consume(&queue.name, 100).await.unwrap();
    let mut out = several(&mut consumer, 60).await;
    consumer.cancel().await;
    // RabbitMQ may forget all but the first 32 of these. What goes back goes back all the same.
    out.pop().unwrap().ack().await.unwrap();
    drop(out);
    holder.close().await;
    is_left(bus, &queue.name, (0..59).map(|text| text.to_string()).collect()).await;
}

pub async fn a_delivery_is_live_until_its_connection_is_closed(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    send(&connection.publisher(), &queue.name, ["held"]).await;
    let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
    let held = next(&mut consumer).await;
    consumer.cancel().await;
    assert!(held.is_live(), "its consumer is gone, but it can be settled");
    connection.close().await;
    assert!(!held.is_live());
}
