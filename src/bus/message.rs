//! What is sent and what is received.

use super::{Error, amqp, local};
use std::collections::BTreeMap;
use std::time::Duration;

/// The header that counts the tries of a message that was given back with [`Delivery::retry`].
pub const ATTEMPT: &str = "x-oat-attempt";
/// Why a message is dead.
pub const REASON: &str = "x-oat-reason";
/// The queue in which it died.
pub const DIED_IN: &str = "x-oat-queue";
/// The exchange through which it had come, and the key it had.
pub const CAME_FROM: &str = "x-oat-exchange";
/// The routing key it had.
pub const CAME_WITH: &str = "x-oat-routing-key";

/// What a message that died keeps of its reason, in characters: it has to fit into a header, whoever wrote it.
const LONGEST_REASON: usize = 1000;

/// A value of a header. AMQP knows more kinds; what is neither of these is carried as its text.
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderValue {
    /// A string.
    Text(String),
    /// A whole number.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// A floating-point number.
    Float(f64),
}

/// A message to be sent: a body and AMQP's properties.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// The bytes.
    pub body: Vec<u8>,
    /// MIME type of the body.
    pub content_type: Option<String>,
    /// How the body is encoded on top of that, `gzip` for example.
    pub content_encoding: Option<String>,
    /// Application headers.
    pub headers: BTreeMap<String, HeaderValue>,
    /// The sender's identifier of this message.
    pub message_id: Option<String>,
    /// Which request a reply belongs to.
    pub correlation_id: Option<String>,
    /// Where a reply is expected.
    pub reply_to: Option<String>,
    /// The name of the message's type.
    pub kind: Option<String>,
    /// The sending program.
    pub app_id: Option<String>,
    /// When it was sent, in seconds since 1970.
    pub timestamp: Option<u64>,
    /// In queues with priorities, higher ones come first.
    pub priority: Option<u8>,
    /// How long it may wait in a queue before it is dead (whole milliseconds).
    pub expiration: Option<Duration>,
    /// Whether it may be lost with the broker. A file keeps it all the same.
    pub transient: bool,
}

impl Message {
    /// A message of this content type.
    pub fn new(content_type: &str, body: Vec<u8>) -> Message {
        Message { body, content_type: Some(content_type.into()), ..Message::default() }
    }

    /// The same with an identifier.
    pub fn id(mut self, id: impl Into<String>) -> Message {
        self.message_id = Some(id.into());
        self
    }

    /// The same with the name of its type.
    pub fn kind(mut self, kind: &str) -> Message {
        self.kind = Some(kind.into());
        self
    }

    /// The same with a header.
    pub fn header(mut self, name: &str, value: HeaderValue) -> Message {
        self.headers.insert(name.into(), value);
        self
    }

    /// The same with a priority.
    pub fn priority(mut self, priority: u8) -> Message {
        self.priority = Some(priority);
        self
    }

    /// The same with an end to its waiting.
    pub fn expires_after(mut self, waiting: Duration) -> Message {
        self.expiration = Some(waiting);
        self
    }

    /// A header that holds text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.headers.get(name) {
            Some(HeaderValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A header that holds a whole number.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.headers.get(name) {
            Some(HeaderValue::Int(number)) => Some(*number),
            _ => None,
        }
    }
}

/// How a message died once: rejected, expired, come back too often, or too much for its queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// The queue in which it died.
    pub queue: String,
    /// Why, in the words of whoever buried it: `rejected`, `expired`, `maxlen`, `delivery_limit`, or a reason of ours.
    pub reason: String,
    /// The exchange through which it had come.
    pub exchange: String,
    /// The routing keys it had; more than one if its sender gave it copies.
    pub routing_keys: Vec<String>,
    /// How often it died so there.
    pub count: u64,
    /// When it first did, in seconds since 1970, if anybody noted that.
    pub time: Option<u64>,
}

impl Death {
    /// What [`Delivery::reject`] wrote, or the embedded bus.
    pub(super) fn told(message: &Message) -> Option<Death> {
        let text = |name| message.text(name).unwrap_or_default().to_owned();
        Some(Death {
            queue: message.text(DIED_IN)?.into(),
            reason: text(REASON),
            exchange: text(CAME_FROM),
            routing_keys: message.text(CAME_WITH).map(str::to_owned).into_iter().collect(),
            count: 1,
            time: None,
        })
    }
}

/// A message as it lies in a queue, looked at and left there.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// What was sent.
    pub message: Message,
    /// The exchange it came through.
    pub exchange: String,
    /// The routing key it came with.
    pub routing_key: String,
    /// Whether it has been delivered before (this look not counted).
    pub redelivered: bool,
    /// The how-manieth delivery its next one would have been, from 1.
    pub attempt: u32,
    /// Its deaths, the latest first. What waited for a [`Delivery::retry_after`] has not died.
    pub deaths: Vec<Death>,
}

/// A message received, to be settled exactly once. Dropping it gives it back to its queue.
#[derive(Debug)]
pub struct Delivery {
    /// What was sent.
    pub message: Message,
    /// The queue it was taken from.
    pub queue: String,
    /// The exchange it came through.
    pub exchange: String,
    /// The routing key it came with.
    pub routing_key: String,
    /// Whether it had been delivered before.
    pub redelivered: bool,
    /// The how-manieth delivery this is, from 1: retries and returns both count.
    pub attempt: u32,
    /// Its deaths, the latest first. What waited for a [`retry_after`](Self::retry_after) has not died.
    pub deaths: Vec<Death>,
    pub(super) receipt: Receipt,
}

/// What a transport needs to settle a delivery; dropping it unsettled returns the message.
#[derive(Debug)]
pub(super) enum Receipt {
    Amqp(amqp::Receipt),
    Local(local::Receipt),
}

impl Delivery {
    /// Done: the message is gone. Call it last, when everything that follows from the message is durable.
    ///
    /// An `Ok` may still be lost with the connection, and the message delivered again.
    pub async fn ack(self) -> Result<(), Error> {
        match self.receipt {
            Receipt::Amqp(receipt) => receipt.ack().await,
            Receipt::Local(receipt) => receipt.ack().await,
        }
    }

    /// Whether settling it can still succeed. If not, the connection it came by is gone, it is delivered again to
    /// whoever comes first, and holding on to it serves nobody. A file keeps it live until the connection is closed.
    pub fn is_live(&self) -> bool {
        match &self.receipt {
            Receipt::Amqp(receipt) => receipt.is_live(),
            Receipt::Local(receipt) => receipt.is_live(),
        }
    }

    /// Not by me: back to its queue at once and not counted as an attempt, for what is no fault of the message, such as
    /// a stop in good order or a full disk. After an error it goes back all the same, as if dropped.
    ///
    /// A file puts it back in its place. RabbitMQ up to 4.2 counts whatever comes back, and so does its delivery limit;
    /// there a copy goes to the end of the queue, as with [`retry`](Self::retry), but with the same attempt. Only if the
    /// copy cannot be published promptly does the message itself go back, counted by those versions.
    pub async fn give_back(self) -> Result<(), Error> {
        let Delivery { message, queue, exchange, routing_key, attempt, receipt, .. } = self;
        let message = sent(message, exchange, routing_key);
        match receipt {
            Receipt::Amqp(receipt) => receipt.give_back(&queue, counting(message, attempt)).await,
            Receipt::Local(receipt) => receipt.give_back().await,
        }
    }

    /// Not now: to the end of its queue, with one attempt more on its count. RabbitMQ's frames hold 128 KiB: a message with so
    /// many headers that ours have no room beside them cannot be tried again. It is buried with that for a reason, or, if its
    /// queue has no dead letters, goes on without the longest of those headers.
    pub async fn retry(self) -> Result<(), Error> {
        self.again(None).await
    }

    /// Not before `delay` is over: to the end of its queue then, with one attempt more on its count. Until then it is in
    /// no consumer's way, and durable; an expiration that its sender gave it no longer counts. RabbitMQ keeps it in a queue
    /// of its own, made for this delay, which is rounded up to one of ten steps a decade (1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5,
    /// 6.4, 8 and so on).
    pub async fn retry_after(mut self, delay: Duration) -> Result<(), Error> {
        self.message.expiration = None;
        self.again(Some(delay)).await
    }

    async fn again(self, delay: Option<Duration>) -> Result<(), Error> {
        let Delivery { message, queue, exchange, routing_key, attempt, receipt, .. } = self;
        let message = counting(sent(message, exchange, routing_key), attempt.saturating_add(1));
        match receipt {
            Receipt::Amqp(receipt) => receipt.retry(&queue, message, delay).await,
            Receipt::Local(receipt) => receipt.retry(&queue, message, delay.unwrap_or_default()).await,
        }
    }

    /// The same in another queue, at once if there is no delay: for a queue that cannot count, or that others read too.
    pub async fn retry_in(mut self, queue: &str, delay: Duration) -> Result<(), Error> {
        self.queue = queue.into();
        if delay.is_zero() { self.retry().await } else { self.retry_after(delay).await }
    }

    /// The exchange and the routing key that it was sent with, however often it was moved since.
    pub fn origin(&self) -> (&str, &str) {
        let exchange = self.message.text(CAME_FROM).unwrap_or(&self.exchange);
        (exchange, self.message.text(CAME_WITH).unwrap_or(&self.routing_key))
    }

    /// Never: to the dead-letter exchange of its queue, with its body as it came and the reason in a header.
    /// It is acknowledged only when its copy is durable there. Of the reason the first thousand characters are kept, and
    /// foreign headers that no longer fit beside ours are left out: whatever came can be buried. The dead do not expire.
    pub async fn reject(self, reason: &str) -> Result<(), Error> {
        let Delivery { message, queue, exchange, routing_key, receipt, .. } = self;
        let message = dead(sent(message, exchange, routing_key), reason, &queue);
        match receipt {
            Receipt::Amqp(receipt) => receipt.bury(&queue, message).await,
            Receipt::Local(receipt) => receipt.bury(&queue, message).await,
        }
    }
}

/// The same message, whose next delivery will be this attempt.
pub(super) fn counting(message: Message, attempt: u32) -> Message {
    message.header(ATTEMPT, HeaderValue::Int(i64::from(attempt)))
}

/// The same message, which goes on through the default exchange, and with how it was sent in the first place.
pub(super) fn sent(mut message: Message, exchange: String, key: String) -> Message {
    if message.text(CAME_FROM).is_none() || message.text(CAME_WITH).is_none() {
        message = message.header(CAME_FROM, HeaderValue::Text(exchange)).header(CAME_WITH, HeaderValue::Text(key));
    }
    message
}

/// The same message as it lies among the dead letters of `queue`. It must not die a second time of what it died of.
pub(super) fn dead(message: Message, reason: &str, queue: &str) -> Message {
    let message = Message { expiration: None, ..message }.header(REASON, HeaderValue::Text(cut(reason)));
    message.header(DIED_IN, HeaderValue::Text(queue.into()))
}

/// Text that fits into a header.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_REASON) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}
