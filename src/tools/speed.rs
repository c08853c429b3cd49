//! How fast a bus is: messages through one queue, many at once and one at a time. Their bodies say nothing.

use crate::bus::{Connection, Delivery, Error, Message};
use futures_util::stream::{self, FuturesUnordered};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use std::time::{Duration, Instant};

/// What goes through a queue.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many messages.
    pub messages: usize,
    /// Of how many bytes each.
    pub bytes: usize,
    /// How many are under way at once: published and not yet confirmed, or delivered and not yet acknowledged.
    pub window: u16,
}

impl Load {
    fn message(&self) -> Message {
        Message::new("application/octet-stream", vec![7; self.bytes])
    }

    /// Messages a second.
    pub fn rate(&self, took: Duration) -> f64 {
        self.messages as f64 / took.as_secs_f64()
    }

    /// Publishes all of them, durable, and returns how long it took until the last was confirmed.
    pub async fn publish(&self, bus: &Connection, queue: &str) -> Result<Duration, Error> {
        let (start, publisher) = (Instant::now(), bus.publisher());
        let sending = stream::iter(0..self.messages).map(|_| publisher.publish("", queue, self.message()));
        sending.buffer_unordered(self.window.into()).try_collect::<()>().await?;
        Ok(start.elapsed())
    }

    /// Takes all of them out again and acknowledges each.
    pub async fn consume(&self, bus: &Connection, queue: &str) -> Result<Duration, Error> {
        let start = Instant::now();
        let mut consumer = bus.consume(queue, self.window).await?;
        let mut acks = FuturesUnordered::new();
        for _ in 0..self.messages {
            acks.push(there(consumer.next().await)?.ack());
            // Sends this one; those before it may be done.
            while let Some(Some(done)) = acks.next().now_or_never() {
                done?;
            }
        }
        acks.try_collect::<()>().await?;
        let took = start.elapsed();
        consumer.cancel().await;
        Ok(took)
    }

    /// Publishes each when the one before has been taken. How long each was on its way, the fastest first.
    pub async fn latencies(&self, bus: &Connection, queue: &str) -> Result<Vec<Duration>, Error> {
        let publisher = bus.publisher();
        let mut consumer = bus.consume(queue, self.window).await?;
        let mut all = Vec::with_capacity(self.messages);
        for _ in 0..self.messages {
            let start = Instant::now();
            let arriving = async { there(consumer.next().await).map(|delivery| (delivery, start.elapsed())) };
            let ((), (delivery, took)) = tokio::try_join!(publisher.publish("", queue, self.message()), arriving)?;
            delivery.ack().await?;
            all.push(took);
        }
        consumer.cancel().await;
        all.sort_unstable();
        Ok(all)
    }
}

/// A consumer ends when its connection does.
fn there(delivery: Option<Delivery>) -> Result<Delivery, Error> {
    delivery.ok_or_else(|| Error::Lost { doing: "consuming".into() })
}
