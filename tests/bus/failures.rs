//! What becomes of what a service cannot handle, or does not come to the end with.

use crate::fixture::{Bus, next, soon};
use crate::running::{Running, inbox, open, options, put};
use crate::support::wait_until_async;
use oat::bus::service::{CallError, Conversation, Failure, Incoming, Queues, ServiceOptions};
use oat::bus::{Binding, Delivery, Message};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::Notify;

const MINUTE: Duration = Duration::from_secs(60);

/// The next of the dead letters of a service.
async fn dead(bus: &Bus, service: &str) -> Delivery {
    let connection = bus.open(&[], &[]).await;
    let mut consumer = connection.consume(&bus.name(&format!("{service}.dead")), 1).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.message.text("x-oat-exchange").map(|name| name.starts_with(&bus.name(""))), Some(true));
    delivery
}

pub async fn what_fails_is_tried_again_a_few_times_and_kept(bus: &Bus) {
    for queues in [Queues::Shared, Queues::Quorum] {
        let name = format!("stock-{queues:?}");
        let stock = ServiceOptions { queues, ..options(bus, &name).events(&["OrderPlaced"]) };
        let (told, mut heard) = inbox();
        let stock = Running::start(open(bus, stock).await, move |incoming: Incoming, conversation: Conversation| {
            let told = told.clone();
            async move {
                let seen = (incoming.name.clone(), conversation.id().to_owned(), incoming.attempt);
                put(told, (seen, incoming.payload::<i64>()?)).await?;
                Err::<(), _>(Failure::Again("no room on the shelf".into()))
            }
        });
        let shop = open(bus, options(bus, "shop")).await;
        shop.publish_event("OrderPlaced", &7, "seven").await.unwrap();
        for attempt in 1..=3 {
            let expected = (("OrderPlaced".to_owned(), "seven".to_owned(), attempt), 7);
            assert_eq!(soon("the next try", heard.recv()).await.unwrap(), expected, "{queues:?}");
        }
        let dead = dead(bus, &name).await;
        assert_eq!(dead.message.text("x-oat-reason"), Some("no room on the shelf"));
        assert_eq!(dead.message.text("x-oat-routing-key"), Some("OrderPlaced"));
        dead.ack().await.unwrap();
        stock.stop().await;
        assert!(heard.try_recv().is_err(), "three tries are enough");
    }
}

pub async fn what_kills_every_instance_ends_in_the_dead_letters(bus: &Bus) {
    let shop = open(bus, options(bus, "shop")).await;
    let connection = bus.open(&[], &[]).await;
    for round in 0.. {
        let stock = open(bus, options(bus, "stock").events(&["OrderPlaced"])).await;
        if round == 0 {
            shop.publish_event("OrderPlaced", &7, "seven").await.unwrap();
        }
        if connection.depth(&bus.name("stock.dead")).await.unwrap().ready == 1 {
            return stock.close().await;
        }
        assert!(round <= 40, "it is tried for ever");
        let (told, mut heard) = inbox();
        let running = stock.clone();
        let handler = move |incoming: Incoming, _| {
            let told = told.clone();
            async move {
                put(told, incoming.attempt).await?;
                std::future::pending::<Result<(), Failure>>().await
            }
        };
        let instance = tokio::spawn(async move { running.run(handler, std::future::pending()).await });
        // It has the message, or the broker has given it up.
        let given_up = wait_until_async("it is dead", async || {
            connection.depth(&bus.name("stock.dead")).await.unwrap().ready == 1
        });
        tokio::select! {
            _ = heard.recv() => {}
            () = given_up => {}
        }
        instance.abort();
        stock.close().await;
    }
}

pub async fn what_is_refused_is_kept_at_once(bus: &Bus) {
    let (told, mut heard) = inbox();
    let stock = open(bus, options(bus, "stock").events(&["OrderPlaced"])).await;
    let stock = Running::start(stock, move |incoming: Incoming, _| {
        let told = told.clone();
        async move {
            put(told, incoming.attempt).await?;
            incoming.payload::<Vec<i64>>()
        }
    });
    let shop = open(bus, options(bus, "shop")).await;
    shop.publish_event("OrderPlaced", &"a text, not a list", "7").await.unwrap();
    let dead = dead(bus, "stock").await;
    assert!(dead.message.text("x-oat-reason").unwrap().contains("unreadable"), "{:?}", dead.message.headers);
    dead.ack().await.unwrap();
    stock.stop().await;
    assert_eq!((heard.recv().await, heard.recv().await), (Some(1), None));
}

pub async fn a_command_that_fails_is_answered_and_kept(bus: &Bus) {
    let adder = open(bus, options(bus, "adder").commands(&["adder.*"])).await;
    let adder = Running::start(adder, |incoming: Incoming, _| async move {
        match incoming.attempt {
            2 => panic!("a handler may break"),
            attempt => Err::<(), _>(Failure::from(format!("try {attempt} failed"))),
        }
    });
    let shop = open(bus, options(bus, "shop")).await;
    match shop.call::<Value>("adder.Add", &1, MINUTE).await {
        Err(CallError::Failed { answer, .. }) => {
            assert_eq!(answer, json!({ "reason": "unhandled exception", "message": "try 3 failed" }));
        }
        other => panic!("{other:?}"),
    }
    let dead = dead(bus, "adder").await;
    assert_eq!(dead.message.text("x-oat-reason"), Some("try 3 failed"));
    dead.ack().await.unwrap();
    adder.stop().await;
}

pub async fn what_no_service_understands_is_kept(bus: &Bus) {
    let adder = options(bus, "adder").commands(&["adder.*"]);
    let commands = adder.exchanges.commands.clone();
    let adder = Running::start(open(bus, adder).await, |_, _| async { Ok(()) });
    let connection = bus.open(&[], &[]).await;
    let neither = Message::new("application/json", b"1".to_vec());
    connection.publisher().publish(&commands, "adder.Add", neither).await.unwrap();
    let dead = dead(bus, "adder").await;
    assert!(dead.message.text("x-oat-reason").unwrap().contains("reply_to"), "{:?}", dead.message.headers);
    assert_eq!(dead.message.body, b"1");
    dead.ack().await.unwrap();
    adder.stop().await;
}

/// The handler does not even look: its publish is refused by a full queue, and so its message is not acknowledged.
pub async fn nothing_is_acknowledged_before_what_its_handler_published(bus: &Bus) {
    let stock = options(bus, "stock").events(&["OrderPlaced"]);
    let full = bus.queue("full").max_length(1).bound(Binding::new(&stock.exchanges.events, "Packed"));
    let stock = open(bus, stock).await;
    let connection = bus.open(&[], std::slice::from_ref(&full)).await;
    // RabbitMQ notices that a quorum queue is full when one message more than its length is in it.
    while stock.publish_event("Packed", &0, "7").await.is_ok() {}
    let (told, mut heard) = inbox();
    let stock = Running::start(stock, move |incoming: Incoming, conversation: Conversation| {
        let told = told.clone();
        async move {
            tokio::spawn(async move { conversation.publish_event("Packed", &1).await });
            tokio::task::yield_now().await;
            put(told, incoming.attempt).await
        }
    });
    let shop = open(bus, options(bus, "shop")).await;
    shop.publish_event("OrderPlaced", &1, "7").await.unwrap();
    assert_eq!(soon("the first try", heard.recv()).await, Some(1));
    assert_eq!(soon("the second try", heard.recv()).await, Some(2));
    connection.purge(&full.name).await.unwrap();
    stock.stop().await;
}

pub async fn a_graceful_stop_loses_and_doubles_nothing(bus: &Bus) {
    let shop = open(bus, options(bus, "shop")).await;
    let (told, mut heard) = inbox();
    let instance = async || {
        let stock = ServiceOptions { prefetch: 4, ..options(bus, "stock").events(&["OrderPlaced"]) };
        let told = told.clone();
        Running::start(open(bus, stock).await, move |incoming: Incoming, conversation: Conversation| {
            let told = told.clone();
            async move {
                conversation.publish_event("Packed", &()).await?;
                put(told, incoming.payload::<i64>()?).await
            }
        })
    };
    let first = instance().await;
    for number in 0..100 {
        shop.publish_event("OrderPlaced", &number, "7").await.unwrap();
    }
    let mut seen = vec![soon("the first event", heard.recv()).await.unwrap()];
    first.stop().await;
    let second = instance().await;
    while seen.len() < 100 {
        seen.push(soon("the rest", heard.recv()).await.unwrap());
    }
    second.stop().await;
    assert!(heard.try_recv().is_err(), "nothing came twice");
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>().len(), 100);
}

pub async fn what_is_not_finished_in_time_goes_back(bus: &Bus) {
    let (begun, hanging) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(true)));
    let instance = async || {
        let stock = ServiceOptions { grace: Duration::ZERO, ..options(bus, "stock").events(&["OrderPlaced"]) };
        let (begun, hanging) = (begun.clone(), hanging.clone());
        Running::start(open(bus, stock).await, move |_, _| {
            let (begun, hangs) = (begun.clone(), hanging.swap(false, SeqCst));
            async move {
                begun.notify_one();
                if hangs { std::future::pending().await } else { Ok(()) }
            }
        })
    };
    let first = instance().await;
    let shop = open(bus, options(bus, "shop")).await;
    shop.publish_event("OrderPlaced", &1, "7").await.unwrap();
    soon("the handler begins", begun.notified()).await;
    first.stop().await;
    let second = instance().await;
    soon("another instance begins", begun.notified()).await;
    second.stop().await;
}
