//! The programs as people meet them: the one command, help, wrong flags, servers that are down, signals.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A program with an environment of its own: nothing of the machine's settings, and a home that is empty.
fn program(name: &str, home: &Path) -> Command {
    let folder = Path::new(env!("CARGO_BIN_EXE_oat")).parent().unwrap();
    let mut command = Command::new(folder.join(name));
    command.env_clear().env("HOME", home).stdin(Stdio::null());
    command
}

fn oat(home: &Path, arguments: &[&str]) -> Output {
    program("oat", home).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn json_lines(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn oat_up_draws_the_tour_and_leaves() {
    let home = home();
    let up = oat(home.path(), &["up", "--exit", "--tasks", "24", "--size", "160x120"]);
    assert_eq!(up.status.code(), Some(0), "{}", stderr(&up));
    assert!(stdout(&up).contains("24 pictures"), "{}", stdout(&up));
    assert_eq!(stderr(&up).lines().filter(|line| line.starts_with('✓')).count(), 24, "{}", stderr(&up));

    let list = json_lines(&oat(home.path(), &["list", "--all", "--json"]));
    assert_eq!(list.len(), 24);
    for record in &list {
        let uuid = record["uuid"].as_str().unwrap();
        let file = home.path().join(format!(".local/share/oat/pictures/{uuid}.png"));
        assert_eq!(hex::encode(Sha256::digest(std::fs::read(file).unwrap())), record["checksum"].as_str().unwrap());
        assert_eq!(record["state"], "done");
        let show = json_lines(&oat(home.path(), &["show", &uuid[..13], "--json"]));
        assert_eq!(&show[0], record);
    }
}

#[test]
fn oat_up_finds_what_it_has_drawn_and_draws_it_again_only_when_asked() {
    let home = home();
    let up = |more: &[&str]| oat(home.path(), &[&["up", "--exit", "--size", "40x30"], more].concat());
    assert!(stdout(&up(&[])).contains("24 pictures in"));
    assert!(stdout(&up(&[])).contains("24 pictures here already"));
    assert!(stdout(&up(&["--again"])).contains("24 pictures in"));
    assert_eq!(json_lines(&oat(home.path(), &["list", "--all", "--json"])).len(), 48);
    assert!(stdout(&up(&["--tasks", "2"])).contains("2 pictures in"));
    let names = json_lines(&oat(home.path(), &["list", "--all", "--json"]));
    assert_eq!(names.iter().filter(|record| record["name"] == "the-set").count(), 2, "the third time is no tour");
}

/// What is told to be typed can be pasted as it is, and no password is in it.
#[test]
fn oat_up_says_what_to_ask_and_keeps_the_password() {
    let home = home();
    let up = |more: &[&str]| oat(home.path(), &[&["up", "--exit", "--tasks", "1", "--size", "9x9"], more].concat());
    let folder = home.path().join("it's my folder");
    let told = stdout(&up(&["--dir", folder.to_str().unwrap()]));
    let (_, ask) = told.split_once("ask    ").unwrap();
    let mut shell = Command::new("/bin/sh");
    let here = Path::new(env!("CARGO_BIN_EXE_oat")).parent().unwrap();
    shell.env("PATH", here).arg("-c").arg(format!("{} --json", ask.trim_end()));
    assert_eq!(json_lines(&shell.output().unwrap()).len(), 1, "{told}");

    let mut url = url::Url::parse(&support::database("postgres")).unwrap();
    url.set_query(Some("application_name=canary"));
    let told = up(&["--dir", folder.to_str().unwrap(), "--database-url", url.as_str()]);
    assert!(stdout(&told).contains("oat list"), "{}{}", stdout(&told), stderr(&told));
    assert!(stdout(&told).contains("--database-url"), "{}", stdout(&told));
    assert!(!stdout(&told).contains("canary"), "{}", stdout(&told));
}

/// It was, before anything had been drawn.
#[test]
fn a_tour_that_was_interrupted_is_not_given_twice() {
    let home = home();
    let producer = program("oat-producer", home.path()).args(["--count=3", "--max-width=9", "--min-width=9"]).output();
    assert_eq!(producer.unwrap().status.code(), Some(0));
    let up = oat(home.path(), &["up", "--exit"]);
    assert!(stdout(&up).contains("0 pictures here already") && stdout(&up).contains("3 still to be drawn"));
    assert!(stdout(&up).contains("✓ 3 pictures in"), "{}", stdout(&up));
    assert!(!stdout(&oat(home.path(), &["up", "--exit", "--fresh", "--tasks=0"])).contains("already"));
}

#[test]
fn oat_up_tells_programs_in_json() {
    let home = home();
    let up =
        oat(home.path(), &["up", "--exit", "--fresh", "--tasks", "30", "--size", "40x30", "--seed", "1", "--json"]);
    let lines = json_lines(&up);
    assert_eq!(lines.len(), 31);
    assert!(lines[..30].iter().all(|line| line["event"] == "picture" && line["checksum"].is_string()));
    assert_eq!(
        (&lines[30]["event"], &lines[30]["drawn"], &lines[30]["failed"]),
        (&"summary".into(), &30.into(), &0.into())
    );
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "--fresh leaves nothing");
}

#[test]
fn verify_says_which_side_has_changed() {
    let home = home();
    oat(home.path(), &["up", "--exit", "--tasks", "3", "--size", "40x30"]);
    let all = || oat(home.path(), &["verify", "--all"]);
    assert_eq!(all().status.code(), Some(0), "{}", stdout(&all()));
    assert!(stdout(&all()).contains("3 match, 0 differ"));

    let records = json_lines(&oat(home.path(), &["list", "--json"]));
    let uuid = records[0]["uuid"].as_str().unwrap();
    let file = home.path().join(format!(".local/share/oat/pictures/{uuid}.png"));
    let mut png = std::fs::read(&file).unwrap();
    *png.last_mut().unwrap() ^= 1;
    std::fs::write(&file, png).unwrap();
    let changed = oat(home.path(), &["verify", &uuid[..8]]);
    assert_eq!(changed.status.code(), Some(6));
    assert!(stdout(&changed).contains("the file was changed"), "{}", stdout(&changed));
    std::fs::remove_file(&file).unwrap();
    assert!(stdout(&all()).contains("the file cannot be read") && stdout(&all()).contains("2 match, 1 differ"));
}

/// A file of at most 4 KiB stands for a full disk: it needs no root. The picture that was there stays.
#[test]
fn a_full_disk_leaves_no_half_picture() {
    let home = home();
    let full = |name: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" draw --at dragon --size 400x300 -o \"$1\""]);
        shell.arg(env!("CARGO_BIN_EXE_oat")).arg(name).current_dir(home.path()).stdin(Stdio::null()).output().unwrap()
    };
    let failed = full("a.png");
    assert_eq!(failed.status.code(), Some(1), "{}", stderr(&failed));
    assert!(stderr(&failed).contains("write a.png"), "{}", stderr(&failed));
    std::fs::write(home.path().join("b.png"), "before").unwrap();
    assert_eq!(full("b.png").status.code(), Some(1));
    assert_eq!(std::fs::read(home.path().join("b.png")).unwrap(), b"before");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    let device = oat(home.path(), &["draw", "--size", "40x30", "-o", "/dev/full"]);
    assert_eq!(device.status.code(), Some(1), "{}", stderr(&device));
}

/// As when a disk is full: what was written so far must not pass for all there is.
#[test]
fn what_cannot_be_printed_is_a_failure() {
    let (home, temporary) = (home(), home());
    assert!(oat(home.path(), &["up", "--exit", "--tasks=1", "--size=9x9"]).status.success());
    let printing: [&[&str]; 6] = [
        &["scenes"],
        &["list", "--json"],
        &["setup"],
        &["draw", "--size=9x9", "-o", "-"],
        &["up", "--fresh", "--exit", "--size=9x9"],
        &["up", "--fresh", "--exit", "--size=9x9", "--json"],
    ];
    let helping: [&[&str]; 4] = [&[], &["--help"], &["worker", "--help"], &["--version"]];
    for arguments in printing.into_iter().chain(helping) {
        let mut oat = program("oat", home.path());
        let failed = oat.args(arguments).env("TMPDIR", temporary.path()).stdout(support::full_disk()).output().unwrap();
        assert_eq!(failed.status.code(), Some(1), "{arguments:?}: {}", stderr(&failed));
        assert!(stderr(&failed).contains("No space left on device"), "{arguments:?}: {}", stderr(&failed));
        assert!(!stderr(&failed).contains("panicked"), "{arguments:?}: {}", stderr(&failed));
        assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "{arguments:?}");
    }
}

#[test]
fn a_signal_ends_a_drawing_and_leaves_nothing() {
    for (signal, status) in [(rustix::process::Signal::INT, 130), (rustix::process::Signal::TERM, 143)] {
        let home = home();
        let mut draw = program("oat", home.path());
        draw.args(["draw", "--at", "siegel-disk", "--size", "60000x60000", "-o", "a.png"]).current_dir(home.path());
        let mut draw = draw.stderr(Stdio::null()).spawn().unwrap();
        let files = || std::fs::read_dir(home.path()).unwrap().count();
        support::wait_until("the drawing has begun", || files() == 1);
        rustix::process::kill_process(rustix::process::Pid::from_child(&draw), signal).unwrap();
        assert_eq!((draw.wait().unwrap().code(), files()), (Some(status), 0));
    }
}

/// `script` gives the program a terminal.
#[test]
fn oat_draw_shows_a_picture_in_a_terminal() {
    let home = home();
    let in_terminal = |arguments: &str| {
        let command = format!("stty columns 40 rows 12; {} draw {arguments}", env!("CARGO_BIN_EXE_oat"));
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &command, "/dev/null"]).env_remove("NO_COLOR");
        let output = script.env("TERM", "xterm").current_dir(home.path()).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", stdout(&output));
        stdout(&output)
    };
    let shown = in_terminal("--at dragon");
    assert_eq!((shown.matches('▀').count(), shown.matches("\x1b[0m").count()), (27 * 10, 10), "{shown}");
    assert!(shown.contains("-o FILE.png"), "{shown}");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    assert!(!in_terminal("--at dragon --size 40x30 -o dragon.png").contains('▀'));
    assert!(home.path().join("dragon.png").is_file());
}

#[test]
fn a_reader_who_has_seen_enough_is_no_failure() {
    let home = home();
    // The second is large enough to be written band by band.
    let large = ["draw", "--size=12000x10700", "--iterations=1", "--palette=classic", "-o", "-"];
    for arguments in [&["draw", "--size", "400x300", "-o", "-"][..], &large, &["scenes"], &["--help"]] {
        // A pipe whose other end is closed already.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = program("oat", home.path()).args(arguments).stdout(writer).output().unwrap();
        assert_eq!((ended.status.code(), stderr(&ended).as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn looking_makes_nothing() {
    let home = home();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("a.png");
    assert_eq!(oat(home.path(), &["draw", "--size", "20x10", "-o", file.to_str().unwrap()]).status.code(), Some(0));
    assert_eq!(oat(home.path(), &["verify", file.to_str().unwrap()]).status.code(), Some(0));
    assert_eq!(json_lines(&oat(home.path(), &["show", file.to_str().unwrap(), "--json"]))[0]["v"], 1);
    assert_eq!(oat(home.path(), &["list"]).status.code(), Some(5));
    assert_eq!(oat(home.path(), &["verify", "--all"]).status.code(), Some(5));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn where_only_the_bus_was_used_nothing_has_been_drawn() {
    let home = home();
    // Leaves an empty bus in the file that would hold the records, too.
    assert_eq!(oat(home.path(), &["rpc", "call", "adder", "1"]).status.code(), Some(4));
    for looking in [&["list"][..], &["show", "0123abcd"], &["verify", "--all"]] {
        let looked = oat(home.path(), looking);
        assert_eq!(looked.status.code(), Some(5), "{}", stderr(&looked));
        assert!(stderr(&looked).starts_with("error: nothing has been drawn yet"), "{}", stderr(&looked));
        assert!(stderr(&looked).contains("oat up") && !stderr(&looked).contains("setup"), "{}", stderr(&looked));
    }
}

#[test]
fn scenes_and_palettes_are_listed_without_colours_in_a_pipe() {
    let home = home();
    let (scenes, palettes) = (oat(home.path(), &["scenes"]), oat(home.path(), &["palettes"]));
    assert_eq!((stdout(&scenes).lines().count(), stdout(&palettes).lines().count()), (24, 7));
    assert!(!stdout(&scenes).contains('\x1b') && !stdout(&palettes).contains('\x1b'));
}

#[test]
fn ctrl_c_ends_oat_up_while_it_waits_for_work() {
    let home = home();
    let mut up = program("oat", home.path());
    up.args(["up", "--tasks", "1", "--size", "40x30"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut up = up.spawn().unwrap();
    let mut lines = BufReader::new(up.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("waiting for more to do")));
    rustix::process::kill_process(rustix::process::Pid::from_child(&up), rustix::process::Signal::INT).unwrap();
    assert_eq!(up.wait().unwrap().code(), Some(0));
}

#[test]
fn help_is_help_and_nothing_is_usage() {
    let home = home();
    for program_name in ["oat", "oat-producer", "oat-worker", "oat-tracker"] {
        let help = program(program_name, home.path()).arg("--help").output().unwrap();
        assert_eq!(help.status.code(), Some(0));
        assert!(stdout(&help).contains("Usage: "), "{}", stdout(&help));
        assert!(help.stderr.is_empty());
    }
    for command in ["up", "draw", "list", "show", "setup"] {
        assert_eq!(oat(home.path(), &[command, "--help"]).status.code(), Some(0));
    }
    assert_eq!(oat(home.path(), &["--version"]).status.code(), Some(0));
}

#[test]
fn what_looks_or_listens_for_ever_ends_with_its_reader() {
    let home = home();
    assert!(oat(home.path(), &["setup"]).status.success());
    for arguments in [["bus", "queues", "--watch"], ["bus", "monitor", "--json"]] {
        let mut oat = program("oat", home.path()).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        drop(oat.stdout.take());
        support::wait_until("it ends", || oat.try_wait().unwrap().is_some());
    }
}

#[test]
fn setup_may_be_repeated() {
    let home = home();
    let first = oat(home.path(), &["setup"]);
    let second = oat(home.path(), &["setup"]);
    assert!(stdout(&first).contains("database  ran ") && !stdout(&second).contains("database  ran "));
    assert_eq!((first.status.code(), second.status.code()), (Some(0), Some(0)));
}

/// 2015's flag, which then broke the log file and the database connection.
#[test]
fn a_daemon_in_the_background_logs_and_ends() {
    let home = home();
    let (log, pid_file) = (home.path().join("log"), home.path().join("pid"));
    let mut producer = program("oat-producer", home.path());
    producer.args(["--daemonize", "--one-shot", "--min-width=9", "--max-width=9", "--min-tasks=3", "--max-tasks=3"]);
    producer.arg("--log-file").arg(&log).arg("--pid-file").arg(&pid_file);
    let started = producer.output().unwrap();
    assert_eq!(started.status.code(), Some(0), "{}", stderr(&started));
    let pid: u32 = stdout(&started).trim().parse().unwrap();
    support::wait_until("the daemon has ended", || !Path::new(&format!("/proc/{pid}/stat")).exists() || is_zombie(pid));
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("generating 3 task(s)"), "{log}");
    assert_eq!(log.matches("generated task: ").count(), 3);
    assert!(!pid_file.exists());
}

/// The server takes the connection and says nothing; what nobody asked to end would fail with status 4.
#[test]
fn a_program_that_waits_for_its_servers_ends_when_it_is_told_to() {
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = mute.local_addr().unwrap();
    let broker = format!("--amqp-url=amqp://{address}/%2f");
    let database = format!("--database-url=mysql://ada:canary@{address}/oat");
    let cases: [(&[&str], &str, i32); 8] = [
        (&["worker"], &broker, 0),
        (&["tracker"], &broker, 0),
        (&["tracker"], &database, 0),
        (&["producer"], &broker, 0),
        (&["producer", "--one-shot"], &broker, 3),
        (&["rpc", "serve"], &broker, 0),
        (&["rpc", "http", "--listen=127.0.0.1:0"], &broker, 0),
        (&["up"], &broker, 143),
    ];
    for (arguments, server, status) in cases {
        let home = home();
        let mut waiting = program("oat", home.path());
        let mut waiting = waiting.args(arguments).arg(server).stderr(Stdio::null()).spawn().unwrap();
        let _connection = mute.accept().unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_child(&waiting), rustix::process::Signal::TERM)
            .unwrap();
        assert_eq!(waiting.wait().unwrap().code(), Some(status), "{arguments:?} {server}");
    }
}

#[test]
fn a_pipeline_that_is_asked_to_end_early_says_by_which_signal() {
    for (signal, status) in [("-INT", 130), ("-TERM", 143)] {
        let home = home();
        // Nobody draws, so it cannot finish.
        let mut up = program("oat", home.path()).args(["up", "--json", "--workers=0"]).spawn().unwrap();
        let pictures = home.path().join(".local/share/oat/oat.db");
        support::wait_until("the pipeline runs", || pictures.exists());
        assert!(Command::new("kill").args([signal, &up.id().to_string()]).status().unwrap().success());
        assert_eq!(up.wait().unwrap().code(), Some(status));
    }
}

/// Its parent is init, which in a container may be somebody who never waits.
fn is_zombie(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

#[test]
fn the_same_seed_gives_the_same_tasks() {
    let tasks = |seed: &str| {
        let home = home();
        let producer = program("oat-producer", home.path()).args(["--one-shot", "--seed", seed]).output().unwrap();
        assert_eq!(producer.status.code(), Some(0), "{}", stderr(&producer));
        stderr(&producer)
            .lines()
            .filter_map(|line| Some(line.split_once("generated task: ")?.1.to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(tasks("7"), tasks("7"));
    assert_ne!(tasks("7"), tasks("8"));
}

#[path = "programs/refusals.rs"]
mod refusals;
#[path = "programs/strangers.rs"]
mod strangers;
mod support;
