//! `oat rpc` as people meet it: a server, calls, the HTTP front of the seed's tests 2 and 3, on either bus.

mod support;

use oat::bus::rpc::{Failure, Request, Server, Target};
use oat::bus::{Connection, Options, Topology};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::Notify;

/// A home of its own and a bus: a file there, or the shared broker.
struct Place {
    home: TempDir,
    broker: bool,
}

/// A server of the command line, ended when dropped.
struct Running(Child, String);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Place {
    fn both() -> [Place; 2] {
        [false, true].map(|broker| Place { home: tempfile::tempdir().unwrap(), broker })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_oat"));
        command.env_clear().env("HOME", self.home.path()).current_dir(self.home.path()).stdin(Stdio::null());
        if self.broker {
            command.env("OAT_AMQP_URL", support::rabbitmq_url());
        }
        command.arg("rpc").args(arguments);
        // Names that no other test uses on the broker that all share.
        command.arg("--queue-prefix").arg(self.prefix());
        command
    }

    fn prefix(&self) -> String {
        format!("{}-", self.home.path().file_name().unwrap().display())
    }

    /// The bus that its commands find.
    fn url(&self) -> String {
        let folder = self.home.path().join(".local/share/oat");
        std::fs::create_dir_all(&folder).unwrap();
        match self.broker {
            true => support::rabbitmq_url().into(),
            false => format!("sqlite:{}/oat.db", folder.display()),
        }
    }

    fn oat(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Returns when the log says `ready`; with that line.
    fn start(&self, arguments: &[&str], ready: &str) -> Running {
        let mut child = self.command(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let line =
            log.find(|line| line.contains(ready)).unwrap_or_else(|| panic!("{arguments:?} never said {ready:?}"));
        std::thread::spawn(move || log.for_each(drop));
        Running(child, line)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_server_adds_and_draws_for_whoever_calls() {
    for place in Place::both() {
        let _server = place.start(&["serve"], "serving");
        let sum = place.oat(&["call", "adder", "42"]);
        assert_eq!((text(&sum.stdout).as_str(), sum.status.code()), ("43\n", Some(0)), "{}", text(&sum.stderr));
        let drawn = place.oat(&["call", "draw", "dragon", "width=40", "height=30"]);
        let png = std::fs::read(place.home.path().join("dragon.png")).unwrap();
        assert!(text(&drawn.stdout).contains(&hex::encode(Sha256::digest(&png))), "{}", text(&drawn.stdout));
        let failed = place.oat(&["call", "draw", "nowhere"]);
        assert_eq!(failed.status.code(), Some(1));
        assert!(text(&failed.stderr).contains("LookupError"), "{}", text(&failed.stderr));
    }
}

#[test]
fn whole_numbers_are_added_exactly_or_not_at_all() {
    for place in Place::both() {
        let _server = place.start(&["serve"], "serving");
        for (number, sum) in [
            ("9223372036854775807", "9223372036854775808"),
            ("18446744073709551614", "18446744073709551615"),
            ("-9223372036854775808", "-9223372036854775807"),
            ("0.5", "1.5"),
        ] {
            let call = place.oat(&["call", "adder", number]);
            assert_eq!(text(&call.stdout).trim_end(), sum, "{}", text(&call.stderr));
        }
        // The last is a float by its looks; but 1e300 and one is 1e300 again.
        for number in ["18446744073709551615", "1e300"] {
            let call = place.oat(&["call", "adder", number]);
            assert_eq!((call.status.code(), text(&call.stdout).as_str()), (Some(1), ""));
            assert!(text(&call.stderr).contains("OverflowError"), "{}", text(&call.stderr));
        }
        let call = place.oat(&["call", "adder", "18446744073709551616"]);
        assert_eq!(call.status.code(), Some(2), "{}", text(&call.stdout));
        assert!(text(&call.stderr).contains("64 bits"), "{}", text(&call.stderr));
    }
}

#[test]
fn a_call_answers_programs_in_one_line_of_json() {
    for place in Place::both() {
        let _server = place.start(&["serve"], "serving");
        let answer = |arguments: &[&str]| -> Value {
            let call = place.oat(&[&["call", "--json"], arguments].concat());
            serde_json::from_str(&text(&call.stdout)).unwrap_or_else(|_| panic!("{}", text(&call.stderr)))
        };
        assert_eq!(answer(&["adder", "42"]), json!({"v": 1, "answer": 43}));
        let drawn = answer(&["draw", "dragon", "width=40", "height=30", "--output", "small.png"]);
        let png = std::fs::read(place.home.path().join("small.png")).unwrap();
        assert_eq!(drawn["answer"]["checksum"], hex::encode(Sha256::digest(&png)), "{drawn}");
        assert_eq!((&drawn["answer"]["file"], &drawn["answer"]["png"]), (&json!("small.png"), &Value::Null));
    }
}

/// As `oat draw` does; and nothing but the picture.
#[test]
fn a_picture_goes_to_standard_output_when_asked_to() {
    let [place, _] = Place::both();
    let _server = place.start(&["serve"], "serving");
    let drawn = place.oat(&["call", "draw", "dragon", "width=40", "height=30", "-o", "-"]);
    let (said, checksum) = (text(&drawn.stderr), hex::encode(Sha256::digest(&drawn.stdout)));
    assert!(drawn.stdout.starts_with(b"\x89PNG") && said.contains(&checksum), "{said}");
    assert!(!place.home.path().join("-").exists());
    let both = place.oat(&["call", "draw", "dragon", "-o", "-", "--json"]);
    assert_eq!((both.status.code(), both.stdout.as_slice()), (Some(2), &b""[..]), "{}", text(&both.stderr));
    let lost = place.command(&["call", "draw", "dragon", "-o", "-"]).stdout(support::full_disk()).output().unwrap();
    assert_eq!(lost.status.code(), Some(1), "{}", text(&lost.stderr));
}

/// Each would have been left out, or taken for something else.
#[test]
fn what_a_call_is_given_and_cannot_use_is_told() {
    let [place, _] = Place::both();
    let _server = place.start(&["serve"], "serving");
    let calls: [(&[&str], i32, &str); 5] = [
        (&["draw", "dragon", "widht=10"], 1, "TypeError: draw has no argument \"widht\"; it takes at, width, height"),
        (&["adder", "42", "num=3"], 1, "adder has no argument \"num\"; it takes arg"),
        (&["adder", "arg={\"a\":1,}"], 2, "arg is not JSON: trailing comma"),
        (&["adder", "42", "arg=3"], 2, "arg is given twice"),
        (&["adder", "42", "-o", "sum.png"], 1, "the answer is no picture: sum.png was not written\n  why: 43"),
    ];
    for (arguments, status, told) in calls {
        let call = place.oat(&[&["call"], arguments].concat());
        assert_eq!((call.status.code(), text(&call.stdout).as_str()), (Some(status), ""), "{arguments:?}");
        assert!(text(&call.stderr).contains(told), "{arguments:?}: {}", text(&call.stderr));
    }
}

#[test]
fn a_call_in_the_words_of_oslo_leaves_no_queue() {
    let [place, _] = Place::both();
    let _server = place.start(&["serve", "--wire", "oslo"], "serving");
    for _ in 0..3 {
        assert_eq!(text(&place.oat(&["call", "adder", "1", "--wire", "oslo"]).stdout), "2\n");
    }
    let list = Command::new(env!("CARGO_BIN_EXE_oat"))
        .env_clear()
        .env("HOME", place.home.path())
        .args(["bus", "queues", "--json"])
        .output()
        .unwrap();
    assert!(text(&list.stdout).contains("myname"), "{}{}", text(&list.stdout), text(&list.stderr));
    assert!(!text(&list.stdout).contains("reply_"), "{}", text(&list.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_calls_off_what_was_called() {
    for place in Place::both() {
        let bus = Connection::open(&place.url(), Topology::default(), Options::default()).await.unwrap();
        let (begun, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let signals = (begun.clone(), dropped.clone());
        let endless = move |_: Request| {
            let (begun, tell) = (signals.0.clone(), Tell(signals.1.clone()));
            async move {
                let _tell = tell;
                begun.notify_one();
                std::future::pending::<Result<Value, Failure>>().await
            }
        };
        let target = Target::oat(&format!("{}rpc.test", place.prefix()));
        let _server = Server::serve(&bus, &target, 1, endless).await.unwrap();
        let call = place.command(&["call", "wait"]).stderr(Stdio::piped()).spawn().unwrap();
        begun.notified().await;
        rustix::process::kill_process(rustix::process::Pid::from_child(&call), rustix::process::Signal::INT).unwrap();
        dropped.notified().await;
        let call = tokio::task::spawn_blocking(|| call.wait_with_output().unwrap()).await.unwrap();
        assert_eq!(call.status.code(), Some(130), "{}", text(&call.stderr));
        assert!(text(&call.stderr).contains("called off"), "{}", text(&call.stderr));
    }
}

/// Tells when it is dropped.
struct Tell(Arc<Notify>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[test]
fn a_port_in_use_is_the_only_thing_that_is_said() {
    let [place, _] = Place::both();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let http = place.oat(&["http", "--listen", &taken.local_addr().unwrap().to_string()]);
    assert_eq!(http.status.code(), Some(1));
    assert!(text(&http.stderr).starts_with("error: listen on"), "{}", text(&http.stderr));
}

#[test]
fn a_call_that_nobody_serves_says_so_at_once() {
    for place in Place::both() {
        let call = place.oat(&["call", "adder", "42"]);
        assert_eq!(call.status.code(), Some(4));
        assert!(text(&call.stderr).contains("nobody serves"), "{}", text(&call.stderr));
        assert!(text(&call.stderr).contains("oat rpc serve"));
    }
}

/// It takes connections and says nothing; left to itself, connecting would be tried for 10 s.
#[test]
fn a_broker_that_says_nothing_is_waited_for_as_long_as_asked() {
    let [place, _] = Place::both();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("amqp://{}", silent.local_addr().unwrap());
    let call = place.oat(&["call", "adder", "42", "--timeout", "100ms", "--amqp-url", &url]);
    assert_eq!(call.status.code(), Some(4), "{}", text(&call.stderr));
    assert!(text(&call.stderr).contains("no answer within 0.5 s"), "no attempt is shorter: {}", text(&call.stderr));
}

/// The seed's tests 2 and 3: a web server that calls a server of methods, both with connections of their own.
#[test]
fn a_browser_gets_1337_for_1336_by_a_call_over_the_bus() {
    for place in Place::both() {
        let front = place.start(&["http", "--listen", "127.0.0.1:0", "--timeout", "30s"], "listening on");
        let address = front.1.rsplit("http://").next().unwrap().trim_end_matches('/').to_owned();
        assert!(get(&address, "/?num=1336").starts_with("HTTP/1.1 503"), "nobody serves yet");
        let _server = place.start(&["serve"], "serving");
        let answer = get(&address, "/?num=1336");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n1337"), "{answer}");
        for (path, status) in [("/", "200"), ("/?num=many", "400"), ("/other", "404"), ("/?num=-1", "200")] {
            assert!(get(&address, path).starts_with(&format!("HTTP/1.1 {status}")), "{path}");
        }
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn both_wires_are_served_from_the_command_line() {
    let [_, place] = Place::both();
    let topic = place.home.path().file_name().unwrap().to_str().unwrap().to_owned();
    let wire = ["--wire", "oslo", "--topic", &topic];
    let _server = place.start(&[&["serve"], &wire[..]].concat(), "serving");
    for server in [&[][..], &["--server", "myname"]] {
        let sum = place.oat(&[&["call", "adder", "-1"], &wire[..], server].concat());
        assert_eq!(text(&sum.stdout), "0\n", "{}", text(&sum.stderr));
    }
    assert!(Path::new(place.home.path()).read_dir().unwrap().next().is_none(), "nothing is left at home");
}
