//! Keeps headers that are nested too deeply from lapin. Its parser calls itself for every table and array, on a thread whose
//! stack we do not choose: six kilobytes of headers, arrays in arrays, would end every program that is given that message,
//! and the next one after it. So all that the broker sends is read along, and where a table or an array of a message's headers
//! lies deeper than [`MOST`], its type is overwritten: what is in it becomes plain bytes, in the same place and as many.
//!
//! It reads the frames of AMQP 0-9-1 (sections 2.3.5 and 4.2.5 of its specification, with RabbitMQ's types) in pieces of any
//! size, keeps nothing of them, and trusts no length.

/// Tables and arrays inside each other, that of all headers counted.
const MOST: usize = 32;
/// The frame in which the properties of a message are.
const HEADER: u64 = 2;
/// What stands there before the flags: class, weight, size of the body.
const BEFORE_FLAGS: u64 = 12;
/// A table and what it takes to nest another in it are not shorter.
const LEVEL: u64 = 5;

/// Where in the stream of frames it is.
#[derive(Debug)]
pub(super) struct Depth {
    /// Bytes to pass over.
    skip: u64,
    /// Bytes of a number that are to come, and the number so far.
    wanted: u64,
    number: u64,
    step: Step,
    /// What follows in the payload of this frame is at this place, and the payload ends at that one.
    at: u64,
    end: u64,
    /// Tables (`true`) and arrays, and where they end.
    open: Vec<(bool, u64)>,
}

/// What the number is that is being read.
#[derive(Clone, Copy, Debug)]
enum Step {
    Frame,
    Size {
        header: bool,
    },
    Flags,
    /// The length of a text before the headers; so many more follow.
    Text {
        more: u8,
    },
    Headers,
    Name,
    Type,
    /// The length of a value that nobody looks into.
    Plain,
    /// The length of a table, or of an array.
    Nested {
        table: bool,
    },
}

impl Default for Depth {
    fn default() -> Depth {
        Depth { skip: 0, wanted: 1, number: 0, step: Step::Frame, at: 0, end: 0, open: Vec::new() }
    }
}

impl Depth {
    /// The next bytes of the stream, which may be changed.
    pub fn pass(&mut self, mut bytes: &mut [u8]) {
        loop {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            self.skip -= skipped as u64;
            bytes = &mut bytes[skipped..];
            let Some((byte, rest)) = bytes.split_first_mut() else { return };
            self.number = (self.number << 8) | u64::from(*byte);
            self.wanted -= 1;
            if self.wanted == 0 {
                self.read(byte);
            }
            bytes = rest;
        }
    }

    /// A number is complete; this is its last byte.
    fn read(&mut self, byte: &mut u8) {
        let number = self.number;
        match self.step {
            Step::Frame => {
                // The channel.
                self.skip = 2;
                self.want(Step::Size { header: number == HEADER }, 4);
            }
            Step::Size { header } => {
                (self.at, self.end) = (0, number);
                match header {
                    true => self.after(BEFORE_FLAGS, Step::Flags, 2),
                    false => self.leave(),
                }
            }
            Step::Flags => match [15, 14, 13].map(|bit| number >> bit & 1 == 1) {
                [_, _, false] => self.leave(),
                [false, false, true] => self.after(0, Step::Headers, 4),
                [one, other, true] => self.after(0, Step::Text { more: u8::from(one && other) }, 1),
            },
            Step::Text { more: 0 } => self.after(number, Step::Headers, 4),
            Step::Text { more } => self.after(number, Step::Text { more: more - 1 }, 1),
            // Most are too short to be deep.
            Step::Headers if number < LEVEL * MOST as u64 => self.leave(),
            Step::Headers => self.enter(true, number),
            Step::Name => self.after(number, Step::Type, 1),
            Step::Type => self.value(byte),
            Step::Plain => self.pass_over(number),
            Step::Nested { table } => self.enter(table, number),
        }
    }

    /// A value of this type.
    fn value(&mut self, kind: &mut u8) {
        match *kind {
            b'V' => self.pass_over(0),
            b't' | b'b' | b'B' => self.pass_over(1),
            b's' | b'U' | b'u' => self.pass_over(2),
            b'I' | b'i' | b'f' => self.pass_over(4),
            b'D' => self.pass_over(5),
            b'L' | b'l' | b'd' | b'T' => self.pass_over(8),
            b'S' | b'x' => self.after(0, Step::Plain, 4),
            b'F' | b'A' if self.open.len() < MOST => self.after(0, Step::Nested { table: *kind == b'F' }, 4),
            b'F' | b'A' => {
                *kind = b'x';
                self.after(0, Step::Plain, 4);
            }
            // Nobody knows its length, and lapin does not read on either.
            _ => self.leave(),
        }
    }

    /// Where what is being read ends at the latest.
    fn limit(&self) -> u64 {
        self.open.last().map_or(self.end, |(_, end)| *end)
    }

    /// After so many bytes this number follows, unless it would be out of bounds.
    fn after(&mut self, skip: u64, step: Step, wanted: u64) {
        if self.at + skip + wanted > self.limit() {
            return self.leave();
        }
        self.at += skip + wanted;
        self.skip = skip;
        self.want(step, wanted);
    }

    fn want(&mut self, step: Step, wanted: u64) {
        (self.step, self.wanted, self.number) = (step, wanted, 0);
    }

    /// Into a table or an array of this length.
    fn enter(&mut self, table: bool, length: u64) {
        if self.at + length > self.limit() {
            return self.leave();
        }
        self.open.push((table, self.at + length));
        self.next(0);
    }

    /// A value of this length is of no interest.
    fn pass_over(&mut self, length: u64) {
        match self.at + length > self.limit() {
            true => self.leave(),
            false => self.next(length),
        }
    }

    /// After so many bytes the next value follows, in whatever is not at its end by then.
    fn next(&mut self, skip: u64) {
        let here = self.at + skip;
        while self.open.pop_if(|(_, end)| *end <= here).is_some() {}
        match self.open.last() {
            None => self.leave(),
            Some((true, _)) => self.after(skip, Step::Name, 1),
            Some((false, _)) => self.after(skip, Step::Type, 1),
        }
    }

    /// To the next frame, past the rest of this one and the byte that ends it.
    fn leave(&mut self) {
        self.open.clear();
        self.skip = self.end - self.at + 1;
        self.want(Step::Frame, 1);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn frame(kind: u8, channel: u8, payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[kind, 0, channel], size.as_slice(), payload, &[0xce]].concat()
    }

    pub fn long(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
    }

    /// `depth` tables or arrays in each other.
    fn nested(depth: usize, table: bool) -> Vec<u8> {
        (0..depth).fold(b"V".to_vec(), |inner, _| match table {
            true => [b"F".as_slice(), &long(&[b"\x01n".as_slice(), &inner].concat())].concat(),
            false => [b"A".as_slice(), &long(&[b"I\0\0\0\x07".as_slice(), &inner, b"t\x01"].concat())].concat(),
        })
    }

    /// A header frame with these headers, after as many texts as the flags say.
    fn header(flags: u16, headers: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut payload = [&[0, 60, 0, 0], 4u64.to_be_bytes().as_slice(), &flags.to_be_bytes()].concat();
        (0..(flags >> 14).count_ones()).for_each(|_| payload.extend(b"\x04text"));
        let table = headers.iter().flat_map(|(name, value)| {
            [&[u8::try_from(name.len()).unwrap()], name.as_bytes(), value.as_slice()].concat()
        });
        payload.extend(long(&table.collect::<Vec<u8>>()));
        payload.extend(b"\x02");
        frame(2, 1, &payload)
    }

    /// What becomes of these bytes, in pieces of `size`.
    fn passed(bytes: &[u8], size: usize) -> Vec<u8> {
        let (mut depth, mut bytes) = (Depth::default(), bytes.to_vec());
        bytes.chunks_mut(size).for_each(|piece| depth.pass(piece));
        bytes
    }

    #[test]
    fn what_is_too_deep_becomes_bytes_and_all_else_stays_as_it_was() {
        let filler = [b"S".as_slice(), &long(&[b'A'; 200])].concat();
        for (flags, table) in [(0x2000, true), (0x6000, false), (0xa000, true), (0xf000, false)] {
            let stream = |depth| {
                let headers = [("filler", filler.clone()), ("deep", nested(depth, table)), ("after", filler.clone())];
                let frames = [frame(1, 1, &[2; 30]), header(flags, &headers), frame(3, 1, &nested(40, false))];
                [frames.concat(), header(flags, &headers)].concat()
            };
            // The table of all headers is one of them.
            let flat = stream(MOST - 1);
            let deep = stream(MOST + 500);
            for size in [1, 7, usize::MAX] {
                assert_eq!(passed(&flat, size), flat);
                let passed = passed(&deep, size);
                let changed = deep.iter().zip(&passed).filter(|(before, after)| before != after);
                let kind = if table { &b'F' } else { &b'A' };
                assert_eq!(changed.collect::<Vec<_>>(), [(kind, &b'x'); 2], "{flags:x}");
            }
        }
    }

    #[test]
    fn lengths_that_cannot_be_true_lead_to_the_next_frame_and_nowhere_else() {
        let deep = header(0x2000, &[("deep", nested(100, false))]);
        let expected = passed(&deep, usize::MAX);
        assert_ne!(expected, deep);
        // Each byte of a good frame set to what it should not be, but for those that say where the frame ends.
        for place in 7..deep.len() - 1 {
            for wrong in [0, 0x7f, 0xff] {
                let mut broken = deep.clone();
                broken[place] = wrong;
                let passed = passed(&[broken, deep.clone()].concat(), 64);
                assert_eq!(passed[deep.len()..], expected, "{wrong} at {place}");
            }
        }
        for short in 0..14 {
            let passed = passed(&[frame(2, 1, &vec![0xff; short]), deep.clone()].concat(), 3);
            assert_eq!(passed[short + 8..], expected);
        }
    }
}
