//! What happens by itself, in time: a retry that was put off comes back, what waited too long is dead or gone. Moments
//! are not asserted, only what must not come before what.

use crate::fixture::{Bus, next, note, send, take, text};
use crate::support::wait_until_equal;
use std::time::{Duration, Instant};

const MOMENT: Duration = Duration::from_millis(300);

pub async fn a_retry_that_is_put_off_comes_when_its_time_has_come(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    send(&connection.publisher(), &queue.name, ["put off", "other"]).await;
    let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
    let start = Instant::now();
    next(&mut consumer).await.retry_after(MOMENT).await.unwrap();
    assert_eq!(take(&mut consumer).await, "other", "it is in nobody's way");
    assert_eq!(connection.depth(&queue.name).await.unwrap().ready, 0, "it is not there yet");
    let again = next(&mut consumer).await;
    assert!(start.elapsed() >= MOMENT, "{:?}", start.elapsed());
    assert_eq!((text(&again), again.attempt), ("put off".into(), 2));
    assert_eq!(again.origin(), ("", queue.name.as_str()));
    again.retry_after(MOMENT / 10).await.unwrap();
    let third = next(&mut consumer).await;
    assert_eq!(third.attempt, 3);
    third.ack().await.unwrap();
}

pub async fn what_is_put_off_goes_behind_what_came_in_the_meantime(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    send(&connection.publisher(), &queue.name, ["put off"]).await;
    let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
    next(&mut consumer).await.retry_after(MOMENT).await.unwrap();
    consumer.cancel().await;
    send(&connection.publisher(), &queue.name, ["meanwhile"]).await;
    wait_until_equal("it is back", 2, async || connection.depth(&queue.name).await.unwrap().ready).await;
    let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
    assert_eq!([take(&mut consumer).await, take(&mut consumer).await], ["meanwhile", "put off"]);
}

pub async fn what_is_put_off_survives_who_put_it_off(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    send(&connection.publisher(), &queue.name, ["put off"]).await;
    let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
    next(&mut consumer).await.retry_after(MOMENT).await.unwrap();
    connection.close().await;
    let connection = bus.open(&[], &[]).await;
    let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
    let again = next(&mut consumer).await;
    assert_eq!((text(&again), again.attempt), ("put off".into(), 2));
    again.ack().await.unwrap();
}

pub async fn others_wait_no_longer_for_what_was_put_off_than_it_takes(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    send(&connection.publisher(), &queue.name, ["put off"]).await;
    let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
    let delivery = next(&mut consumer).await;
    consumer.cancel().await;
    let other = bus.open(&[], &[]).await;
    let mut waiting = other.consume(&queue.name, 1).await.unwrap();
    delivery.retry_after(MOMENT).await.unwrap();
    assert_eq!(take(&mut waiting).await, "put off");
}

pub async fn a_message_that_waited_too_long_is_with_the_dead_letters(bus: &Bus) {
    let dead = bus.queue("dead");
    let by_message = bus.queue("patient").dead_letters_to("", &dead.name);
    let by_queue = bus.queue("impatient").dead_letters_to("", &dead.name).message_ttl(MOMENT);
    let connection = bus.open(&[], &[dead.clone(), by_message.clone(), by_queue.clone()]).await;
    let publisher = connection.publisher();
    // Nobody consumes those two: whoever waits for the dead gets them in time.
    let mut grave = connection.consume(&dead.name, 1).await.unwrap();
    publisher.publish("", &by_message.name, note("in a moment").id("m-1").expires_after(MOMENT)).await.unwrap();
    let buried = next(&mut grave).await;
    assert_eq!((text(&buried), buried.message.text("x-oat-queue")), ("in a moment".into(), Some(&*by_message.name)));
    assert_eq!(buried.message.text("x-oat-reason"), Some("expired"));
    assert_eq!((buried.message.message_id.as_deref(), buried.message.expiration), (Some("m-1"), None));
    buried.ack().await.unwrap();
    publisher.publish("", &by_queue.name, note("in the queue's time")).await.unwrap();
    assert_eq!(take(&mut grave).await, "in the queue's time");
    publisher.publish("", &by_queue.name, note("sooner").expires_after(MOMENT / 10)).await.unwrap();
    publisher.publish("", &by_message.name, note("in time").expires_after(Duration::from_secs(600))).await.unwrap();
    assert_eq!(take(&mut grave).await, "sooner");
    let delivery = next(&mut connection.consume(&by_message.name, 1).await.unwrap()).await;
    assert_eq!((text(&delivery), delivery.message.expiration), ("in time".into(), Some(Duration::from_secs(600))));
    delivery.ack().await.unwrap();
}

pub async fn a_message_that_waited_too_long_is_never_delivered(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    let publisher = connection.publisher();
    publisher.publish("", &queue.name, note("late").expires_after(MOMENT)).await.unwrap();
    publisher.publish("", &queue.name, note("never late")).await.unwrap();
    wait_until_equal("the late one is gone", 1, async || connection.depth(&queue.name).await.unwrap().ready).await;
    let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
    assert_eq!(take(&mut consumer).await, "never late");
}

pub async fn what_is_out_does_not_expire_until_it_comes_back(bus: &Bus) {
    let dead = bus.queue("dead");
    let queue = bus.queue("work").dead_letters_to("", &dead.name).message_ttl(MOMENT);
    let connection = bus.open(&[], &[dead.clone(), queue.clone()]).await;
    let mut grave = connection.consume(&dead.name, 1).await.unwrap();
    let mut consumer = connection.consume(&queue.name, 2).await.unwrap();
    send(&connection.publisher(), &queue.name, ["held"]).await;
    let held = next(&mut consumer).await;
    // What comes after it expires before it: its time is over when this is buried.
    let publisher = connection.publisher();
    consumer.cancel().await;
    publisher.publish("", &queue.name, note("left")).await.unwrap();
    assert_eq!(take(&mut grave).await, "left");
    drop(held);
    assert_eq!(take(&mut grave).await, "held");
}
