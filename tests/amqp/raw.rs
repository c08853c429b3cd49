//! AMQP by hand: what no client library would send.

use lapin::uri::AMQPUri;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A connection with one channel, in confirm mode.
pub struct Raw(TcpStream);

impl Raw {
    /// To this broker.
    pub fn connect(url: &str) -> Raw {
        let uri: AMQPUri = url.parse().expect("the URL of the broker");
        let stream = TcpStream::connect((uri.authority.host.as_str(), uri.authority.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut raw = Raw(stream);
        raw.0.write_all(b"AMQP\0\0\x09\x01").unwrap();
        raw.answer(10, 10);
        let user = uri.authority.userinfo;
        let secret = format!("\0{}\0{}", user.username, user.password);
        raw.method(0, 10, 11, &[long(b""), short(b"PLAIN"), long(secret.as_bytes()), short(b"en_US")].concat());
        raw.answer(10, 30);
        raw.method(0, 10, 31, &[2047u16.to_be_bytes().as_slice(), &131_072u32.to_be_bytes(), &[0, 0]].concat());
        raw.method(0, 10, 40, &[short(uri.vhost.as_bytes()), short(b""), vec![0]].concat());
        raw.answer(10, 41);
        raw.method(1, 20, 10, &short(b""));
        raw.answer(20, 11);
        raw.method(1, 85, 10, &[0]);
        raw.answer(85, 11);
        raw
    }

    /// Publishes to a queue a persistent message with these headers, whose values begin with their types, and waits until the
    /// broker has it.
    pub fn publish(&mut self, queue: &str, headers: &[(&[u8], &[u8])]) {
        let table: Vec<u8> = headers.iter().flat_map(|(name, value)| [&short(name), *value].concat()).collect();
        self.method(1, 60, 40, &[&[0, 0], short(b"").as_slice(), &short(queue.as_bytes()), &[0]].concat());
        let flags = [0x30, 0];
        self.frame(2, 1, &[&[0, 60, 0, 0], 4u64.to_be_bytes().as_slice(), &flags, &long(&table), &[2]].concat());
        self.frame(3, 1, b"deep");
        self.answer(60, 80);
    }

    fn method(&mut self, channel: u16, class: u16, method: u16, arguments: &[u8]) {
        self.frame(1, channel, &[&class.to_be_bytes(), &method.to_be_bytes(), arguments].concat());
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let frame = [&[kind], channel.to_be_bytes().as_slice(), &long(payload), &[0xce]].concat();
        self.0.write_all(&frame).unwrap();
    }

    /// The next method, which must be this one.
    fn answer(&mut self, class: u16, method: u16) {
        let mut head = [0; 7];
        self.0.read_exact(&mut head).unwrap();
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        let mut rest = vec![0; size as usize + 1];
        self.0.read_exact(&mut rest).unwrap();
        let expected = [class.to_be_bytes(), method.to_be_bytes()].concat();
        assert_eq!((head[0], &rest[..4]), (1, expected.as_slice()), "{}", String::from_utf8_lossy(&rest));
    }
}

fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}
