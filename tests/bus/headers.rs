//! Headers exchanges: what a binding asks for, and which messages have it.

use crate::fixture::{Bus, note, send, take};
use oat::bus::{Binding, Connection, Error, Exchange, ExchangeKind, HeaderMatch, HeaderValue, Queue, Topology};
use std::collections::BTreeMap;

fn headers<const N: usize>(pairs: [(&str, HeaderValue); N]) -> BTreeMap<String, HeaderValue> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::Text(value.into())
}

/// A headers exchange, and a queue behind each of these bindings of it.
async fn bound<const N: usize>(
    bus: &Bus,
    bindings: [(HeaderMatch, BTreeMap<String, HeaderValue>); N],
) -> (Connection, Exchange, [Queue; N]) {
    let exchange = bus.exchange("in", ExchangeKind::Headers);
    let mut number = 0;
    let queues = bindings.map(|(how, headers)| {
        number += 1;
        bus.queue(&number.to_string()).bound(Binding::headers(&exchange.name, how, headers))
    });
    (bus.open(std::slice::from_ref(&exchange), &queues).await, exchange, queues)
}

/// What waits in a queue, in its order.
async fn drained(connection: &Connection, queue: &Queue) -> Vec<String> {
    send(&connection.publisher(), &queue.name, ["the end"]).await;
    let mut consumer = connection.consume(&queue.name, 1).await.unwrap();
    let mut all = Vec::new();
    loop {
        match take(&mut consumer).await {
            end if end == "the end" => return all,
            text => all.push(text),
        }
    }
}

pub async fn a_headers_exchange_compares_all_or_any_of_them(bus: &Bus) {
    let pdf = || headers([("format", text("pdf")), ("pages", HeaderValue::Int(3))]);
    let (connection, exchange, queues) = bound(bus, [(HeaderMatch::All, pdf()), (HeaderMatch::Any, pdf())]).await;
    let publisher = connection.publisher();
    for (name, headers) in [
        ("both", pdf()),
        ("more", headers([("format", text("pdf")), ("pages", HeaderValue::Int(3)), ("x-more", text("."))])),
        ("one", headers([("format", text("pdf")), ("pages", HeaderValue::Int(4))])),
        ("the other", headers([("pages", HeaderValue::Int(3))])),
    ] {
        let message = oat::bus::Message { headers, ..note(name) };
        publisher.publish(&exchange.name, "whatever", message).await.unwrap();
    }
    let none = note("none").header("format", text("ps"));
    let error = publisher.publish(&exchange.name, "whatever", none).await.unwrap_err();
    assert!(matches!(error, Error::Unroutable { .. }), "{error:?}");
    assert_eq!(drained(&connection, &queues[0]).await, ["both", "more"]);
    assert_eq!(drained(&connection, &queues[1]).await, ["both", "more", "one", "the other"]);
}

pub async fn headers_of_every_kind_are_compared_with_their_kind(bus: &Bus) {
    let wanted = [
        headers([("h", HeaderValue::Int(1))]),
        headers([("h", HeaderValue::Bool(true))]),
        headers([("h", HeaderValue::Float(0.5))]),
        headers([("h", text("1"))]),
    ];
    let (connection, exchange, queues) = bound(bus, wanted.clone().map(|headers| (HeaderMatch::All, headers))).await;
    for (n, headers) in wanted.into_iter().enumerate() {
        let message = oat::bus::Message { headers, ..note(n) };
        connection.publisher().publish(&exchange.name, "", message).await.unwrap();
    }
    for (n, queue) in queues.iter().enumerate() {
        assert_eq!(drained(&connection, queue).await, [n.to_string()]);
    }
}

pub async fn what_starts_with_x_is_not_compared_and_all_of_nothing_is_everything(bus: &Bus) {
    let (connection, exchange, queues) = bound(
        bus,
        [
            (HeaderMatch::All, headers([("x-kind", text("a"))])),
            (HeaderMatch::Any, headers([("x-kind", text("a"))])),
            (HeaderMatch::All, headers([])),
        ],
    )
    .await;
    let publisher = connection.publisher();
    publisher.publish(&exchange.name, "", note("bare")).await.unwrap();
    publisher.publish(&exchange.name, "", note("dressed").header("x-kind", text("a"))).await.unwrap();
    assert_eq!(drained(&connection, &queues[0]).await, ["bare", "dressed"]);
    assert_eq!(drained(&connection, &queues[1]).await, [] as [&str; 0]);
    assert_eq!(drained(&connection, &queues[2]).await, ["bare", "dressed"]);
}

pub async fn bindings_that_differ_in_their_headers_only_are_two(bus: &Bus) {
    let (connection, exchange, [queue]) = bound(bus, [(HeaderMatch::All, headers([("a", text("1"))]))]).await;
    let more = Binding::headers(&exchange.name, HeaderMatch::All, headers([("b", text("2"))]));
    let again = Topology { exchanges: vec![], queues: vec![queue.clone().bound(more)] };
    connection.declare(&again).await.unwrap();
    connection.declare(&again).await.unwrap();
    let publisher = connection.publisher();
    publisher.publish(&exchange.name, "", note("first").header("a", text("1"))).await.unwrap();
    publisher.publish(&exchange.name, "", note("second").header("b", text("2"))).await.unwrap();
    publisher.publish(&exchange.name, "", note("both").header("a", text("1")).header("b", text("2"))).await.unwrap();
    assert_eq!(drained(&connection, &queue).await, ["first", "second", "both"]);
}
