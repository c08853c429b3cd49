//! Calls on a way to the broker that is cut: the request is sent again, executed once, and its answer heard.

use super::proxy::Proxy;
use super::support::rabbitmq_url;
use super::{open, plain, soon, unique};
use oat::bus::rpc::{Client, Failure, Request, Server, Target};
use oat::bus::{Connection, Error, Message, Topology};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

const LONG: Duration = Duration::from_secs(60);

fn port() -> u16 {
    url::Url::parse(rabbitmq_url()).unwrap().port().expect("the test broker has a port of its own")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_survives_its_connection_and_is_executed_once() {
    let proxy = Proxy::start("127.0.0.1", port()).await;
    let near = open(rabbitmq_url(), Topology::default()).await;
    let far = open(&proxy.lead(rabbitmq_url()), Topology::default()).await;
    let target = Target::oat(&unique("cut"));
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let executed = Arc::new(watch::channel(0).0);
    let gate = (begun.clone(), go_on.clone(), executed.clone());
    let handler = move |_: Request| {
        let (begun, go_on, executed) = gate.clone();
        async move {
            executed.send_modify(|count| *count += 1);
            begun.notify_one();
            go_on.notified().await;
            Ok::<Value, Failure>(json!("done"))
        }
    };
    let _server = Server::serve(&near, &target, 4, handler).await.unwrap();
    let client = Client::open(&far, &target).await.unwrap();
    let call = tokio::spawn(async move { client.call("wait", &json!({}), LONG).await });
    soon("the method begins", begun.notified()).await;
    // The channel to which the broker would have passed the answer is gone with this.
    proxy.cut();
    go_on.notify_one();
    assert_eq!(soon("the answer", call).await.unwrap().unwrap(), json!("done"));
    assert_eq!(*executed.borrow(), 1);
    near.close().await;
    far.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_on_a_link_that_is_cut_again_and_again_are_all_answered_and_none_is_executed_twice() {
    const CALLS: i64 = 300;
    let proxy = Proxy::start("127.0.0.1", port()).await;
    let near = open(rabbitmq_url(), Topology::default()).await;
    let far = open(&proxy.lead(rabbitmq_url()), Topology::default()).await;
    let target = Target::oat(&unique("cuts"));
    let executed: Arc<Mutex<BTreeMap<i64, u32>>> = Arc::default();
    let counting = executed.clone();
    let handler = move |request: Request| {
        let number = request.args["arg"].as_i64().expect("a number");
        *counting.lock().unwrap().entry(number).or_default() += 1;
        async move { Ok::<Value, Failure>(json!(number + 1)) }
    };
    let _server = Server::serve(&near, &target, 8, handler).await.unwrap();
    let client = Client::open(&far, &target).await.unwrap();
    let answered = Arc::new(watch::channel(0).0);
    let callers: Vec<_> = (0..4)
        .map(|caller| {
            let (client, answered) = (client.clone(), answered.clone());
            tokio::spawn(async move {
                for number in (caller..CALLS).step_by(4) {
                    let sum = client.call("adder", &json!({"arg": number}), LONG).await.expect("answered in the end");
                    assert_eq!(sum, json!(number + 1));
                    answered.send_modify(|count| *count += 1);
                }
            })
        })
        .collect();
    for cut in 1..=10 {
        let enough = cut * CALLS / 11;
        soon("calls go on", answered.subscribe().wait_for(|count| *count >= enough)).await.unwrap();
        proxy.cut();
    }
    for caller in callers {
        soon("all are answered", caller).await.unwrap();
    }
    let executed = executed.lock().unwrap();
    assert!(executed.len() as i64 == CALLS && executed.values().all(|times| *times == 1), "{executed:?}");
}

/// Dropping the channel of the others' calls would have all of them sent again.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_cannot_be_sent_costs_no_other_its_answer() {
    let name = unique("long");
    let bus = open(rabbitmq_url(), plain(&name)).await;
    let Connection::Amqp(connection) = &bus else { panic!("it is RabbitMQ") };
    let requester = connection.requester(Arc::new(|_| {}));
    let until = Instant::now() + LONG;
    let request = |kind: &str| Message { kind: Some(kind.into()), ..Message::default() };
    let waiting = requester.ask(&name, request("adder"), until).await.unwrap();
    let long = "x".repeat(300);
    for (key, kind) in [(name.as_str(), long.as_str()), (&long, "adder")] {
        let refused = requester.ask(key, request(kind), until).await;
        assert!(matches!(refused, Err(Error::Nacked { .. })), "{refused:?}");
    }
    assert!(!waiting.is_cancelled(), "the first call would be sent again");
    bus.close().await;
}
