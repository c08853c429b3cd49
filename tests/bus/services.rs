//! Services talk: events, commands, results, configurations, logs. What becomes of what cannot be handled is in
//! `failures.rs`.

use crate::fixture::{Bus, next, soon};
use crate::running::{Running, inbox, open, options, put};
use oat::bus::service::{CallError, Conversation, Failure, Incoming, Kind, Log, Queues, Severity};
use oat::bus::service::{Service, ServiceOptions};
use oat::bus::{Binding, Error, Exchange, ExchangeKind};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

const MINUTE: Duration = Duration::from_secs(60);

/// Says whom it reached, and which number it bore.
async fn report(who: u32, told: UnboundedSender<(u32, i64)>, incoming: Incoming) -> Result<(), Failure> {
    told.send((who, incoming.payload()?)).map_err(|_| "the test is over".into())
}

pub async fn an_event_reaches_every_service_and_there_one_instance(bus: &Bus) {
    let (told, mut heard) = inbox();
    let mut running = Vec::new();
    for (who, name) in ["stock", "stock", "mail"].into_iter().enumerate() {
        let service = open(bus, options(bus, name).events(&["OrderPlaced", "#.OrderPlaced", "*.never"])).await;
        let told = told.clone();
        running.push(Running::start(service, move |incoming, _| report(who as u32, told.clone(), incoming)));
    }
    let shop = open(bus, options(bus, "shop")).await;
    for number in 0..20 {
        assert!(shop.publish_event("OrderPlaced", &number, "7").await.unwrap());
    }
    assert!(!shop.publish_event("OrderLost", &0, "7").await.unwrap(), "nobody listens to that");
    let mut seen = Vec::new();
    while seen.len() < 40 {
        seen.push(soon("an event", heard.recv()).await.unwrap());
    }
    let stock: BTreeSet<i64> = seen.iter().filter(|(who, _)| *who < 2).map(|(_, number)| *number).collect();
    let mail: Vec<i64> = seen.iter().filter(|(who, _)| *who == 2).map(|(_, number)| *number).collect();
    assert_eq!(stock.len(), 20, "each event came to one of the two: {seen:?}");
    assert_eq!(mail, (0..20).collect::<Vec<_>>(), "and in order");
    for instance in running {
        instance.stop().await;
    }
    assert!(heard.try_recv().is_err());
}

async fn add(incoming: Incoming, conversation: Conversation) -> Result<Value, Failure> {
    assert_eq!(incoming.kind, Kind::Command);
    let number: i64 = incoming.payload()?;
    match incoming.name.as_str() {
        "adder.Add" => Ok(json!({ "sum": number + 1, "conversation": conversation.id() })),
        other => Err(Failure::refused(format!("{other}? never heard"))),
    }
}

pub async fn a_command_is_answered_whichever_way_either_side_writes(bus: &Bus) {
    let adder = ServiceOptions { json: true, ..options(bus, "adder").commands(&["adder.*"]) };
    let adder = Running::start(open(bus, adder).await, add);
    let shop = open(bus, options(bus, "shop")).await;
    let conversation = shop.conversation("seven");
    let answers = (41..50).map(async |number| conversation.call::<Value>("adder.Add", &number, MINUTE).await);
    for (number, answer) in (42..).zip(futures_util::future::join_all(answers).await) {
        assert_eq!(answer.unwrap(), json!({ "sum": number, "conversation": "seven" }));
    }
    adder.stop().await;
}

pub async fn a_refused_command_is_answered_with_an_error(bus: &Bus) {
    let adder = Running::start(open(bus, options(bus, "adder").commands(&["adder.*"])).await, add);
    let shop = open(bus, options(bus, "shop")).await;
    for (command, payload, expected) in
        [("adder.Multiply", json!(1), "never heard"), ("adder.Add", json!("one"), "expected integer")]
    {
        match shop.call::<Value>(command, &payload, MINUTE).await {
            Err(CallError::Failed { answer, .. }) => assert!(answer.to_string().contains(expected), "{answer}"),
            other => panic!("{other:?}"),
        }
    }
    adder.stop().await;
}

pub async fn a_call_ends_in_time_and_says_when_nobody_serves_it(bus: &Bus) {
    let shop = open(bus, options(bus, "shop")).await;
    let nobody = shop.call::<Value>("adder.Add", &1, MINUTE).await;
    assert!(matches!(nobody, Err(CallError::Bus(Error::Unroutable { .. }))), "{nobody:?}");
    let adder = open(bus, options(bus, "adder").commands(&["adder.*"])).await;
    let late = shop.call::<Value>("adder.Add", &1, Duration::from_millis(200)).await;
    assert!(matches!(late, Err(CallError::Bus(Error::TimedOut { .. }))), "{late:?}");
    // Nobody wants the answer to that any more; what comes next is answered.
    let adder = Running::start(adder, add);
    let answer: Value = shop.call("adder.Add", &2, MINUTE).await.unwrap();
    assert_eq!(answer["sum"], 3);
    adder.stop().await;
}

pub async fn a_result_comes_to_whoever_subscribed_to_its_key(bus: &Bus) {
    let adder = Running::start(open(bus, options(bus, "adder").commands(&["adder.*"])).await, add);
    let (told, mut heard) = inbox();
    let shop = open(bus, options(bus, "shop").commands(&["shop.*"])).await;
    let talk = shop.conversation("seven");
    let shop = Running::start(shop, move |incoming, conversation| put(told.clone(), (incoming, conversation)));
    talk.send_command("adder.Add", &1, "shop.Added", "first").await.unwrap();
    let (result, conversation) = soon("the result", heard.recv()).await.unwrap();
    assert_eq!((result.kind, result.name.as_str()), (Kind::Result { success: true }, "shop.Added"));
    assert_eq!((result.correlation_id.as_deref(), conversation.id()), (Some("first"), "seven"));
    assert_eq!(result.payload::<Value>().unwrap()["sum"], 2);
    talk.send_command("adder.Halve", &1, "shop.Halved", "second").await.unwrap();
    let (result, _) = soon("the other result", heard.recv()).await.unwrap();
    assert_eq!(result.kind, Kind::Result { success: false });
    adder.stop().await;
    shop.stop().await;
}

pub async fn a_service_waits_for_its_configuration(bus: &Bus) {
    let (told, mut heard) = inbox();
    let stock = open(bus, options(bus, "stock").events(&["OrderPlaced"]).configurations(&["Prices", "Taxes"])).await;
    let shop = open(bus, options(bus, "shop")).await;
    shop.publish_event("OrderPlaced", &1, "7").await.unwrap();
    let stock = Running::start(stock, move |incoming: Incoming, _| {
        let told = told.clone();
        async move {
            let enough = incoming.name == "Taxes";
            put(told, incoming.name).await.map(|()| enough)
        }
    });
    let nobody = shop.new_conversation();
    assert!(nobody.publish_configuration("Prices", &json!({ "bolt": 1 })).await.unwrap());
    assert_eq!(soon("the first configuration", heard.recv()).await.unwrap(), "Prices");
    assert!(nobody.publish_configuration("Taxes", &json!({ "bolt": 2 })).await.unwrap());
    for expected in ["Taxes", "OrderPlaced"] {
        assert_eq!(soon("business begins", heard.recv()).await.unwrap(), expected);
    }
    stock.stop().await;
}

pub async fn exclusive_queues_take_nothing_from_anybody_and_leave_nothing(bus: &Bus) {
    let stock = open(bus, options(bus, "stock").events(&["OrderPlaced"])).await;
    let watching = ServiceOptions { queues: Queues::Exclusive, ..options(bus, "stock").events(&["#"]) };
    let (told, mut heard) = inbox();
    let watching = open(bus, watching).await;
    let watching = Running::start(watching, move |incoming: Incoming, _| put(told.clone(), incoming.name));
    stock.publish_event("OrderPlaced", &1, "7").await.unwrap();
    assert_eq!(soon("the watcher sees it", heard.recv()).await.unwrap(), "OrderPlaced");
    watching.stop().await;
    assert!(!stock.publish_event("OrderLost", &1, "7").await.unwrap(), "the watcher's queue is gone");
    let left = bus.open(&[], &[]).await.depth(&format!("{}.events", bus.name("stock"))).await.unwrap();
    assert_eq!(left.ready, 1);
}

pub async fn a_log_line_is_gelf_under_the_key_of_its_level(bus: &Bus) {
    let logs = Exchange::new(&bus.name("logs"), ExchangeKind::Topic);
    let queue = bus.queue("seen").bound(Binding::new(&logs.name, "#.ALERT"));
    let connection = bus.open(&[logs], std::slice::from_ref(&queue)).await;
    let shop: Service = open(bus, options(bus, "shop")).await;
    shop.log(Log::new(Severity::Info, "business as usual"));
    shop.conversation("seven").log(Log::new(Severity::Alert, "the door is open").field("door", 3));
    shop.close().await;
    let delivery = next(&mut connection.consume(&queue.name, 1).await.unwrap()).await;
    assert_eq!(delivery.routing_key, format!("{}.ALERT", bus.name("shop")));
    let gelf: Value = serde_json::from_slice(&delivery.message.body).unwrap();
    assert_eq!((&gelf["short_message"], &gelf["level"]), (&json!("the door is open"), &json!(1)));
    assert_eq!((&gelf["_conversation_id"], &gelf["_door"]), (&json!("seven"), &json!(3)));
    delivery.ack().await.unwrap();
}

pub async fn plain_and_quorum_queues_of_one_name_are_a_conflict(bus: &Bus) {
    let plain = options(bus, "stock").events(&["OrderPlaced"]);
    let _first = open(bus, plain.clone()).await;
    let other = Service::open(&[&bus.url], ServiceOptions { queues: Queues::Quorum, ..plain }).await;
    let error = other.map(drop).unwrap_err();
    assert!(matches!(&error, Error::Conflict { what, .. } if what.contains("stock.events")), "{error:?}");
}
