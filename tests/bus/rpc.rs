//! Calls: answers, deadlines, cancellation, failures, requests that come twice.

use crate::fixture::{Bus, soon};
use crate::support::wait_until_equal;
use oat::bus::rpc::{Client, Error, Failure, Request, Server, Target};
use oat::bus::{Connection, Error as BusError, HeaderValue, Message, Queue};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

async fn add(request: Request) -> Result<Value, Failure> {
    match (request.method.as_str(), request.args["arg"].as_i64()) {
        ("adder", Some(number)) => Ok(json!(number + 1)),
        ("adder", None) => Err(Failure::new("TypeError", "arg is no whole number")),
        (other, _) => Err(Failure::unknown(other)),
    }
}

async fn open(bus: &Bus) -> (Connection, Target) {
    (bus.open(&[], &[]).await, Target::oat(&bus.name("adder")))
}

async fn client(bus: &Connection, target: &Target) -> Client {
    Client::open(bus, target).await.expect("a client opens")
}

pub async fn a_call_is_answered(bus: &Bus) {
    let (bus, target) = open(bus).await;
    let server = Server::serve(&bus, &target, 4, add).await.unwrap();
    let client = client(&bus, &target).await;
    assert_eq!(client.call("adder", &json!({"arg": 42}), LONG).await.unwrap(), json!(43));
    server.stop().await;
}

pub async fn many_calls_at_once_each_get_their_own_answer(bus: &Bus) {
    let (bus, target) = open(bus).await;
    let _server = Server::serve(&bus, &target, 8, add).await.unwrap();
    let client = client(&bus, &target).await;
    let calls = (0..100).map(|number| {
        let client = client.clone();
        async move { (number, client.call("adder", &json!({"arg": number}), LONG).await.unwrap()) }
    });
    for (number, answer) in futures_util::future::join_all(calls).await {
        assert_eq!(answer, json!(number + 1));
    }
}

pub async fn a_failure_comes_back_with_its_kind(bus: &Bus) {
    let (bus, target) = open(bus).await;
    let _server = Server::serve(&bus, &target, 4, add).await.unwrap();
    let client = client(&bus, &target).await;
    for (method, kind) in [("adder", "TypeError"), ("subtract", "NoSuchMethod")] {
        match client.call(method, &json!({"arg": "x"}), LONG).await {
            Err(Error::Remote { failure, .. }) => assert_eq!(failure.kind, kind),
            other => panic!("{other:?}"),
        }
    }
}

pub async fn a_method_that_panics_is_a_failure_and_the_server_goes_on(bus: &Bus) {
    let (bus, target) = open(bus).await;
    let handler = |request: Request| async move {
        assert!(request.method != "panic", "on purpose");
        add(request).await
    };
    let _server = Server::serve(&bus, &target, 1, handler).await.unwrap();
    let client = client(&bus, &target).await;
    let panicked = client.call("panic", &json!({}), LONG).await;
    assert!(matches!(panicked, Err(Error::Remote { .. })), "{panicked:?}");
    assert_eq!(client.call("adder", &json!({"arg": 1}), LONG).await.unwrap(), json!(2));
}

pub async fn nobody_who_serves_is_told_at_once(bus: &Bus) {
    let (bus, target) = open(bus).await;
    let client = client(&bus, &target).await;
    let nobody = async || soon("an error", client.call("adder", &json!({"arg": 1}), LONG * 2)).await;
    assert!(matches!(nobody().await, Err(Error::Unroutable { .. })));
    let server = Server::serve(&bus, &target, 1, add).await.unwrap();
    assert_eq!(nobody().await.unwrap(), json!(2));
    server.stop().await;
    assert!(matches!(nobody().await, Err(Error::Unroutable { .. })), "the last server is gone");
}

/// As when all servers were killed, and their queue has expired.
pub async fn a_call_whose_request_is_gone_with_its_queue_is_told_that_nobody_serves(bus: &Bus) {
    let (connection, target) = (bus.open(&[], &[bus.queue("adder")]).await, Target::oat(&bus.name("adder")));
    let client = client(&connection, &target).await;
    let calling = tokio::spawn(async move { client.call("adder", &json!({"arg": 1}), LONG * 60).await });
    wait_until_equal("the request waits", 1, async || connection.depth(&bus.name("adder")).await.unwrap().ready).await;
    connection.delete_queue(&bus.name("adder")).await.unwrap();
    let told = soon("an error", calling).await.unwrap().unwrap_err();
    assert!(matches!(told, Error::Unroutable { .. }), "{told}");
}

pub async fn a_request_that_is_late_is_not_executed(bus: &Bus) {
    let (bus, target) = open(bus).await;
    let queue = target_queue(&target);
    // As if its server were being restarted.
    bus.declare(&oat::bus::Topology { exchanges: vec![], queues: vec![queue] }).await.unwrap();
    let client = client(&bus, &target).await;
    let late = client.call("adder", &json!({"arg": 1}), SHORT).await;
    assert!(matches!(late, Err(Error::Timeout { .. })), "{late:?}");
    let (executed, mut seen) = mpsc::unbounded_channel();
    let handler = move |request: Request| {
        executed.send(request.args["arg"].clone()).unwrap();
        add(request)
    };
    let _server = Server::serve(&bus, &target, 1, handler).await.unwrap();
    assert_eq!(client.call("adder", &json!({"arg": 2}), LONG).await.unwrap(), json!(3));
    assert_eq!(seen.recv().await, Some(json!(2)), "the late one came first, and was executed");
}

pub async fn a_handler_is_dropped_when_its_time_is_up(bus: &Bus) {
    let (bus, target) = open(bus).await;
    let dropped = Arc::new(Notify::new());
    let _server = Server::serve(&bus, &target, 1, endless(dropped.clone(), Arc::default())).await.unwrap();
    let client = client(&bus, &target).await;
    let late = client.call("endless", &json!({}), SHORT).await;
    assert!(matches!(late, Err(Error::Timeout { .. }) | Err(Error::Remote { .. })), "{late:?}");
    soon("the handler is dropped", dropped.notified()).await;
}

pub async fn a_call_that_is_dropped_is_called_off(bus: &Bus) {
    let (bus, target) = open(bus).await;
    let (dropped, begun) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let _server = Server::serve(&bus, &target, 1, endless(dropped.clone(), begun.clone())).await.unwrap();
    let client = client(&bus, &target).await;
    let call = tokio::spawn(async move { client.call("endless", &json!({}), LONG * 60).await });
    soon("the method begins", begun.notified()).await;
    call.abort();
    soon("the handler is dropped long before its deadline", dropped.notified()).await;
}

/// A handler without an end that tells when it has begun and when it is dropped.
fn endless(
    dropped: Arc<Notify>,
    begun: Arc<Notify>,
) -> impl Fn(Request) -> std::pin::Pin<Box<dyn Future<Output = Result<Value, Failure>> + Send>> {
    struct Tell(Arc<Notify>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    move |_| {
        let (tell, begun) = (Tell(dropped.clone()), begun.clone());
        Box::pin(async move {
            let _tell = tell;
            begun.notify_one();
            std::future::pending().await
        })
    }
}

pub async fn a_request_that_comes_twice_is_executed_once_and_answered_twice(bus: &Bus) {
    let (bus, target) = open(bus).await;
    let executed = Arc::new(AtomicU32::new(0));
    let counting = executed.clone();
    let handler = move |request: Request| {
        counting.fetch_add(1, Ordering::Relaxed);
        add(request)
    };
    let _server = Server::serve(&bus, &target, 4, handler).await.unwrap();
    let answers = Queue::exclusive("answers");
    let name = answers.name.clone();
    bus.declare(&oat::bus::Topology { exchanges: vec![], queues: vec![answers] }).await.unwrap();
    let mut consumer = bus.consume(&name, 10).await.unwrap();
    let mut request = Message::new("application/json", br#"{"arg":1}"#.to_vec()).kind("adder").id("once");
    request.reply_to = Some(name);
    for _ in 0..2 {
        bus.publisher().publish("", &target_queue(&target).name, request.clone()).await.unwrap();
    }
    for _ in 0..2 {
        let answer = soon("an answer", consumer.next()).await.unwrap();
        assert_eq!(
            (answer.message.body.as_slice(), answer.message.correlation_id.as_deref()),
            (&b"2"[..], Some("once"))
        );
        answer.ack().await.unwrap();
    }
    assert_eq!(executed.load(Ordering::Relaxed), 1);
}

pub async fn calling_off_the_unknown_pushes_no_answer_out_of_the_memory(bus: &Bus) {
    let (bus, target) = open(bus).await;
    let (executed, dropped, begun) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (counting, endless) = (executed.clone(), endless(dropped.clone(), begun.clone()));
    let handler = move |request: Request| match request.method.as_str() {
        "adder" => {
            counting.fetch_add(1, Ordering::Relaxed);
            Box::pin(add(request)) as std::pin::Pin<Box<dyn Future<Output = Result<Value, Failure>> + Send>>
        }
        _ => endless(request),
    };
    let _server = Server::serve(&bus, &target, 4, handler).await.unwrap();
    let (queue, publisher) = (target_queue(&target).name, bus.publisher());
    let answers = Queue::exclusive("answers");
    let name = answers.name.clone();
    bus.declare(&oat::bus::Topology { exchanges: vec![], queues: vec![answers] }).await.unwrap();
    let mut consumer = bus.consume(&name, 10).await.unwrap();
    let ask = async |method: &str, id: &str| {
        let mut request = Message::new("application/json", br#"{"arg":1}"#.to_vec()).kind(method).id(id);
        request.reply_to = Some(name.clone());
        publisher.publish("", &queue, request).await.unwrap();
    };
    ask("adder", "once").await;
    soon("an answer", consumer.next()).await.unwrap().ack().await.unwrap();
    ask("endless", "long").await;
    soon("the method begins", begun.notified()).await;
    let exchange = format!("{queue}.cancel");
    let unknown = (0..1000).map(|number| format!("unknown {number}"));
    for id in unknown.chain(["early".into(), "long".into()]) {
        let called_off = Message { correlation_id: Some(id), transient: true, ..Message::default() };
        publisher.announce(&exchange, "", called_off).await.unwrap();
    }
    soon("all of them are heard", dropped.notified()).await;
    soon("the failure", consumer.next()).await.unwrap().ack().await.unwrap();
    // What was called off before it came is not executed; what was answered before is answered again.
    ask("adder", "early").await;
    ask("adder", "once").await;
    let answer = soon("the answer", consumer.next()).await.unwrap();
    assert_eq!(answer.message.correlation_id.as_deref(), Some("once"));
    answer.ack().await.unwrap();
    assert_eq!(executed.load(Ordering::Relaxed), 1);
}

/// The next one serves before the last one stops: what that had fetched and not begun goes to its successor.
pub async fn no_call_is_lost_while_servers_take_turns(bus: &Bus) {
    let (bus, target) = open(bus).await;
    let mut server = Server::serve(&bus, &target, 8, add).await.unwrap();
    let client = client(&bus, &target).await;
    let over = Arc::new(AtomicBool::new(false));
    let calling = |number: u32| {
        let (client, over) = (client.clone(), over.clone());
        async move {
            while !over.load(Ordering::Relaxed) {
                assert_eq!(client.call("adder", &json!({"arg": number}), LONG).await.unwrap(), json!(number + 1));
            }
        }
    };
    let callers: Vec<_> = (0..8).map(|number| tokio::spawn(calling(number))).collect();
    for _ in 0..50 {
        let next = Server::serve(&bus, &target, 8, add).await.unwrap();
        std::mem::replace(&mut server, next).stop().await;
    }
    over.store(true, Ordering::Relaxed);
    for caller in callers {
        soon("every call has an answer", caller).await.unwrap();
    }
    server.stop().await;
}

pub async fn a_queue_in_use_is_not_deleted_as_unused(bus: &Bus) {
    let queue = bus.queue("used").kind(oat::bus::QueueKind::Classic);
    let bus = bus.open(&[], std::slice::from_ref(&queue)).await;
    let name = queue.name.as_str();
    let mut consumer = bus.consume(name, 8).await.unwrap();
    assert!(!bus.delete_unused_queue(name).await.unwrap(), "it is consumed");
    for _ in 0..8 {
        bus.publisher().publish("", name, Message::default()).await.unwrap();
    }
    let first = soon("a delivery", consumer.next()).await.unwrap();
    crate::support::wait_until_equal("the rest is fetched", 0, async || bus.depth(name).await.unwrap().ready).await;
    consumer.cancel().await;
    assert_eq!(bus.depth(name).await.unwrap().ready, 7, "what was fetched and not handed out is back");
    assert!(!bus.delete_unused_queue(name).await.unwrap(), "messages wait in it");
    first.ack().await.unwrap();
    bus.purge(name).await.unwrap();
    crate::support::wait_until_async("it goes", async || bus.delete_unused_queue(name).await.unwrap()).await;
    assert!(bus.delete_unused_queue(name).await.unwrap(), "it is gone already");
    assert!(matches!(bus.depth(name).await, Err(BusError::Missing { .. })));
}

pub async fn a_request_that_cannot_be_read_is_answered_with_the_reason(bus: &Bus) {
    let (bus, target) = open(bus).await;
    let _server = Server::serve(&bus, &target, 1, add).await.unwrap();
    let answers = Queue::exclusive("answers");
    let name = answers.name.clone();
    bus.declare(&oat::bus::Topology { exchanges: vec![], queues: vec![answers] }).await.unwrap();
    let mut consumer = bus.consume(&name, 10).await.unwrap();
    let mut request = Message::new("text/plain", b"what?".to_vec()).kind("adder").header("x", HeaderValue::Int(1));
    request.reply_to = Some(name);
    bus.publisher().publish("", &target_queue(&target).name, request).await.unwrap();
    let answer = soon("an answer", consumer.next()).await.unwrap();
    assert_eq!(answer.message.kind.as_deref(), Some("failure"));
    answer.ack().await.unwrap();
}

pub async fn a_stopped_server_finishes_what_it_has_begun(bus: &Bus) {
    let (bus, target) = open(bus).await;
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let signals = (begun.clone(), go_on.clone());
    let handler = move |request: Request| {
        let (begun, go_on) = signals.clone();
        async move {
            begun.notify_one();
            go_on.notified().await;
            add(request).await
        }
    };
    let server = Server::serve(&bus, &target, 1, handler).await.unwrap();
    let client = client(&bus, &target).await;
    let call = tokio::spawn(async move { client.call("adder", &json!({"arg": 1}), LONG).await });
    soon("the method begins", begun.notified()).await;
    let stopping = tokio::spawn(server.stop());
    go_on.notify_one();
    assert_eq!(soon("the answer", call).await.unwrap().unwrap(), json!(2));
    soon("the server ends", stopping).await.unwrap();
}

pub async fn a_client_that_is_gone_leaves_no_queue(bus: &Bus) {
    let (bus, _) = open(bus).await;
    let target = Target::oslo("leaves", None);
    let client = client(&bus, &target).await;
    let reply = |name: &String| name.starts_with("reply_");
    let queue = bus.queues().await.unwrap().into_iter().find(reply).expect("its queue for answers");
    drop(client);
    crate::support::wait_until_async("its queue is deleted", async || {
        matches!(bus.depth(&queue).await, Err(BusError::Missing { .. }))
    })
    .await;
}

pub async fn a_client_that_closes_leaves_nothing_behind(bus: &Bus) {
    let (near, target) = open(bus).await;
    let (dropped, begun) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let _server = Server::serve(&near, &target, 1, endless(dropped.clone(), begun.clone())).await.unwrap();
    let far = bus.open(&[], &[]).await;
    let caller = client(&far, &target).await;
    let call = tokio::spawn({
        let caller = caller.clone();
        async move { caller.call("endless", &json!({}), LONG * 60).await }
    });
    soon("the method begins", begun.notified()).await;
    let oslo = client(&far, &Target::oslo("closes", None)).await;
    let reply = |name: &String| name.starts_with("reply_");
    let queue = far.queues().await.unwrap().into_iter().find(reply).expect("its queue for answers");
    caller.close().await;
    oslo.close().await;
    let gone = far.depth(&queue).await;
    assert!(matches!(gone, Err(BusError::Missing { .. })), "{gone:?}");
    far.close().await;
    soon("the handler is dropped", dropped.notified()).await;
    assert!(soon("the call ends", call).await.unwrap().is_err());
}

pub async fn a_server_that_stops_leaves_no_queue_of_its_own(bus: &Bus) {
    let topic = bus.name("stops");
    let (bus, _) = open(bus).await;
    let server = Server::serve(&bus, &Target::oslo(&topic, Some("myname")), 1, add).await.unwrap();
    let mine = async || {
        let all = bus.queues().await.unwrap().into_iter();
        all.filter(|name| name.starts_with(&format!("{topic}_fanout_"))).collect::<Vec<_>>()
    };
    let queue = mine().await.pop().expect("its share of what goes to all");
    server.stop().await;
    assert!(matches!(bus.depth(&queue).await, Err(BusError::Missing { .. })) && mine().await.is_empty());
}

fn target_queue(target: &Target) -> Queue {
    let Target::Oat { name } = target else { panic!("these tests call services of ours") };
    Queue::new(name).kind(oat::bus::QueueKind::Classic).expires(LONG)
}
