//! Takes deliveries out of the stream before lapin sees them. Its parser and its path from thread to thread cost more than all
//! else that a delivery goes through here. Whatever is not a delivery on a channel with a tap passes as it came; so lapin goes
//! on knowing all of its connection, channels and consumers.
//!
//! It reads the frames of AMQP 0-9-1 (sections 2.3.5, 4.2.5 and 4.2.6 of its specification) in pieces of any size. Knows nothing
//! of who consumes.

use super::depth::Depth;
use lapin::BasicProperties;
use lapin::protocol::basic::parse_properties;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Kinds of frames.
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
/// Before the payload of a frame stand its kind, channel and size, after it stands one byte.
const HEAD: usize = 7;
const TAIL: usize = 1;
/// Class and method of `basic.deliver`.
const DELIVER: [u8; 4] = [0, 60, 0, 60];
/// What is read at a time, unless a frame is longer.
const ROOM: usize = 1 << 18;
/// No frame that has to be read whole is longer; RabbitMQ's are of 128 KiB unless somebody configured more.
const LONGEST: usize = 1 << 24;
/// No body is trusted to become longer than this before it has.
const LIKELY: u64 = 1 << 20;

/// What the broker delivered.
#[derive(Debug, Default)]
pub(super) struct Arrival {
    pub tag: u64,
    pub redelivered: bool,
    pub exchange: String,
    pub routing_key: String,
    pub properties: BasicProperties,
    pub data: Vec<u8>,
}

/// Takes all of them; `false` when nobody is there for them any more.
type Sink = Box<dyn Fn(&mut Vec<Arrival>) -> bool + Send>;

type Open = HashMap<u16, Tap>;

/// The taps of a session, by channel.
#[derive(Clone, Default)]
pub(super) struct Taps(Arc<Mutex<Open>>);

struct Tap {
    sink: Sink,
    /// The sink has refused.
    closed: bool,
    /// Not complete: what is there of it, and how many bytes of its body are to come, once that is known.
    begun: Option<(Arrival, Option<u64>)>,
}

impl Taps {
    fn all(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on what is delivered on this channel goes to `sink`, until that refuses.
    pub fn open(&self, channel: u16, sink: impl Fn(&mut Vec<Arrival>) -> bool + Send + 'static) {
        self.all().insert(channel, Tap { sink: Box::new(sink), closed: false, begun: None });
    }
}

/// Between the socket and lapin.
pub(super) struct Sorter {
    taps: Taps,
    depth: Depth,
    /// What was read: the part from `start` to `end` is to be sorted.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// So many bytes of a frame for lapin are to pass.
    passing: usize,
    /// So many bytes of a frame with a body for this channel's tap are to come, its last included.
    taking: (u16, usize),
    /// Complete, and not yet in the sink of this channel.
    batch: (u16, Vec<Arrival>),
}

impl Sorter {
    pub fn new(taps: Taps) -> Sorter {
        let (depth, bytes) = (Depth::default(), vec![0; ROOM]);
        Sorter { taps, depth, bytes, start: 0, end: 0, passing: 0, taking: (0, 0), batch: (0, Vec::new()) }
    }

    /// Where to read to. Never empty.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start > 0 && self.end > self.bytes.len() / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.bytes.len() {
            self.bytes.resize(self.end * 2, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// So many bytes are there now.
    pub fn filled(&mut self, count: usize) {
        self.depth.pass(&mut self.bytes[self.end..self.end + count]);
        self.end += count;
    }

    /// At a place where a frame for lapin may begin.
    pub fn between_frames(&self) -> bool {
        self.passing == 0
    }

    /// Sorts what there is. Returns how many bytes of `out` are for lapin now.
    pub fn sort(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let taps = self.taps.clone();
        let mut taps = taps.all();
        let mut given = 0;
        while self.start < self.end && given < out.len() {
            let there = self.end - self.start;
            let done = if self.passing > 0 {
                let count = self.passing.min(there).min(out.len() - given);
                out[given..given + count].copy_from_slice(&self.bytes[self.start..self.start + count]);
                self.passing -= count;
                given += count;
                count
            } else if self.taking.1 > 0 {
                self.take(&mut taps)
            } else {
                let Some(done) = self.frame(&mut taps)? else { break };
                done
            };
            self.start += done;
        }
        self.hand_over(&mut taps);
        Ok(given)
    }

    /// The frame at the beginning: what is to be done with it, and how many bytes of it are done; `None` if too few are there.
    fn frame(&mut self, taps: &mut Open) -> io::Result<Option<usize>> {
        let some = &self.bytes[self.start..self.end];
        let Some((head, payload)) = some.split_first_chunk::<HEAD>() else { return Ok(None) };
        let channel = u16::from_be_bytes([head[1], head[2]]);
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        let whole = HEAD + size + TAIL;
        let tap = taps.get_mut(&channel).filter(|tap| !tap.closed || tap.begun.is_some());
        let (Some(tap), kind) = (tap, head[0]) else { return Ok(self.pass(whole)) };
        match kind {
            METHOD if payload.len() < DELIVER.len() => return Ok(None),
            METHOD if payload.starts_with(&DELIVER) => {}
            HEADER if matches!(tap.begun, Some((_, None))) => {}
            BODY if matches!(tap.begun, Some((_, Some(wanted))) if wanted < size as u64) => {
                return Err(broken("a body is longer than announced"));
            }
            BODY if matches!(tap.begun, Some((_, Some(_)))) => {
                self.taking = (channel, size + TAIL);
                return Ok(Some(HEAD));
            }
            _ => return Ok(self.pass(whole)),
        }
        if size > LONGEST {
            return Err(broken("a frame is too long"));
        }
        let Some(payload) = payload.get(..size).filter(|_| some.len() >= whole) else { return Ok(None) };
        if kind == METHOD {
            tap.begun = Some((deliver(payload).ok_or_else(|| broken("a delivery cannot be read"))?, None));
        } else {
            tap.head(payload).ok_or_else(|| broken("properties cannot be read"))?;
            self.finish(channel, taps);
        }
        Ok(Some(whole))
    }

    fn pass(&mut self, whole: usize) -> Option<usize> {
        self.passing = whole;
        Some(0)
    }

    /// What there is of a body.
    fn take(&mut self, taps: &mut Open) -> usize {
        let (channel, left) = self.taking;
        let count = left.min(self.end - self.start);
        self.taking.1 -= count;
        let body = &self.bytes[self.start..self.start + count.min(left - TAIL)];
        if let Some(Tap { begun: Some((arrival, Some(wanted))), .. }) = taps.get_mut(&channel) {
            arrival.data.extend_from_slice(body);
            *wanted = wanted.saturating_sub(body.len() as u64);
            self.finish(channel, taps);
        }
        count
    }

    /// A delivery of which nothing more is to come goes to the others.
    fn finish(&mut self, channel: u16, taps: &mut Open) {
        let Some(tap) = taps.get_mut(&channel) else { return };
        let Some((arrival, _)) = tap.begun.take_if(|(_, wanted)| *wanted == Some(0)) else { return };
        if self.batch.0 != channel {
            self.hand_over(taps);
        }
        self.batch.0 = channel;
        self.batch.1.push(arrival);
    }

    fn hand_over(&mut self, taps: &mut Open) {
        let (channel, batch) = &mut self.batch;
        if let Some(tap) = taps.get_mut(channel).filter(|_| !batch.is_empty()) {
            tap.closed = !(tap.sink)(batch);
        }
        batch.clear();
    }
}

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl Tap {
    fn head(&mut self, payload: &[u8]) -> Option<()> {
        let (arrival, wanted) = self.begun.as_mut()?;
        let size = u64::from_be_bytes(payload.get(4..12)?.try_into().ok()?);
        arrival.properties = parse_properties(&payload[12..]).ok()?.1;
        arrival.data.reserve_exact(size.min(LIKELY) as usize);
        *wanted = Some(size);
        Some(())
    }
}

/// The arguments of `basic.deliver`: consumer tag, delivery tag, redelivered, exchange and routing key.
fn deliver(payload: &[u8]) -> Option<Arrival> {
    let (_, rest) = short(payload.get(DELIVER.len()..)?)?;
    let (tag, rest) = rest.split_first_chunk()?;
    let (flags, rest) = rest.split_first()?;
    let (exchange, rest) = short(rest)?;
    let (routing_key, _) = short(rest)?;
    let (tag, redelivered) = (u64::from_be_bytes(*tag), flags & 1 == 1);
    Some(Arrival { tag, redelivered, exchange, routing_key, ..Arrival::default() })
}

/// A short string, and what follows.
fn short(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked((*length).into())?;
    Some((String::from_utf8_lossy(text).into_owned(), rest))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::depth::tests::{frame, long};
    use super::*;
    use lapin::types::FieldTable;

    /// `basic.deliver` from exchange `x` with key `key`.
    fn method(channel: u8, tag: u64) -> Vec<u8> {
        frame(METHOD, channel, &[&DELIVER, b"\x04ctag".as_slice(), &tag.to_be_bytes(), b"\x01\x01x\x03key"].concat())
    }

    /// Properties that are a message-id.
    fn header(channel: u8, size: u64) -> Vec<u8> {
        frame(HEADER, channel, &[&[0, 60, 0, 0], size.to_be_bytes().as_slice(), &[0, 0x80], b"\x02id"].concat())
    }

    pub fn delivery(channel: u8, tag: u64, pieces: &[&[u8]]) -> Vec<u8> {
        let size = pieces.iter().map(|piece| piece.len() as u64).sum();
        let bodies = pieces.iter().map(|piece| frame(BODY, channel, piece));
        [method(channel, tag), header(channel, size)].into_iter().chain(bodies).collect::<Vec<_>>().concat()
    }

    /// A tap that takes at most so many, and what it took.
    fn open(taps: &Taps, channel: u16, most: usize) -> Arc<Mutex<Vec<Arrival>>> {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let into = taken.clone();
        taps.open(channel, move |arrivals| {
            let mut taken = into.lock().unwrap();
            taken.append(arrivals);
            taken.len() < most
        });
        taken
    }

    /// What passes to lapin when these bytes come in pieces of `size`.
    fn passed(taps: &Taps, bytes: &[u8], size: usize) -> io::Result<Vec<u8>> {
        let (mut sorter, mut passed, mut out) = (Sorter::new(taps.clone()), Vec::new(), vec![0; size]);
        for piece in bytes.chunks(size) {
            sorter.room()[..piece.len()].copy_from_slice(piece);
            sorter.filled(piece.len());
            loop {
                let given = sorter.sort(&mut out)?;
                passed.extend_from_slice(&out[..given]);
                if given < out.len() {
                    break;
                }
            }
        }
        Ok(passed)
    }

    fn told(arrival: &Arrival) -> (u64, bool, &str, &str, &[u8]) {
        (arrival.tag, arrival.redelivered, &arrival.exchange, &arrival.routing_key, &arrival.data)
    }

    #[test]
    fn deliveries_of_a_tapped_channel_are_taken_whole_and_all_else_passes_as_it_came() {
        let long = vec![7; 3000];
        // A consumer is cancelled, a message is got, heartbeats and other channels come between.
        let rest = [frame(METHOD, 1, b"\0\x3c\0\x1e\x04ctag\0"), frame(METHOD, 1, b"\0\x3c\0\x47rest"), header(1, 0)];
        let between = [frame(8, 0, b""), delivery(3, 1, &[b"for lapin"])];
        let stream = [
            delivery(1, 1, &[b"one"]),
            rest.concat(),
            method(1, 2),
            method(2, 1),
            between[0].clone(),
            header(1, 6000),
            header(2, 5),
            frame(BODY, 1, &long),
            between[1].clone(),
            frame(BODY, 2, b"other"),
            frame(BODY, 1, &long),
            delivery(1, 3, &[]),
        ];
        for size in [1, 7, 1000, 100_000] {
            let taps = Taps::default();
            let (one, other) = (open(&taps, 1, 9), open(&taps, 2, 9));
            assert_eq!(
                passed(&taps, &stream.concat(), size).unwrap(),
                [rest.concat(), between.concat()].concat(),
                "{size}"
            );
            let (one, other) = (one.lock().unwrap(), other.lock().unwrap());
            let body = vec![7; 6000];
            let expected = [(1, b"one".as_slice()), (2, body.as_slice()), (3, b"")];
            let expected = expected.map(|(tag, body)| (tag, true, "x", "key", body));
            assert_eq!(one.iter().map(told).collect::<Vec<_>>(), expected, "{size}");
            assert_eq!(other.iter().map(told).collect::<Vec<_>>(), [(1, true, "x", "key", b"other".as_slice())]);
            assert_eq!(one[2].properties.content_type().as_ref().map(|text| text.as_str()), None);
        }
    }

    #[test]
    fn what_a_tap_refuses_is_for_lapin_from_the_next_delivery_on() {
        let taps = Taps::default();
        let taken = open(&taps, 1, 1);
        let second = delivery(1, 2, &[b"two"]);
        assert_eq!(passed(&taps, &[delivery(1, 1, &[b"one"]), second.clone()].concat(), 5).unwrap(), second);
        assert_eq!(taken.lock().unwrap().len(), 1);
        // The channel's number is used again.
        let taken = open(&taps, 1, 9);
        assert!(passed(&taps, &second, 5).unwrap().is_empty());
        assert_eq!(taken.lock().unwrap().len(), 1);
    }

    #[test]
    fn properties_are_read_and_headers_that_are_too_deep_are_bytes() {
        let deep = (0..5000).fold(b"V".to_vec(), |inner, _| [b"A".as_slice(), &long(&inner)].concat());
        let table = long(&[b"\x04deep".as_slice(), &deep].concat());
        let head = [&[0, 60, 0, 0], 0u64.to_be_bytes().as_slice(), &[0xb0, 0], b"\x04text", &table, b"\x02"].concat();
        let taps = Taps::default();
        let taken = open(&taps, 1, 9);
        assert!(passed(&taps, &[method(1, 1), frame(HEADER, 1, &head)].concat(), 1000).unwrap().is_empty());
        let properties = taken.lock().unwrap().remove(0).properties;
        assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "text");
        assert_eq!(*properties.delivery_mode(), Some(2));
        assert_eq!(properties.headers().as_ref().map(FieldTable::inner).unwrap().len(), 1);
    }

    #[test]
    fn what_cannot_be_read_ends_the_connection_and_says_why() {
        let endless = [&[HEADER, 0, 1], u32::MAX.to_be_bytes().as_slice()].concat();
        for (broken, why) in [
            (frame(METHOD, 1, &[&DELIVER, b"\xffctag".as_slice()].concat()), "a delivery cannot be read"),
            ([method(1, 1), frame(HEADER, 1, &[0xff; 14])].concat(), "properties cannot be read"),
            ([method(1, 1), frame(HEADER, 1, b"short")].concat(), "properties cannot be read"),
            ([method(1, 1), endless].concat(), "a frame is too long"),
            ([method(1, 1), header(1, 2), frame(BODY, 1, b"too")].concat(), "a body is longer than announced"),
        ] {
            let taps = Taps::default();
            let taken = open(&taps, 1, 9);
            assert_eq!(passed(&taps, &broken, 3).unwrap_err().to_string(), why);
            assert!(taken.lock().unwrap().is_empty());
        }
    }
}
