//! `oat bench bus`.

use crate::door::{json_lines, program, text};
use crate::fixture::Bus;
use oat::bus::{Connection, Error, Options, Topology};
use rustix::process::{Pid, Signal};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

/// The queue that it says it uses.
fn queue(told: &str) -> &str {
    told.trim_end().split_once("through the queue ").unwrap_or_else(|| panic!("{told}")).1
}

async fn is_gone(bus: &Bus, queue: &str) -> bool {
    let connection = Connection::open(&bus.url, Topology::default(), Options::default()).await.unwrap();
    let depth = connection.depth(queue).await;
    connection.close().await;
    matches!(depth, Err(Error::Missing { .. }))
}

pub async fn a_bus_is_measured_and_left_as_it_was(bus: &Bus) {
    let prefix = bus.name("");
    let arguments = ["bench", "bus", "--messages", "300", "--window", "7", "--queue-prefix", &prefix];
    for json in [true, false] {
        let output = program(bus, &arguments).args(json.then_some("--json")).output().unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{err}");
        assert!(queue(&err).starts_with(&prefix) && is_gone(bus, queue(&err)).await, "{err}");
        if !json {
            assert!(out.contains("PUBLISH/S") && out.lines().count() == 2, "{out}");
            continue;
        }
        let row = &json_lines(&out)[0];
        assert_eq!(
            (row["messages"].as_u64(), row["window"].as_u64(), row["v"].as_u64()),
            (Some(300), Some(7), Some(1))
        );
        let number = |name: &str| row[name].as_f64().unwrap();
        assert!(number("publish_per_s") > 0.0 && number("consume_per_s") > 0.0, "{out}");
        assert!(0.0 < number("p50_seconds") && number("p50_seconds") <= number("p99_seconds"), "{out}");
    }
}

pub async fn an_interrupted_measurement_leaves_no_queue(bus: &Bus) {
    bus.open(&[], &[]).await.close().await;
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut command = program(bus, &["bench", "bus", "--messages", "1000000", "--queue-prefix", &bus.name("")]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        stderr.read_line(&mut told).unwrap();
        rustix::process::kill_process(Pid::from_child(&child), signal).unwrap();
        let mut printed = String::new();
        child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        assert_eq!((child.wait().unwrap().code(), printed.as_str()), (Some(status), ""));
        assert!(is_gone(bus, queue(&told)).await, "{told}");
    }
}
