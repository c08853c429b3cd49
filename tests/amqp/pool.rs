//! The pool of sending connections, as the broker lists them: how many there are, when, and what becomes of the messages.

use super::proxy::Proxy;
use super::support::{rabbitmq_url, rabbitmqctl, wait_until_async};
use super::{number, numbered, patient, plain, soon, unique};
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use oat::bus::{Connection, HeaderValue, Options, Publisher, Senders};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const PUBLISHERS: i64 = 6;
/// Of each publisher: some of them are a crowd.
const UNDER_WAY: usize = 300;
const BURST: i64 = 1000;

/// How many messages are confirmed.
type Confirmed = Arc<watch::Sender<i64>>;

fn port() -> u16 {
    url::Url::parse(rabbitmq_url()).unwrap().port().expect("the test broker has a port of its own")
}

/// An exchange and a queue of this name, and the connections too.
async fn open(url: &str, name: &str, senders: Senders) -> Connection {
    let options = Options { name: name.into(), senders, ..patient() };
    Connection::open(url, plain(name), options).await.expect("the broker is there")
}

/// What the broker lists of the program `name`, and the process behind each.
async fn listed(name: &str) -> BTreeMap<String, String> {
    let list = || rabbitmqctl(&["list_connections", "-q", "pid", "client_properties"]);
    let list = tokio::task::spawn_blocking(list).await.unwrap();
    let rows = list.lines().filter_map(|row| {
        let (pid, properties) = row.split_once('\t')?;
        let (_, rest) = properties.split_once("{\"connection_name\",\"")?;
        let (found, _) = rest.split_once('"')?;
        found.starts_with(name).then(|| (found.to_owned(), pid.to_owned()))
    });
    rows.collect()
}

async fn is_listed(name: &str, parts: &[&str]) -> bool {
    let wanted: BTreeSet<String> = parts.iter().map(|part| format!("{name} {part}")).collect();
    listed(name).await.into_keys().collect::<BTreeSet<_>>() == wanted
}

/// Whether this end knows of so many connections to publish on.
fn has(bus: &Connection, senders: usize) -> bool {
    format!("{bus:?}").contains(&format!("senders: {senders}"))
}

/// Ends one of them as an administrator does.
async fn close_by_force(name: &str, part: &str) {
    let connection = format!("{name} {part}");
    let pid = listed(name).await.remove(&connection).expect("it is there");
    let close = move || rabbitmqctl(&["close_connection", &pid, "the test wants it so"]);
    tokio::task::spawn_blocking(close).await.unwrap();
}

/// Publishes these numbers, many under way at once.
async fn publish(publisher: Publisher, name: String, owner: i64, numbers: Range<i64>, confirmed: Confirmed) {
    let publish = |number| {
        let message = numbered(number).header("publisher", HeaderValue::Int(owner));
        publisher.publish(&name, &name, message)
    };
    let mut publishing = stream::iter(numbers).map(publish).buffered(UNDER_WAY);
    while let Some(result) = publishing.next().await {
        result.expect("it is confirmed in the end");
        confirmed.send_modify(|count| *count += 1);
    }
}

/// All publishers publish these numbers at once, each in one task.
async fn burst(publishers: &[Publisher], name: &str, numbers: Range<i64>, confirmed: &Confirmed) {
    let start = |(owner, publisher): (i64, &Publisher)| {
        tokio::spawn(publish(publisher.clone(), name.into(), owner, numbers.clone(), confirmed.clone()))
    };
    let publishing = (0..).zip(publishers).map(start).collect::<Vec<_>>();
    soon("all are confirmed", join_all(publishing)).await.into_iter().for_each(|done| done.expect("it does not panic"));
}

/// Several publishers. Each has published, so it is known that the exchange is there.
async fn publishers(bus: &Connection, name: &str) -> Vec<Publisher> {
    let publishers: Vec<Publisher> = (0..PUBLISHERS).map(|_| bus.publisher()).collect();
    burst(&publishers, name, 0..1, &Confirmed::default()).await;
    publishers
}

/// The numbers of each publisher in the order in which they come, until `all` have come.
async fn numbers(bus: &Connection, name: &str, all: usize) -> BTreeMap<i64, Vec<i64>> {
    let mut consumer = bus.consume(name, 1000).await.expect("the queue is there");
    let mut found: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for _ in 0..all {
        let delivery = soon("a message", consumer.next()).await.expect("nobody cancels");
        let owner = delivery.message.int("publisher").expect("every message of these tests has a publisher");
        found.entry(owner).or_default().push(number(&delivery));
        delivery.ack().await.expect("nobody cuts the consuming connection");
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_connections_are_there_by_name_from_the_beginning() {
    let (one, two) = (unique("one"), unique("two"));
    let small = open(rabbitmq_url(), &one, Senders::default()).await;
    let large = open(rabbitmq_url(), &two, Senders { least: 2, most: 1, ..Senders::default() }).await;
    assert!(is_listed(&one, &["consuming", "publishing"]).await);
    assert!(is_listed(&two, &["consuming", "publishing", "publishing 2"]).await);
    small.close().await;
    large.close().await;
    assert!(listed(&one).await.is_empty() && listed(&two).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_gets_more_connections_and_each_publisher_keeps_its_order() {
    let name = unique("crowded");
    let bus = open(rabbitmq_url(), &name, Senders { most: 3, ..Senders::default() }).await;
    let publishers = publishers(&bus, &name).await;
    let mut last = 1;
    wait_until_async("there are three", async || {
        burst(&publishers, &name, last..last + BURST, &Confirmed::default()).await;
        last += BURST;
        has(&bus, 3)
    })
    .await;
    assert!(is_listed(&name, &["consuming", "publishing", "publishing 2", "publishing 3"]).await);
    for (owner, numbers) in numbers(&bus, &name, publishers.len() * last as usize).await {
        assert!(numbers.into_iter().eq(0..last), "publisher {owner}: each number once, in this order");
    }
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_idle_are_closed_down_to_the_least() {
    let name = unique("idle");
    let bus = open(rabbitmq_url(), &name, Senders { idle: Duration::from_millis(500), ..Senders::default() }).await;
    let publishers = publishers(&bus, &name).await;
    wait_until_async("there are more", async || {
        burst(&publishers, &name, 0..BURST, &Confirmed::default()).await;
        !has(&bus, 1)
    })
    .await;
    wait_until_async("all but one have been idle", async || has(&bus, 1)).await;
    wait_until_async("one is left", async || is_listed(&name, &["consuming", "publishing"]).await).await;
    burst(&publishers, &name, 0..1, &Confirmed::default()).await;
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_connections_of_the_pool_are_cut() {
    let proxy = Proxy::start("127.0.0.1", port()).await;
    let name = unique("forced");
    let bus = open(&proxy.lead(rabbitmq_url()), &name, Senders { least: 2, ..Senders::default() }).await;
    let (publishers, confirmed) = (publishers(&bus, &name).await, Confirmed::default());
    let cutting = async {
        // They were opened in the order of their names, beginning with the consuming one.
        for (turn, number) in [(1, 2), (2, 1)] {
            let enough = turn * PUBLISHERS * BURST / 3;
            soon("publishing goes on", confirmed.subscribe().wait_for(|count| *count >= enough)).await.unwrap();
            proxy.cut_one(number);
        }
    };
    tokio::join!(burst(&publishers, &name, 1..BURST, &confirmed), cutting);
    let waiting = bus.depth(&name).await.unwrap().ready;
    let found = numbers(&bus, &name, waiting as usize).await;
    let seen = found.into_values().map(|numbers| numbers.into_iter().collect::<BTreeSet<_>>());
    assert!(seen.eq((0..PUBLISHERS).map(|_| (0..BURST).collect())), "some are missing");
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_connection_is_away_another_one_publishes() {
    let proxy = Proxy::start("127.0.0.1", port()).await;
    let name = unique("away");
    let senders = Senders { least: 2, ..Senders::default() };
    let bus = open(&proxy.lead(rabbitmq_url()), &name, senders).await;
    let publisher = bus.publisher();
    publisher.publish(&name, &name, numbered(1)).await.unwrap();
    proxy.shut(true);
    close_by_force(&name, "publishing").await;
    wait_until_async("it is gone", async || is_listed(&name, &["consuming", "publishing 2"]).await).await;
    soon("the other one takes it", publisher.publish(&name, &name, numbered(2))).await.unwrap();
    assert!(is_listed(&name, &["consuming", "publishing 2"]).await, "the first one cannot be back");
    proxy.shut(false);
    let both = ["consuming", "publishing", "publishing 2"];
    wait_until_async("both are there again", async || is_listed(&name, &both).await).await;
    bus.close().await;
}
