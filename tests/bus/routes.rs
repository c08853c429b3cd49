//! What is sent arrives, where it should, as it was.

use crate::fixture::{Bus, next, note, send, take};
use oat::bus::{Binding, Error, ExchangeKind, HeaderValue, Message, Topology};

pub async fn a_message_arrives_as_it_was_sent(bus: &Bus) {
    let exchange = bus.exchange("in", ExchangeKind::Direct);
    let queue = bus.queue("work").bound(Binding::new(&exchange.name, "key"));
    let connection = bus.open(std::slice::from_ref(&exchange), std::slice::from_ref(&queue)).await;
    let sent = Message {
        content_encoding: Some("identity".into()),
        correlation_id: Some("question 7".into()),
        reply_to: Some("somewhere".into()),
        app_id: Some("bus test".into()),
        ..Message::new("application/cbor", vec![0, 255, 1, 254])
    };
    let sent = sent.id("m-1").kind("oat.test").header("text", HeaderValue::Text("Zoë".into()));
    let sent = sent.header("number", HeaderValue::Int(-(1 << 40))).header("truth", HeaderValue::Bool(true));
    let sent = sent.header("float", HeaderValue::Float(0.1));
    connection.publisher().publish(&exchange.name, "key", sent.clone()).await.unwrap();

    let delivery = next(&mut connection.consume(&queue.name, 1).await.unwrap()).await;
    assert_eq!(delivery.message, sent);
    assert_eq!((&delivery.queue, &delivery.exchange), (&queue.name, &exchange.name));
    assert_eq!((delivery.routing_key.as_str(), delivery.redelivered, delivery.attempt), ("key", false, 1));
    delivery.ack().await.unwrap();
}

pub async fn a_large_body_and_an_empty_one_arrive(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    let large: Vec<u8> = (0..8 << 20).map(|n: u32| n.to_le_bytes()[n as usize % 3]).collect();
    for body in [large.clone(), Vec::new()] {
        connection.publisher().publish("", &queue.name, Message { body, ..Message::default() }).await.unwrap();
    }
    let mut consumer = connection.consume(&queue.name, 2).await.unwrap();
    for expected in [large, Vec::new()] {
        let delivery = next(&mut consumer).await;
        assert!(delivery.message.body == expected, "{} bytes instead", delivery.message.body.len());
        delivery.ack().await.unwrap();
    }
}

pub async fn the_default_exchange_leads_to_the_queue_of_that_name(bus: &Bus) {
    let queues = [bus.queue("one"), bus.queue("two")];
    let connection = bus.open(&[], &queues).await;
    for queue in &queues {
        send(&connection.publisher(), &queue.name, [&queue.name]).await;
    }
    for queue in &queues {
        let delivery = next(&mut connection.consume(&queue.name, 1).await.unwrap()).await;
        assert_eq!((delivery.exchange.as_str(), &delivery.routing_key), ("", &queue.name));
        assert_eq!(delivery.message.body, queue.name.as_bytes());
    }
}

pub async fn a_direct_exchange_compares_keys(bus: &Bus) {
    let keys = ["a", "a.b", "a.b.c"];
    let got = routed(bus, ExchangeKind::Direct, &["a", "a.b", "a.*"], &keys).await;
    assert_eq!(got, [vec!["a"], vec!["a.b"], vec![]]);
}

pub async fn a_topic_exchange_matches_patterns(bus: &Bus) {
    let keys = ["a", "a.b", "a.b.c", "x.c"];
    let got = routed(bus, ExchangeKind::Topic, &["a.*", "a.#", "#.c", "#"], &keys).await;
    assert_eq!(got, [vec!["a.b"], vec!["a", "a.b", "a.b.c"], vec!["a.b.c", "x.c"], keys.to_vec()]);
}

pub async fn a_fanout_exchange_reaches_every_queue_once(bus: &Bus) {
    let got = routed(bus, ExchangeKind::Fanout, &["a", "", "z"], &["a", "b"]).await;
    assert_eq!(got, [["a", "b"], ["a", "b"], ["a", "b"]]);
}

/// What arrives in one queue for each pattern when a message is sent with each key. Every queue has its binding
/// twice more, under another pattern that matches all the same, and gets a last note that ends the looking.
async fn routed<'a>(bus: &Bus, kind: ExchangeKind, patterns: &[&str], keys: &[&'a str]) -> Vec<Vec<&'a str>> {
    let exchange = bus.exchange("in", kind);
    let bound = |(n, pattern): (usize, &&str)| {
        let queue = bus.queue(&n.to_string()).bound(Binding::new(&exchange.name, pattern));
        match kind {
            ExchangeKind::Fanout => queue.bound(Binding::new(&exchange.name, "again")),
            _ => queue.bound(Binding::new(&exchange.name, pattern)),
        }
    };
    let queues: Vec<_> = patterns.iter().enumerate().map(bound).collect();
    let connection = bus.open(std::slice::from_ref(&exchange), &queues).await;
    let publisher = connection.publisher();
    for key in keys {
        match publisher.publish(&exchange.name, key, note(key)).await {
            Ok(()) | Err(Error::Unroutable { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let mut got = Vec::new();
    for queue in &queues {
        send(&publisher, &queue.name, ["the end"]).await;
        let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
        let mut here = Vec::new();
        while let Some(key) = {
            let text = take(&mut consumer).await;
            keys.iter().find(|key| **key == text)
        } {
            here.push(*key);
        }
        got.push(here);
    }
    got
}

pub async fn what_no_queue_would_get_is_an_error(bus: &Bus) {
    let exchange = bus.exchange("in", ExchangeKind::Direct);
    let queue = bus.queue("work").bound(Binding::new(&exchange.name, "key"));
    let connection = bus.open(std::slice::from_ref(&exchange), std::slice::from_ref(&queue)).await;
    let publisher = connection.publisher();
    for (exchange, key) in [(&exchange.name, "other"), (&String::new(), "no such queue")] {
        let error = publisher.publish(exchange, key, note("lost?")).await.unwrap_err();
        assert!(matches!(&error, Error::Unroutable { exchange: e, key: k } if e == exchange && k == key), "{error:?}");
    }
    publisher.publish(&exchange.name, "key", note("found")).await.unwrap();
    assert_eq!(take(&mut connection.consume(&queue.name, 1).await.unwrap()).await, "found");
}

pub async fn a_missing_exchange_or_queue_is_an_error(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    let missing = bus.name("missing");
    let told =
        |error: Error| matches!(&error, Error::Missing { what } if what.contains(&missing)).then_some(()).ok_or(error);
    told(connection.publisher().publish(&missing, "key", note("lost?")).await.unwrap_err()).unwrap();
    told(connection.consume(&missing, 1).await.unwrap_err()).unwrap();
    told(connection.depth(&missing).await.unwrap_err()).unwrap();
    let unbound = bus.queue("unbound").bound(Binding::new(&missing, "key"));
    told(connection.declare(&Topology { exchanges: vec![], queues: vec![unbound] }).await.unwrap_err()).unwrap();

    send(&connection.publisher(), &queue.name, ["still here"]).await;
    assert_eq!(take(&mut connection.consume(&queue.name, 1).await.unwrap()).await, "still here");
}

pub async fn declaring_twice_changes_nothing(bus: &Bus) {
    let exchange = bus.exchange("in", ExchangeKind::Topic);
    let dead = bus.queue("dead");
    let queue = bus.queue("work").bound(Binding::new(&exchange.name, "#")).dead_letters_to("", &dead.name);
    let topology = Topology { exchanges: vec![exchange.clone()], queues: vec![dead, queue.delivery_limit(4)] };
    let name = &topology.queues[1].name;
    let connection = bus.open(&topology.exchanges, &topology.queues).await;
    send(&connection.publisher(), name, ["kept"]).await;
    connection.declare(&topology).await.unwrap();
    bus.open(&topology.exchanges, &topology.queues).await.close().await;
    connection.publisher().publish(&exchange.name, "any", note("bound once")).await.unwrap();
    send(&connection.publisher(), name, ["the end"]).await;
    let mut consumer = connection.consume(name, 1).await.unwrap();
    for expected in ["kept", "bound once", "the end"] {
        assert_eq!(take(&mut consumer).await, expected);
    }
}

pub async fn declaring_with_other_properties_is_a_conflict(bus: &Bus) {
    let exchange = bus.exchange("in", ExchangeKind::Direct);
    let queue = bus.queue("work");
    let connection = bus.open(std::slice::from_ref(&exchange), std::slice::from_ref(&queue)).await;
    let conflicting = [
        Topology { exchanges: vec![bus.exchange("in", ExchangeKind::Fanout)], queues: vec![] },
        Topology { exchanges: vec![], queues: vec![queue.clone().delivery_limit(3)] },
        Topology { exchanges: vec![], queues: vec![queue.clone().dead_letters_to("", "elsewhere")] },
    ];
    for topology in &conflicting {
        let error = connection.declare(topology).await.unwrap_err();
        assert!(matches!(&error, Error::Conflict { what, .. } if what.contains(&bus.name(""))), "{error:?}");
    }
    send(&connection.publisher(), &queue.name, ["unharmed"]).await;
    assert_eq!(take(&mut connection.consume(&queue.name, 1).await.unwrap()).await, "unharmed");
}

pub async fn messages_survive_closing_and_reopening(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    send(&connection.publisher(), &queue.name, 0..20).await;
    connection.close().await;
    let connection = bus.open(&[], &[]).await;
    let mut consumer = connection.consume(&queue.name, 5).await.unwrap();
    for n in 0..20 {
        assert_eq!(take(&mut consumer).await, n.to_string());
    }
}
