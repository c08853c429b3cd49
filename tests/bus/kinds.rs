//! What a declaration may ask for besides a name: how long a queue lives, what it holds, and what is refused.

use crate::fixture::{Bus, next, note, send, take, text};
use crate::support::wait_until_async;
use oat::bus::{Binding, Connection, Error, Exchange, ExchangeKind, Options, Queue, QueueKind, Topology};
use std::time::Duration;

pub async fn a_queue_of_any_kind_takes_and_gives(bus: &Bus) {
    let kinds = [QueueKind::Quorum, QueueKind::Classic, QueueKind::Transient, QueueKind::Exclusive];
    let queues = kinds.map(|kind| bus.queue(&format!("{kind:?}")).kind(kind));
    let connection = bus.open(&[], &queues).await;
    let publisher = connection.publisher();
    for queue in &queues {
        send(&publisher, &queue.name, ["first", "second"]).await;
        let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
        let dropped = next(&mut consumer).await;
        assert_eq!((text(&dropped), dropped.attempt, dropped.redelivered), ("first".into(), 1, false));
        drop(dropped);
        let mut rest = [next(&mut consumer).await, {
            let mut other = connection.consume(&queue.name, 1).await.unwrap();
            next(&mut other).await
        }];
        rest.sort_by_key(text);
        assert_eq!((text(&rest[0]), rest[0].attempt, rest[0].redelivered), ("first".into(), 2, true), "{queue:?}");
        assert_eq!((text(&rest[1]), rest[1].attempt), ("second".into(), 1));
    }
}

pub async fn an_exclusive_queue_is_of_its_connection_alone(bus: &Bus) {
    let exchange = bus.exchange("in", ExchangeKind::Fanout);
    let mine = Queue::exclusive(&bus.name("mine")).bound(Binding::new(&exchange.name, ""));
    let owner = bus.open(std::slice::from_ref(&exchange), std::slice::from_ref(&mine)).await;
    let other = bus.open(std::slice::from_ref(&exchange), &[]).await;
    let refused = other.consume(&mine.name, 1).await.unwrap_err();
    assert!(matches!(&refused, Error::Conflict { what, .. } if what.contains(&mine.name)), "{refused:?}");
    send(&other.publisher(), &mine.name, ["by its name"]).await;
    other.publisher().publish(&exchange.name, "any", note("by its binding")).await.unwrap();
    assert_eq!(owner.depth(&mine.name).await.unwrap().ready, 2);
    let mut consumer = owner.consume(&mine.name, 1).await.unwrap();
    assert_eq!(take(&mut consumer).await, "by its name");
    assert_eq!(take(&mut consumer).await, "by its binding");
    owner.close().await;
    wait_until_async("it went with its connection", async || {
        matches!(other.depth(&mine.name).await, Err(Error::Missing { .. }))
    })
    .await;
}

pub async fn a_transient_exchange_leads_to_queues(bus: &Bus) {
    let exchange = Exchange::new(&bus.name("in"), ExchangeKind::Direct).transient();
    let queue = bus.queue("work").bound(Binding::new(&exchange.name, "key"));
    let connection = bus.open(std::slice::from_ref(&exchange), std::slice::from_ref(&queue)).await;
    connection.publisher().publish(&exchange.name, "key", note("through it")).await.unwrap();
    assert_eq!(take(&mut connection.consume(&queue.name, 1).await.unwrap()).await, "through it");
}

pub async fn messages_of_a_higher_priority_come_first(bus: &Bus) {
    let queue = bus.queue("work").kind(QueueKind::Classic).max_priority(5);
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    let publisher = connection.publisher();
    for (name, priority) in
        [("none", None), ("low", Some(1)), ("high", Some(5)), ("low too", Some(1)), ("too high", Some(9))]
    {
        let message = oat::bus::Message { priority, ..note(name) };
        publisher.publish("", &queue.name, message).await.unwrap();
    }
    let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
    for expected in [("high", Some(5)), ("too high", Some(9)), ("low", Some(1)), ("low too", Some(1)), ("none", None)] {
        let delivery = next(&mut consumer).await;
        assert_eq!((text(&delivery).as_str(), delivery.message.priority), expected);
        delivery.ack().await.unwrap();
    }
}

pub async fn what_waits_too_long_dies(bus: &Bus) {
    let dead = bus.queue("dead");
    let kinds = [QueueKind::Quorum, QueueKind::Classic];
    let brief = |kind| bus.queue(&format!("{kind:?}")).kind(kind).message_ttl(Duration::from_millis(100));
    let queues = kinds.map(|kind| brief(kind).dead_letters_to("", &dead.name));
    let connection = bus.open(&[], &[std::slice::from_ref(&dead), &queues[..]].concat()).await;
    let mut consumer = connection.consume(&dead.name, 1).await.unwrap();
    for queue in &queues {
        send(&connection.publisher(), &queue.name, ["too late"]).await;
        let delivery = next(&mut consumer).await;
        assert_eq!(text(&delivery), "too late");
        let message = &delivery.message;
        assert_eq!((message.text("x-oat-reason"), message.text("x-oat-queue")), (Some("expired"), Some(&*queue.name)));
        let death = delivery.deaths.first().expect("it died");
        assert_eq!((&death.queue, death.reason.as_str(), death.count), (&queue.name, "expired", 1));
        assert_eq!((death.exchange.as_str(), &death.routing_keys), ("", &vec![queue.name.clone()]));
        delivery.ack().await.unwrap();
    }
}

pub async fn a_full_queue_refuses_more_and_takes_again_what_fits(bus: &Bus) {
    for kind in [QueueKind::Quorum, QueueKind::Classic] {
        let queue = bus.queue(&format!("{kind:?}")).kind(kind).max_length(3);
        let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
        let publisher = connection.publisher();
        let mut taken = 0;
        let refused = loop {
            match publisher.publish("", &queue.name, note(taken)).await {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
        };
        // RabbitMQ's quorum queues notice one message late.
        assert!((3..=4).contains(&taken), "{kind:?} took {taken}");
        assert!(matches!(refused, Error::Nacked { .. }), "{refused:?}");
        let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
        for expected in 0..taken {
            assert_eq!(take(&mut consumer).await, expected.to_string());
        }
        wait_until_async("there is room again", async || {
            publisher.publish("", &queue.name, note("fits")).await.is_ok()
        })
        .await;
        assert_eq!(take(&mut consumer).await, "fits");
    }
}

pub async fn a_queue_that_nobody_uses_goes_away(bus: &Bus) {
    let idle = Duration::from_millis(500);
    let kinds = [QueueKind::Quorum, QueueKind::Classic, QueueKind::Transient];
    let queues = kinds.map(|kind| bus.queue(&format!("{kind:?}")).kind(kind).expires(idle));
    let connection = bus.open(&[], &queues).await;
    let used = bus.queue("used").expires(idle);
    connection.declare(&Topology { exchanges: vec![], queues: vec![used.clone()] }).await.unwrap();
    let _consumer = connection.consume(&used.name, 1).await.unwrap();
    // Another connection, which would not declare them again; and asking for its depth would be a use.
    let publisher = bus.open(&[], &[]).await.publisher();
    for queue in &queues {
        wait_until_async("it is gone", async || !publisher.announce("", &queue.name, note("late")).await.unwrap())
            .await;
    }
    assert!(publisher.announce("", &used.name, note("in time")).await.unwrap());
}

pub async fn a_conflict_names_the_property_and_both_values(bus: &Bus) {
    let queue = bus.queue("work").message_ttl(Duration::from_secs(5)).dead_letters_to("", "one");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    let mut others = vec![
        (queue.clone().message_ttl(Duration::from_secs(6)), ["x-message-ttl", "5000", "6000"]),
        (queue.clone().max_length(7), ["x-max-length", "none", "7"]),
        (queue.clone().expires(Duration::from_secs(9)), ["x-expires", "none", "9000"]),
        (queue.clone().dead_letters_to("", "two"), ["x-dead-letter-routing-key", "one", "two"]),
    ];
    let mut limitless = queue.clone();
    limitless.message_ttl = None;
    others.push((limitless, ["x-message-ttl", "5000", "none"]));
    for (other, words) in others {
        let error = connection.declare(&Topology { exchanges: vec![], queues: vec![other] }).await.unwrap_err();
        let Error::Conflict { what, why } = &error else { panic!("{error:?}") };
        assert_eq!(*what, format!("queue {:?}", queue.name));
        assert!(words.iter().all(|word| why.contains(word)), "{why} lacks one of {words:?}");
    }
}

pub async fn what_cannot_be_is_refused_and_says_why(bus: &Bus) {
    let queue = bus.queue("work");
    let wrong = [
        (queue.clone().max_priority(3), "priorities"),
        (queue.clone().kind(QueueKind::Classic).delivery_limit(3), "delivery limit"),
        (queue.clone().message_ttl(Duration::from_secs(365 * 86_400)), "49 days"),
    ];
    let connection = bus.open(&[], &[]).await;
    for (queue, word) in wrong {
        let topology = Topology { exchanges: vec![], queues: vec![queue.clone()] };
        for refused in [
            connection.declare(&topology).await.unwrap_err(),
            Connection::open(&bus.url, topology, Options::default()).await.unwrap_err(),
        ] {
            let Error::Unsupported { what, why } = &refused else { panic!("{refused:?}") };
            assert_eq!(*what, format!("queue {:?}", queue.name));
            assert!(why.contains(word), "{why}");
        }
    }
    assert!(matches!(connection.depth(&queue.name).await, Err(Error::Missing { .. })), "nothing was declared");
}

pub async fn names_of_the_broker_are_refused(bus: &Bus) {
    let connection = bus.open(&[], &[]).await;
    let exchange = Exchange::new("amq.mine", ExchangeKind::Topic);
    for topology in [
        Topology { exchanges: vec![exchange], queues: vec![] },
        Topology { exchanges: vec![], queues: vec![Queue::new("amq.mine")] },
    ] {
        let refused = connection.declare(&topology).await.unwrap_err();
        assert!(matches!(&refused, Error::Reserved { what } if what.contains("amq.mine")), "{refused:?}");
    }
}
