//! A hundred services at once, each with a connection of its own: a hundred events from each, through one topic exchange.
//! Acknowledgements are under way together. So are publishes into a file, which keeps their order: one after the other,
//! ten thousand times a disk would have to say that it has written. RabbitMQ says it to all connections at once, and
//! promises an order only to who waits for each answer.

use crate::fixture::{Bus, next, note, soon, text};
use futures_util::StreamExt;
use futures_util::future::join_all;
use oat::bus::{Binding, Connection, Exchange, ExchangeKind};
use tokio::task::JoinSet;

const SERVICES: usize = 100;
const EVENTS: usize = 100;
const WINDOW: u16 = 20;

pub async fn a_hundred_services_hear_each_other_once_and_in_order(bus: &Bus) {
    let exchange = bus.exchange("events", ExchangeKind::Topic);
    let archive = bus.queue("archive").bound(Binding::new(&exchange.name, "#"));
    let archivist = bus.open(std::slice::from_ref(&exchange), std::slice::from_ref(&archive)).await;
    let services = join_all((0..SERVICES).map(|number| service(bus, &exchange, number))).await;
    let busy = services.iter().enumerate().map(|(number, service)| async move {
        tokio::join!(tell(service, bus, number), hear(service, bus, (number + 1) % SERVICES));
    });
    let all = async { tokio::join!(join_all(busy), keep(&archivist, &archive.name)) };
    soon("every event", all).await;
    assert_eq!(archivist.depth(&archive.name).await.unwrap().ready, 0, "something came twice");
    for (number, service) in services.iter().enumerate() {
        assert_eq!(service.depth(&ear(bus, number)).await.unwrap().ready, 0, "something came twice to {number}");
    }
}

/// The queue in which a service hears its neighbour.
fn ear(bus: &Bus, number: usize) -> String {
    bus.name(&format!("service.{number}"))
}

async fn service(bus: &Bus, exchange: &Exchange, number: usize) -> Connection {
    let neighbour = format!("service.{}.*", (number + 1) % SERVICES);
    let queue = oat::bus::Queue::new(&ear(bus, number)).bound(Binding::new(&exchange.name, &neighbour));
    bus.open(std::slice::from_ref(exchange), &[queue]).await
}

async fn tell(service: &Connection, bus: &Bus, number: usize) {
    let (publisher, exchange, key) = (service.publisher(), bus.name("events"), format!("service.{number}.happened"));
    let window = if bus.url.starts_with("sqlite:") { WINDOW.into() } else { 1 };
    let all = futures_util::stream::iter(0..EVENTS).map(|event| publisher.publish(&exchange, &key, note(event)));
    all.buffered(window).for_each(|outcome| async { outcome.expect("published") }).await;
}

async fn hear(service: &Connection, bus: &Bus, neighbour: usize) {
    let queue = ear(bus, (neighbour + SERVICES - 1) % SERVICES);
    let mut consumer = service.consume(&queue, WINDOW).await.unwrap();
    let mut acks = JoinSet::new();
    for event in 0..EVENTS {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.routing_key, format!("service.{neighbour}.happened"));
        assert_eq!(text(&delivery), event.to_string());
        acks.spawn(delivery.ack());
    }
    acks.join_all().await.into_iter().for_each(|outcome| outcome.expect("acknowledged"));
}

/// All events of all services, those of each in their order.
async fn keep(archivist: &Connection, queue: &str) {
    let mut consumer = archivist.consume(queue, 10 * WINDOW).await.unwrap();
    let mut acks = JoinSet::new();
    let mut heard = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..SERVICES * EVENTS {
        let delivery = next(&mut consumer).await;
        let of_service = heard.entry(delivery.routing_key.clone()).or_default();
        assert_eq!(text(&delivery), of_service.to_string(), "of {}", delivery.routing_key);
        *of_service += 1;
        acks.spawn(delivery.ack());
    }
    acks.join_all().await.into_iter().for_each(|outcome| outcome.expect("acknowledged"));
    assert!(heard.len() == SERVICES && heard.values().all(|events| *events == EVENTS), "{heard:?}");
}
