//! AMQP's frames, counted in a stream of bytes that comes in pieces (AMQP 0-9-1 §4.2.3): one byte of type, two of channel,
//! four of size, the payload, one byte at the end.

const METHOD: u8 = 1;
const HEARTBEAT: u8 = 8;
const HEAD: usize = 7;
/// What a client says before its first frame.
pub const GREETING: usize = 8;

/// A frame, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A sign of life.
    Heartbeat,
    /// Class and number of a method.
    Method(u16, u16),
    /// Header or body of a message.
    Content,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Frames {
    /// The head of the frame that is coming, and of a method its class and number.
    head: Vec<u8>,
    /// Bytes before the next head.
    left: usize,
}

impl Frames {
    /// A direction that begins with so many bytes that belong to no frame.
    pub fn after(greeting: usize) -> Frames {
        Frames { head: Vec::new(), left: greeting }
    }

    /// The frames whose head ends in these bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Vec<Frame> {
        let mut seen = Vec::new();
        loop {
            let skipped = self.left.min(bytes.len());
            (self.left, bytes) = (self.left - skipped, &bytes[skipped..]);
            let missing = self.needed() - self.head.len();
            let taken = missing.min(bytes.len());
            self.head.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if taken < missing {
                return seen;
            }
            if self.head.len() == self.needed() {
                seen.push(self.frame());
            }
        }
    }

    fn needed(&self) -> usize {
        if self.head.len() >= HEAD && self.head[0] == METHOD { HEAD + 4 } else { HEAD }
    }

    /// The frame whose head is complete.
    fn frame(&mut self) -> Frame {
        let head = std::mem::take(&mut self.head);
        let two = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let size = usize::from(two(3)) << 16 | usize::from(two(5));
        self.left = (size + HEAD + 1).saturating_sub(head.len());
        match head[0] {
            METHOD => Frame::Method(two(HEAD), two(HEAD + 2)),
            HEARTBEAT => Frame::Heartbeat,
            _ => Frame::Content,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let mut bytes = b"AMQP\0\0\x09\x01".to_vec();
        bytes.extend([1, 0, 0, 0, 0, 0, 5, 0, 10, 0, 41, 0, 0xCE]);
        bytes.extend([8, 0, 0, 0, 0, 0, 0, 0xCE]);
        bytes.extend([3, 0, 1, 0, 0, 0, 3, b'a', b'b', b'c', 0xCE]);
        bytes.extend([8, 0, 0, 0, 0, 0, 0, 0xCE]);
        let expected = [Frame::Method(10, 41), Frame::Heartbeat, Frame::Content, Frame::Heartbeat];
        for piece in 1..=bytes.len() {
            let mut frames = Frames::after(GREETING);
            let seen: Vec<Frame> = bytes.chunks(piece).flat_map(|piece| frames.feed(piece)).collect();
            assert_eq!(seen, expected, "in pieces of {piece}");
        }
    }
}
