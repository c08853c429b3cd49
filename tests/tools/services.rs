//! The tools with services of our own, under names that no other system on the broker has.

use crate::door::{Listener, ends_with, json_lines};
use crate::fixture::Bus;
use crate::support::wait_until_equal;
use oat::bus::service::{Conversation, Exchanges, Failure, Incoming, Kind, Log, Service, ServiceOptions, Severity};
use oat::bus::{Binding, Connection};
use oat::shutdown::Shutdown;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Echoes commands, keeps events, and refuses both while it is broken. Dropped, it closes.
#[derive(Default)]
struct Shop {
    broken: Arc<AtomicBool>,
    kept: Arc<Mutex<Vec<Value>>>,
    shutdown: Shutdown,
}

impl Shop {
    async fn opens(bus: &Bus) -> Shop {
        let (shop, name) = (Shop::default(), bus.name("shop"));
        let options = ServiceOptions {
            exchanges: Exchanges::new(&bus.name("")),
            ..ServiceOptions::new(&name).events(&["Sold"]).commands(&[&format!("{name}.*")])
        };
        let service = Service::open(&[&bus.url], options).await.unwrap();
        let (broken, kept, shutdown) = (shop.broken.clone(), shop.kept.clone(), shop.shutdown.clone());
        tokio::spawn(async move {
            let handler = move |incoming: Incoming, conversation: Conversation| {
                let (broken, kept) = (broken.clone(), kept.clone());
                async move {
                    conversation.log(Log::new(Severity::Warning, format!("somebody wants {}", incoming.name)));
                    if broken.load(Ordering::SeqCst) {
                        return Err(Failure::refused("it is broken"));
                    }
                    let payload: Value = incoming.payload()?;
                    if incoming.kind == Kind::Event {
                        kept.lock().unwrap().push(payload.clone());
                    }
                    Ok(payload)
                }
            };
            service.run(handler, shutdown.requested()).await.unwrap();
            service.close().await;
        });
        shop
    }

    fn kept(&self) -> Vec<Value> {
        self.kept.lock().unwrap().clone()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

async fn depth(connection: &Connection, queue: &str) -> u64 {
    connection.depth(queue).await.map_or(0, |depth| depth.ready)
}

pub async fn a_service_of_ours_answers_and_is_heard(bus: &Bus) {
    let shop = Shop::opens(bus).await;
    let (prefix, name) = (bus.name(""), bus.name("shop"));
    let monitor = Listener::start(bus, &["monitor", "--queue-prefix", &prefix, "--limit", "2", "--json"]);
    let logs = Listener::start(bus, &["logs", "--queue-prefix", &prefix, "--level", "warning", "--limit", "1"]);
    let command = format!("{name}.Price");
    let (result, _) = ends_with(0, bus, &["send", &command, "--data", "7", "--queue-prefix", &prefix]);
    assert_eq!(result, "7\n");
    let (heard, _) = monitor.end();
    let heard = json_lines(&heard);
    assert_eq!((&heard[0]["routing_key"], &heard[1]["headers"]["status"]), (&json!(command), &json!("success")));
    let (said, _) = logs.end();
    assert!(said.contains(&format!("somebody wants {command}")), "{said}");
    shop.broken.store(true, Ordering::SeqCst);
    let (result, _) = ends_with(1, bus, &["send", &command, "--queue-prefix", &prefix]);
    assert_eq!(result, "\"it is broken\"\n");
}

pub async fn what_died_in_a_service_of_ours_is_handled_after_its_resurrection(bus: &Bus) {
    let shop = Shop::opens(bus).await;
    let (prefix, dead) = (bus.name(""), format!("{}.dead", bus.name("shop")));
    let other = bus.queue("other").bound(Binding::new(&bus.name("events"), "Sold"));
    let connection = bus.open(&Exchanges::new(&prefix).declared(), &[other]).await;
    shop.broken.store(true, Ordering::SeqCst);
    ends_with(0, bus, &["publish", "Sold", "--data", "{\"id\": 7}", "--queue-prefix", &prefix]);
    wait_until_equal("it is dead", 1, async || depth(&connection, &dead).await).await;
    shop.broken.store(false, Ordering::SeqCst);
    let (told, _) = ends_with(0, bus, &["resurrect", &dead, "--yes", "--queue-prefix", &prefix]);
    assert!(told.contains("it is broken") && told.contains("1 of 1 message went back"), "{told}");
    wait_until_equal("it is handled", vec![json!({"id": 7})], async || shop.kept()).await;
    assert_eq!((depth(&connection, &dead).await, depth(&connection, &bus.name("other")).await), (0, 1));
}
