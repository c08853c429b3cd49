//! Bodies in every form, from one end to the other.

use crate::fixture::{Bus, next};
use oat::bus::{Compression, Connection, Delivery, Error, Message, Queue};
use serde_json::{Value, json};

const LIMIT: usize = 1 << 20;

/// One message through a queue.
async fn through(connection: &Connection, queue: &Queue, message: &Message) -> Delivery {
    connection.publisher().publish("", &queue.name, message.clone()).await.unwrap();
    let delivery = next(&mut connection.consume(&queue.name, 1).await.unwrap()).await;
    assert_eq!(delivery.message, *message);
    delivery
}

pub async fn values_arrive_as_json_and_as_cbor(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    let value = json!({"name": "Zoë", "sizes": [1, -2, 0.5], "nested": {"nothing": null, "truth": true}});
    for message in [Message::json(&value).unwrap(), Message::cbor(&value).unwrap()] {
        let delivery = through(&connection, &queue, &message).await;
        assert_eq!(delivery.message.decode::<Value>().unwrap(), value);
        delivery.ack().await.unwrap();
    }
    let bytes: Vec<u8> = (0..=255).collect();
    let delivery = through(&connection, &queue, &Message::raw(bytes.clone())).await;
    assert_eq!(delivery.message.unpacked(0).unwrap().body, bytes);
    assert!(matches!(delivery.message.decode::<Value>(), Err(Error::Body { .. })));
    delivery.ack().await.unwrap();
}

pub async fn packed_bodies_arrive_and_say_how_they_are_packed(bus: &Bus) {
    let queue = bus.queue("work");
    let connection = bus.open(&[], std::slice::from_ref(&queue)).await;
    let value: Vec<u32> = (0..10_000).map(|n| n % 100).collect();
    let plain = Message::json(&value).unwrap();
    for how in [Compression::Gzip, Compression::Zstd] {
        for packed in [plain.clone().compressed(how), plain.clone().compressed_for_kombu(how)] {
            assert!(packed.body.len() < plain.body.len() / 10);
            let delivery = through(&connection, &queue, &packed).await;
            assert_eq!(delivery.message.unpacked(LIMIT).unwrap().decode::<Vec<u32>>().unwrap(), value);
            delivery.ack().await.unwrap();
        }
    }
}

pub async fn what_cannot_be_read_is_rejected_with_its_body_as_it_came(bus: &Bus) {
    let dead = bus.queue("dead");
    let queue = bus.queue("work").dead_letters_to("", &dead.name);
    let connection = bus.open(&[], &[dead.clone(), queue.clone()]).await;
    let bomb = Message::json(&vec![0; 2 * LIMIT]).unwrap().compressed(Compression::Gzip);
    let delivery = through(&connection, &queue, &bomb).await;
    let error = delivery.message.unpacked(LIMIT).unwrap_err();
    delivery.reject(&error.to_string()).await.unwrap();
    let buried = next(&mut connection.consume(&dead.name, 1).await.unwrap()).await;
    assert_eq!((&buried.message.body, &buried.message.content_encoding), (&bomb.body, &bomb.content_encoding));
    let reason = buried.message.text("x-oat-reason").unwrap();
    assert!(reason.contains(&LIMIT.to_string()), "{reason}");
}
