//! Looking at queues without using them, and doing away with what is in them.

use crate::fixture::{Bus, next, note, send, take, text};
use crate::support::wait_until_equal;
use oat::bus::{Connection, Error, ExchangeKind, HeaderValue, QueueKind, Seen, Topology};

pub async fn checking_finds_what_is_missing_and_creates_nothing(bus: &Bus) {
    let (exchange, queue) = (bus.exchange("in", ExchangeKind::Topic), bus.queue("work"));
    let exchanges = Topology { exchanges: vec![exchange.clone()], queues: vec![] };
    let queues = Topology { exchanges: vec![], queues: vec![queue.clone()] };
    let connection = bus.open(&[], &[]).await;
    for (topology, name) in [(&exchanges, &exchange.name), (&queues, &queue.name), (&exchanges, &exchange.name)] {
        let missing = connection.check(topology).await.unwrap_err();
        assert!(matches!(&missing, Error::Missing { what } if what.contains(name.as_str())), "{missing:?}");
    }
    connection.check(&Topology::default()).await.unwrap();
    let other = bus.open(&[exchange], &[]).await;
    connection.check(&exchanges).await.unwrap();
    assert!(matches!(connection.check(&queues).await, Err(Error::Missing { .. })));
    other.declare(&queues).await.unwrap();
    // What it asks for is a name: with which properties is not compared.
    let limited = Topology { exchanges: exchanges.exchanges, queues: vec![queue.clone().delivery_limit(7)] };
    connection.check(&limited).await.unwrap();
    assert!(!connection.queues().await.unwrap().is_empty() || matches!(connection, Connection::Amqp(_)));
    assert!(other.queues().await.unwrap().contains(&queue.name));
}

fn texts(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|seen| std::str::from_utf8(&seen.message.body).unwrap()).collect()
}

pub async fn browsing_shows_the_first_messages_in_order_and_leaves_them_there(bus: &Bus) {
    let queues = [
        bus.queue("limited").delivery_limit(5),
        bus.queue("limitless"),
        bus.queue("classic").kind(QueueKind::Classic),
        bus.queue("exclusive").kind(QueueKind::Exclusive),
    ];
    let connection = bus.open(&[], &queues).await;
    for queue in &queues {
        assert_eq!(connection.browse(&queue.name, 9, queue.delivery_limit).await.unwrap(), []);
        let first = note(0).id("m-0").kind("note").header("text", HeaderValue::Text("Zoë".into()));
        connection.publisher().publish("", &queue.name, first.clone()).await.unwrap();
        send(&connection.publisher(), &queue.name, 1..6).await;
        let seen = connection.browse(&queue.name, 3, queue.delivery_limit).await.unwrap();
        assert_eq!(texts(&seen), ["0", "1", "2"], "{queue:?}");
        let (message, attempt) = (&seen[0].message, seen[0].attempt);
        assert_eq!((message, attempt, seen[0].redelivered), (&first, 1, false));
        assert_eq!((seen[0].exchange.as_str(), &seen[0].routing_key, &seen[0].deaths), ("", &queue.name, &vec![]));
        let all = connection.browse(&queue.name, 9, queue.delivery_limit).await.unwrap();
        assert_eq!(texts(&all), ["0", "1", "2", "3", "4", "5"], "{queue:?}");
        let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
        for expected in 0..6 {
            assert_eq!(take(&mut consumer).await, expected.to_string());
        }
    }
}

pub async fn browsing_is_never_the_death_of_a_message(bus: &Bus) {
    let dead = bus.queue("dead");
    let work = bus.queue("work").dead_letters_to("", &dead.name).delivery_limit(2);
    let connection = bus.open(&[], &[dead.clone(), work.clone()]).await;
    // Somebody else looks, who has not declared it and has to be told the limit.
    let other = bus.open(&[], &[]).await;
    connection.publisher().publish("", &work.name, note("a").id("m-1")).await.unwrap();
    send(&connection.publisher(), &work.name, ["b"]).await;
    for _ in 0..7 {
        match other.browse(&work.name, 5, Some(2)).await {
            Ok(seen) => assert_eq!(seen.len(), 2, "{seen:?}"),
            Err(Error::Unsupported { why, .. }) => assert!(why.contains("unharmed"), "{why}"),
            Err(error) => panic!("{error}"),
        }
        assert_eq!(connection.depth(&dead.name).await.unwrap().ready, 0);
    }
    let mut consumer = connection.consume(&work.name, 2).await.unwrap();
    let mut both = [next(&mut consumer).await, next(&mut consumer).await];
    both.sort_by_key(text);
    assert_eq!(both.each_ref().map(text), ["a", "b"]);
    assert_eq!(both[0].message.message_id.as_deref(), Some("m-1"));
    assert_eq!(both[0].origin(), ("", work.name.as_str()));
    for delivery in both {
        delivery.ack().await.unwrap();
    }
    let graveless = bus.queue("graveless").delivery_limit(0);
    connection.declare(&Topology { exchanges: vec![], queues: vec![graveless.clone()] }).await.unwrap();
    send(&connection.publisher(), &graveless.name, ["kept"]).await;
    match connection.browse(&graveless.name, 1, None).await {
        Ok(seen) => assert_eq!(texts(&seen), ["kept"]),
        Err(error) => assert!(matches!(error, Error::Unsupported { .. }), "{error:?}"),
    }
    assert_eq!(take(&mut connection.consume(&graveless.name, 1).await.unwrap()).await, "kept");
}

pub async fn browsing_shows_how_a_message_died(bus: &Bus) {
    let dead = bus.queue("dead");
    let work = bus.queue("work").dead_letters_to("", &dead.name).delivery_limit(0);
    let connection = bus.open(&[], &[dead.clone(), work.clone()]).await;
    let mut consumer = connection.consume(&work.name, 1).await.unwrap();
    send(&connection.publisher(), &work.name, ["rejected", "dropped"]).await;
    next(&mut consumer).await.reject("no such formula").await.unwrap();
    drop(next(&mut consumer).await);
    wait_until_equal("both are dead", 2, async || connection.depth(&dead.name).await.unwrap().ready).await;
    let mut seen = connection.browse(&dead.name, 5, None).await.unwrap();
    seen.sort_by_key(|seen| seen.message.body.clone());
    assert_eq!(texts(&seen), ["dropped", "rejected"]);
    for seen in &seen {
        assert_eq!((seen.deaths.len(), &seen.deaths[0].queue, seen.deaths[0].exchange.as_str()), (1, &work.name, ""));
        assert_eq!(seen.deaths[0].routing_keys, std::slice::from_ref(&work.name));
    }
    assert!(seen[0].deaths[0].reason.contains("limit"), "{:?}", seen[0].deaths);
    assert_eq!(seen[1].deaths[0].reason, "no such formula");
}

pub async fn what_is_not_there_can_neither_be_browsed_nor_purged(bus: &Bus) {
    let connection = bus.open(&[], &[]).await;
    let missing = bus.name("missing");
    assert!(matches!(connection.browse(&missing, 1, None).await, Err(Error::Missing { .. })));
    assert!(matches!(connection.purge(&missing).await, Err(Error::Missing { .. })));
}

pub async fn purging_counts_what_waited_and_leaves_what_is_out(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    send(&connection.publisher(), &queue.name, 0..5).await;
    let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
    let out = next(&mut consumer).await;
    let other = bus.open(&[], &[]).await;
    assert_eq!(other.purge(&queue.name).await.unwrap(), 4);
    assert_eq!(other.purge(&queue.name).await.unwrap(), 0);
    drop(out);
    assert_eq!(take(&mut consumer).await, "0");
}

pub async fn a_deleted_queue_is_gone_and_declared_no_more(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    send(&connection.publisher(), &queue.name, ["gone with it"]).await;
    assert_eq!(connection.queues().await.unwrap(), std::slice::from_ref(&queue.name));
    connection.delete_queue(&queue.name).await.unwrap();
    connection.delete_queue(&queue.name).await.expect("it is gone, which is what was wanted");
    assert_eq!(connection.queues().await.unwrap(), Vec::<String>::new());
    let lost = connection.publisher().publish("", &queue.name, note("for nobody")).await.unwrap_err();
    assert!(matches!(lost, Error::Unroutable { .. }), "{lost:?}");
    assert!(matches!(connection.depth(&queue.name).await, Err(Error::Missing { .. })));
    assert!(matches!(connection.consume(&queue.name, 1).await, Err(Error::Missing { .. })));
}
