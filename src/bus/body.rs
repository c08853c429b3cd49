//! What stands in a body: JSON, CBOR or bytes, packed or not, as the properties of its message say. Bodies come from
//! strangers: nothing here trusts them to be what they say, nor to be as small as they look.
//!
//! Packing is told in AMQP's way, by the content encoding, or in kombu's, by a header; both are read. Kombu's names are
//! its own: what it calls `application/x-gzip` is zlib's format.

use super::{Error, HeaderValue, Message};
use flate2::read::{GzEncoder, MultiGzDecoder, ZlibDecoder, ZlibEncoder};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read};

/// Content type of JSON bodies.
pub const JSON: &str = "application/json";
/// Content type of CBOR bodies.
pub const CBOR: &str = "application/cbor";
/// Content type of bodies of which only their receiver knows what they are.
pub const BYTES: &str = "application/octet-stream";
/// The header in which kombu says how a body is packed.
const COMPRESSION: &str = "compression";
/// How deep CBOR may be nested.
const DEPTH: usize = 128;
/// What an unpacker of zstd must be able to remember, as its specification recommends; more is memory that a stranger asks for.
const WINDOW: u64 = 8 << 20;

/// How a body can be packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Known everywhere.
    Gzip,
    /// Faster, and smaller.
    Zstd,
}

impl Message {
    /// A message with a body in JSON. Fails for what JSON cannot express, such as a map whose keys are not texts.
    pub fn json(value: &impl Serialize) -> Result<Message, Error> {
        let body = serde_json::to_vec(value).map_err(|error| wrong(format!("it has no form in JSON: {error}")))?;
        Ok(Message::new(JSON, body))
    }

    /// A message with a body in CBOR.
    pub fn cbor(value: &impl Serialize) -> Result<Message, Error> {
        let mut body = Vec::new();
        ciborium::into_writer(value, &mut body).map_err(|error| wrong(format!("it has no form in CBOR: {error}")))?;
        Ok(Message::new(CBOR, body))
    }

    /// A message with bytes that are not looked at. Its encoding says so to kombu, which would take them for text.
    pub fn raw(body: Vec<u8>) -> Message {
        Message { content_encoding: Some("binary".into()), ..Message::new(BYTES, body) }
    }

    /// What its body says, by its content type: JSON, which is also assumed without one, or CBOR. A packed one has to be
    /// [`unpacked`](Self::unpacked) first.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        if !self.packings()?.is_empty() {
            return Err(wrong("it is packed, and has to be unpacked first".into()));
        }
        // Parameters, such as a character set, are ignored: neither format has any.
        let kind = self.content_type.as_deref().unwrap_or(JSON).split(';').next().unwrap_or_default();
        let kind = kind.trim().to_ascii_lowercase();
        let format = kind.strip_prefix("application/").unwrap_or(&kind);
        match format.strip_prefix("x-").unwrap_or(format).rsplit('+').next() {
            Some("json") => serde_json::from_slice(&self.body).map_err(|error| match error.is_data() {
                true => wrong(error.to_string()),
                false => wrong(format!("not valid JSON: {error}")),
            }),
            Some("cbor") => ciborium::de::from_reader_with_recursion_limit(&self.body[..], DEPTH).map_err(|error| {
                wrong(match error {
                    ciborium::de::Error::Semantic(_, why) => why,
                    ciborium::de::Error::Syntax(place) => format!("not valid CBOR at byte {place}"),
                    ciborium::de::Error::RecursionLimitExceeded => "nested too deep".into(),
                    ciborium::de::Error::Io(_) => "not valid CBOR: it ends too soon".into(),
                })
            }),
            _ => Err(wrong(format!("its content type is {kind:?}, and only {JSON} and {CBOR} can be read"))),
        }
    }

    /// The same with its body packed, and its content encoding saying so.
    pub fn compressed(self, how: Compression) -> Message {
        let (body, name) = match how {
            Compression::Gzip => (drained(GzEncoder::new(&self.body[..], Default::default())), "gzip"),
            Compression::Zstd => (zstd(&self.body), "zstd"),
        };
        let before = self.content_encoding.as_deref().filter(|before| matches!(packing(before), Ok(Some(_)) | Err(_)));
        let encoding = before.map_or(name.into(), |before| format!("{before}, {name}"));
        Message { body, content_encoding: Some(encoding), ..self }
    }

    /// The same as kombu packs it, for consumers that use kombu: a header says so.
    pub fn compressed_for_kombu(self, how: Compression) -> Message {
        let (body, name) = match how {
            Compression::Gzip => (drained(ZlibEncoder::new(&self.body[..], Default::default())), "application/x-gzip"),
            Compression::Zstd => (zstd(&self.body), "application/zstd"),
        };
        Message { body, ..self }.header(COMPRESSION, HeaderValue::Text(name.into()))
    }

    /// The same with its body as it was before anybody packed it; an error if that has more than `limit` bytes, found
    /// without unpacking more than those.
    pub fn unpacked(&self, limit: usize) -> Result<Message, Error> {
        let mut message = self.clone();
        for packing in self.packings()?.into_iter().rev() {
            message.body = unpack(packing, &message.body, limit)?;
            message.headers.remove(COMPRESSION);
            message.content_encoding = None;
        }
        Ok(message)
    }

    /// How it is packed, the last step last.
    fn packings(&self) -> Result<Vec<Packing>, Error> {
        let encodings = self.content_encoding.as_deref().unwrap_or_default().split(',');
        encodings.chain(self.text(COMPRESSION)).filter_map(|name| packing(name).transpose()).collect()
    }
}

/// What has to be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    /// Its first bytes tell gzip's format from zlib's, whatever the name says.
    Deflate,
    Zstd,
}

/// A content encoding, or kombu's header: there, character sets are encodings, too.
fn packing(name: &str) -> Result<Option<Packing>, Error> {
    match name.trim().to_ascii_lowercase().as_str() {
        "" | "identity" | "binary" | "utf-8" | "utf8" | "us-ascii" | "ascii" | "ascii-8bit" => Ok(None),
        "gzip" | "x-gzip" | "application/x-gzip" | "deflate" | "zlib" => Ok(Some(Packing::Deflate)),
        "zstd" | "application/zstd" => Ok(Some(Packing::Zstd)),
        _ => Err(wrong(format!("its encoding {name:?} is not known; gzip, deflate and zstd are"))),
    }
}

fn unpack(packing: Packing, packed: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    let outcome = match packing {
        Packing::Deflate if packed.starts_with(&[0x1f, 0x8b]) => fill(&mut body, limit, MultiGzDecoder::new(packed)),
        Packing::Deflate => fill(&mut body, limit, ZlibDecoder::new(packed)),
        Packing::Zstd => unzstd(&mut body, limit, packed),
    };
    match outcome {
        Ok(()) if body.len() > limit => Err(wrong(format!("unpacked it has more than {limit} bytes"))),
        Ok(()) => Ok(body),
        Err(error) => Err(wrong(format!("it cannot be unpacked: {error}"))),
    }
}

/// One byte more than allowed tells enough.
fn fill(body: &mut Vec<u8>, limit: usize, unpacker: impl Read) -> io::Result<()> {
    let room = (limit - body.len()).saturating_add(1);
    unpacker.take(room as u64).read_to_end(body).map(drop)
}

/// Frame after frame.
fn unzstd(body: &mut Vec<u8>, limit: usize, mut packed: &[u8]) -> io::Result<()> {
    while !packed.is_empty() && body.len() <= limit {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW.max(limit as u64));
        let unpacker = StreamingDecoder::new_with_decoder(&mut packed, decoder).map_err(io::Error::other)?;
        fill(body, limit, unpacker)?;
    }
    Ok(())
}

fn drained(mut packer: impl Read) -> Vec<u8> {
    let mut packed = Vec::new();
    packer.read_to_end(&mut packed).expect("reading from memory cannot fail");
    packed
}

/// One frame that tells its size: kombu up to 5.5 cannot read others, and the packer does not write it. Its header is four
/// bytes of magic, a descriptor without a size or a dictionary, and the window.
fn zstd(body: &[u8]) -> Vec<u8> {
    let mut frame = compress_to_vec(body, CompressionLevel::Fastest);
    debug_assert_eq!(frame[4] & 0b1110_0011, 0, "another kind of header");
    frame[4] |= 0b1100_0000;
    frame.splice(6..6, (body.len() as u64).to_le_bytes());
    frame
}

fn wrong(why: String) -> Error {
    Error::Body { why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn why<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
        match outcome.unwrap_err() {
            Error::Body { why } => why,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_written_is_read_by_its_content_type() {
        let value = json!({"text": "Zoë", "numbers": [1, -2, 0.5], "nothing": null});
        for message in [Message::json(&value).unwrap(), Message::cbor(&value).unwrap()] {
            assert_eq!(message.decode::<Value>().unwrap(), value);
        }
        for kind in ["Application/JSON; charset=utf-8", "application/vnd.api+json", "application/x-json"] {
            assert_eq!(Message::new(kind, b"[7]".to_vec()).decode::<[u8; 1]>().unwrap(), [7], "{kind}");
        }
        let bare = Message { body: b"[7]".to_vec(), ..Message::default() };
        assert_eq!(bare.decode::<[u8; 1]>().unwrap(), [7]);
        assert!(why(Message::json(&std::collections::BTreeMap::from([((), ())]))).contains("no form in JSON"));
    }

    #[test]
    fn what_cannot_be_read_says_why_and_where() {
        let text = |kind: &str, body: &[u8]| why(Message::new(kind, body.to_vec()).decode::<Value>());
        assert!(text(JSON, b"{\"a\":\n oops}").contains("line 2 column 2"));
        assert!(text(CBOR, b"\x1c").contains("not valid CBOR at byte 0"));
        assert!(text(CBOR, &[0x81; 10_000]).contains("nested too deep"));
        assert!(text(CBOR, b"\x82\x01").contains("ends too soon"));
        for other in [Message::json(&7).unwrap(), Message::cbor(&7).unwrap()] {
            let told = why(other.decode::<String>());
            assert!(told.contains("invalid type: integer `7`, expected") && !told.contains("not valid"), "{told}");
        }
        assert!(text("application/x-python-serialize", b"").contains("application/x-python-serialize"));
        assert!(why(Message::raw(vec![1]).decode::<Value>()).contains(BYTES));
        let packed = Message::json(&1).unwrap().compressed(Compression::Zstd);
        assert!(why(packed.decode::<Value>()).contains("unpacked first"));
    }

    #[test]
    fn what_is_packed_comes_out_as_it_went_in() {
        for body in [vec![], b"short".to_vec(), (0..300_000u32).flat_map(|n| (n % 1000).to_le_bytes()).collect()] {
            let message = Message::new(JSON, body).id("m-1").header("h", HeaderValue::Int(1));
            for how in [Compression::Gzip, Compression::Zstd] {
                let other = if how == Compression::Gzip { Compression::Zstd } else { Compression::Gzip };
                for packed in [
                    message.clone().compressed(how),
                    message.clone().compressed_for_kombu(how),
                    message.clone().compressed(other).compressed(how),
                ] {
                    assert_eq!(packed.unpacked(message.body.len().max(100)).unwrap(), message, "{how:?}");
                    assert!(message.body.len() < 1000 || packed.body.len() < message.body.len());
                }
            }
        }
        let plain = Message::raw(vec![7; 9]);
        assert_eq!(plain.unpacked(0).unwrap(), plain);
    }

    #[test]
    fn the_names_and_formats_of_others_are_understood() {
        let zlib = Message::json(&7).unwrap().compressed_for_kombu(Compression::Gzip);
        assert_eq!(zlib.body[0] & 0x0f, 8, "zlib's format under gzip's name");
        let deflated =
            Message { content_encoding: Some("Deflate".into()), headers: Default::default(), ..zlib.clone() };
        assert_eq!(deflated.unpacked(9).unwrap().decode::<u8>().unwrap(), 7);
        let gzip = Message { content_encoding: Some("utf-8".into()), ..zlib };
        assert_eq!(gzip.unpacked(9).unwrap().decode::<u8>().unwrap(), 7);
        let odd = Message { content_encoding: Some("br".into()), ..Message::default() };
        assert!(why(odd.unpacked(9)).contains("\"br\""));
        // Two frames, as `cat` makes them.
        let mut two = Message::json(&7).unwrap().compressed(Compression::Zstd);
        two.body.extend_from_within(..);
        assert_eq!(two.unpacked(9).unwrap().body, b"77");
        assert_eq!(&two.body[6..14], &1u64.to_le_bytes(), "a frame tells its size");
    }

    #[test]
    fn a_bomb_and_a_torn_body_are_errors() {
        for how in [Compression::Gzip, Compression::Zstd] {
            let bomb = Message::raw(vec![0; 20 << 20]).compressed(how);
            assert!(bomb.body.len() < 40_000, "{} bytes", bomb.body.len());
            assert!(why(bomb.unpacked(1 << 20)).contains("more than 1048576 bytes"));
            assert!(why(bomb.clone().compressed(how).unpacked(1 << 20)).contains("more than 1048576 bytes"));
            let torn = Message { body: bomb.body[..bomb.body.len() / 2].to_vec(), ..bomb.clone() };
            assert!(why(torn.unpacked(1 << 30)).contains("cannot be unpacked"));
            let garbage = Message { body: b"no such thing".to_vec(), ..bomb };
            assert!(why(garbage.unpacked(9)).contains("cannot be unpacked"));
        }
    }
}
