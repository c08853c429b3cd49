//! What the programs refuse, and how they say it: wrong usage, wrong settings, servers that are down, what is not there.

use crate::{home, oat, program, stderr, support};
use std::process::Stdio;

#[test]
fn a_wrong_flag_is_usage_and_suggests_the_right_one() {
    let home = home();
    let wrong = oat(home.path(), &["up", "--task", "3"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("--tasks"), "{}", stderr(&wrong));
    assert!(wrong.stdout.is_empty());
    assert_eq!(oat(home.path(), &["list", "--state", "nonsense"]).status.code(), Some(2));
    for (wrong, right) in
        [(["--at", "dragn"], "'dragon'"), (["--palette", "emberr"], "'ember'"), (["--span", "-1"], "above 0")]
    {
        let told = oat(home.path(), &["draw", wrong[0], wrong[1], "-o", "a.png"]);
        assert_eq!(told.status.code(), Some(2), "{wrong:?}");
        assert!(stderr(&told).contains(right), "{}", stderr(&told));
    }
    assert_eq!(oat(home.path(), &["draw", "--width", "0", "-o", "a.png"]).status.code(), Some(2));
    let never = program("oat-producer", home.path())
        .args(["--formula=julia", "--max-iterations=11", "--min-iterations=1"])
        .output();
    assert_eq!(never.unwrap().status.code(), Some(2));
}

#[test]
fn a_server_that_is_down_is_told_with_its_cure_and_without_its_password() {
    let home = home();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let bus = format!("amqp://ada:canary@127.0.0.1:{free}/%2f");
    let worker = program("oat-worker", home.path()).args(["--amqp-url", &bus]).output().unwrap();
    assert_eq!(worker.status.code(), Some(4), "{}", stderr(&worker));
    assert!(stderr(&worker).contains("cannot reach the message bus") && stderr(&worker).contains("fix: "));
    let databases = ["mysql", "postgres"].map(|kind| format!("{kind}://ada:canary@127.0.0.1:{free}/oat"));
    for database in &databases {
        let tracker = program("oat-tracker", home.path()).args(["--database-url", database]).output().unwrap();
        assert_eq!(tracker.status.code(), Some(4), "{}", stderr(&tracker));
        assert!(stderr(&tracker).contains("fix: ") && !stderr(&tracker).contains("canary"), "{}", stderr(&tracker));
    }
    assert!(!stderr(&worker).contains("canary"), "{}", stderr(&worker));
}

#[test]
fn a_wrong_password_is_first_of_all_a_wrong_password() {
    let home = home();
    let mut url = url::Url::parse(support::rabbitmq_url()).unwrap();
    url.set_username("ada").unwrap();
    url.set_password(Some("canary")).unwrap();
    let look = oat(home.path(), &["bus", "queues", "--amqp-url", url.as_str()]);
    let told = stderr(&look);
    assert_eq!(look.status.code(), Some(2), "{told}");
    assert!(told.contains("fix: check the user ada and its password") && !told.contains("canary"), "{told}");
    assert!(told.contains("rabbitmqctl add_user ada "), "{told}");
}

#[test]
fn nonsense_in_a_url_is_a_matter_of_settings() {
    let home = home();
    for url in ["kafka://host", "amqp:", "nonsense", "amqp://ho st:1"] {
        let worker = program("oat-worker", home.path()).args(["--amqp-url", url]).output().unwrap();
        assert_eq!(worker.status.code(), Some(2), "{url}: {}", stderr(&worker));
        let list = oat(home.path(), &["list", "--database-url", url]);
        assert_eq!(list.status.code(), Some(2), "{url}: {}", stderr(&list));
    }
}

#[test]
fn a_file_that_has_no_name_is_a_matter_of_settings() {
    let home = home();
    let commands: [&[&str]; 3] = [&["bus", "queues"], &["rpc", "call", "adder", "42"], &["worker"]];
    for arguments in commands {
        let told = oat(home.path(), &[arguments, &["--amqp-url", "sqlite:"]].concat());
        assert_eq!(told.status.code(), Some(2), "{arguments:?}: {}", stderr(&told));
        assert!(stderr(&told).contains("the path is missing"), "{arguments:?}: {}", stderr(&told));
    }
}

#[test]
fn calling_where_nothing_is_makes_nothing() {
    let home = home();
    let call = oat(home.path(), &["rpc", "call", "adder", "42"]);
    assert_eq!(call.status.code(), Some(4), "{}", stderr(&call));
    assert!(stderr(&call).contains("nobody serves") && stderr(&call).contains("oat rpc serve"), "{}", stderr(&call));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_is_no_database_is_a_matter_of_settings() {
    let home = home();
    let file = home.path().join("bad.json");
    std::fs::write(&file, "{}".repeat(1000)).unwrap();
    let url = format!("sqlite:{}", file.display());
    let commands: [&[&str]; 3] = [&["list"], &["tracker"], &["up", "--exit"]];
    for arguments in commands {
        let told = oat(home.path(), &[arguments, &["--database-url", &url]].concat());
        assert_eq!(told.status.code(), Some(2), "{arguments:?}: {}", stderr(&told));
        assert!(stderr(&told).contains("it exists and is not an SQLite file"), "{arguments:?}: {}", stderr(&told));
    }
}

/// No server has anything to do with it.
#[test]
fn a_folder_in_the_place_of_the_file_is_a_matter_of_settings() {
    let home = home();
    let url = format!("sqlite:{}", home.path().display());
    let commands: [&[&str]; 3] = [&["list"], &["tracker"], &["up", "--exit"]];
    for arguments in commands {
        let told = oat(home.path(), &[arguments, &["--database-url", &url]].concat());
        assert_eq!(told.status.code(), Some(2), "{arguments:?}: {}", stderr(&told));
        assert!(stderr(&told).contains("it is a folder"), "{arguments:?}: {}", stderr(&told));
        assert!(!stderr(&told).contains("mariadb"), "{arguments:?}: {}", stderr(&told));
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let home = home();
    assert_eq!(oat(home.path(), &["setup"]).status.code(), Some(0));
    let missing = oat(home.path(), &["show", "0123abcd"]);
    assert_eq!(missing.status.code(), Some(5), "{}", stderr(&missing));
    assert!(stderr(&missing).contains("oat list"));
}

#[test]
fn an_exchange_that_is_not_there_is_not_found() {
    let home = home();
    assert!(oat(home.path(), &["setup"]).status.success());
    let monitor = oat(home.path(), &["bus", "monitor", "--exchange", "nowhere:#"]);
    assert_eq!(monitor.status.code(), Some(5), "{}", stderr(&monitor));
    assert!(stderr(&monitor).contains("nowhere") && !stderr(&monitor).contains("oat setup"), "{}", stderr(&monitor));
}

#[test]
fn a_file_that_is_not_there_is_not_found() {
    let home = home();
    assert!(oat(home.path(), &["setup"]).status.success());
    let commands: [&[&str]; 4] = [
        &["show", "no.png"],
        &["verify", "no.png"],
        &["draw", "--like", "no.png"],
        &["bus", "publish", "Made", "no.png"],
    ];
    for arguments in commands {
        let missing = oat(home.path(), arguments);
        assert_eq!(missing.status.code(), Some(5), "{arguments:?}: {}", stderr(&missing));
        assert!(stderr(&missing).contains("there is no file no.png"), "{arguments:?}: {}", stderr(&missing));
    }
}

/// A service manager must not try that again.
#[test]
fn a_folder_that_is_not_there_is_a_matter_of_settings() {
    let home = home();
    let log = program("oat-worker", home.path()).args(["--log-file", "/nonexistent/log"]).output().unwrap();
    assert_eq!(log.status.code(), Some(2), "{}", stderr(&log));
    assert!(stderr(&log).contains("open the log file /nonexistent/log"), "{}", stderr(&log));
    let folder = oat(home.path(), &["draw", "--size", "9x9", "-o", "/nonexistent/a.png"]);
    assert_eq!(folder.status.code(), Some(2), "{}", stderr(&folder));
    assert!(stderr(&folder).ends_with("No such file or directory (os error 2)\n"), "{}", stderr(&folder));
}

#[test]
fn a_file_that_is_not_there_is_no_event() {
    let home = home();
    for name in ["nofile.json", "letters/x", ""] {
        let publish = oat(home.path(), &["bus", "publish", name]);
        assert_eq!(publish.status.code(), Some(5), "{}", stderr(&publish));
    }
}

#[test]
fn a_pid_file_belongs_to_one_daemon_until_it_ends() {
    let home = home();
    let pid_file = home.path().join("pid");
    let started = |name: &str, arguments: &[&str]| {
        let mut daemon = program(name, home.path());
        daemon.args(arguments).arg("--pid-file").arg(&pid_file).stderr(Stdio::piped());
        daemon.spawn().unwrap()
    };
    let produced = || started("oat-producer", &["--one-shot", "--max-tasks=1"]).wait_with_output().unwrap();
    let mut worker = started("oat-worker", &["--quiet", "--idle-exit=60"]);
    let number = worker.id().to_string();
    support::wait_until("it is written", || std::fs::read_to_string(&pid_file).is_ok_and(|text| text.trim() == number));
    let refused = produced();
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains(&number), "{}", stderr(&refused));
    assert!(pid_file.exists());

    worker.kill().unwrap();
    worker.wait().unwrap();
    assert!(pid_file.exists());
    assert_eq!(produced().status.code(), Some(0));
    assert!(!pid_file.exists());
}

/// After a crash the number may be anybody's by now, and the file may hold anything.
#[test]
fn what_stands_in_a_pid_file_that_nobody_holds_is_no_matter() {
    let home = home();
    let pid_file = home.path().join("pid");
    for left_behind in [&std::process::id().to_string(), "-5", "0", "nonsense", ""] {
        std::fs::write(&pid_file, left_behind).unwrap();
        let mut producer = program("oat-producer", home.path());
        producer.args(["--one-shot", "--max-tasks=1"]).arg("--pid-file").arg(&pid_file);
        let produced = producer.output().unwrap();
        assert_eq!(produced.status.code(), Some(0), "{left_behind:?}: {}", stderr(&produced));
        assert!(!pid_file.exists());
    }
}

/// A cluster takes it, too; what is not there is a matter of settings.
#[test]
fn a_password_file_serves_all_brokers() {
    let home = home();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let urls = format!("amqp://ada@127.0.0.1:{free}/%2f;amqp://ada@127.0.0.1:{free}/%2f");
    let password = home.path().join("password");
    let look = || {
        let mut look = program("oat", home.path());
        look.args(["bus", "queues", "--amqp-url", &urls, "--amqp-password-file"]).arg(&password).output().unwrap()
    };
    let missing = look();
    assert_eq!(missing.status.code(), Some(2), "{}", stderr(&missing));
    assert!(stderr(&missing).contains("read the password from"), "{}", stderr(&missing));
    std::fs::write(&password, "canary").unwrap();
    let down = look();
    assert_eq!(down.status.code(), Some(4), "{}", stderr(&down));
    assert!(!stderr(&down).contains("canary"), "{}", stderr(&down));
}

/// It was lost: the daemon has no standard input, and an empty line was taken for a password.
#[test]
fn a_daemon_in_the_background_takes_no_password_from_standard_input() {
    let home = home();
    let log = home.path().join("log");
    let refused = |program_name: &str, arguments: &[&str], variable: (&str, &str)| {
        let mut daemon = program(program_name, home.path());
        daemon.args(["--daemonize", "--log-file"]).arg(&log).args(arguments).env(variable.0, variable.1);
        let refused = daemon.output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{program_name} {arguments:?}: {}", stderr(&refused));
        assert!(stderr(&refused).contains("standard input"), "{}", stderr(&refused));
        assert!(refused.stdout.is_empty() && !log.exists());
    };
    for input in ["-", "/dev/stdin"] {
        refused("oat-worker", &["--amqp-url=amqp://ada@host", "--amqp-password-file", input], ("_", ""));
        refused("oat-worker", &["--amqp-url=amqp://ada@host"], ("OAT_AMQP_PASSWORD_FILE", input));
        refused("oat-tracker", &["--database-url=mysql://ada@host/oat"], ("OAT_DATABASE_PASSWORD_FILE", input));
    }
}

/// Nobody hears why, but the status still says it. A daemon logs into the void.
#[test]
fn a_standard_error_that_is_full_or_closed_changes_no_status() {
    let home = home();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let down = format!("amqp://127.0.0.1:{free}");
    let commands: [(&[&str], i32); 6] = [
        (&["list"], 5),
        (&["list", "--nonsense"], 2),
        (&["draw", "--like", "no.png"], 5),
        (&["bus", "queues", "--amqp-url", &down, "--timeout=10ms"], 4),
        (&["draw", "--size=9x9", "-o", "a.png"], 0),
        (&["producer", "--one-shot", "--max-tasks=1"], 0),
    ];
    for (arguments, status) in commands {
        let (reader, closed) = std::io::pipe().unwrap();
        drop(reader);
        for stderr in [Stdio::from(support::full_disk()), Stdio::from(closed)] {
            let mut oat = program("oat", home.path());
            let ended = oat.args(arguments).current_dir(home.path()).stderr(stderr).status().unwrap();
            assert_eq!(ended.code(), Some(status), "{arguments:?}");
        }
    }
}

/// Nothing would come of it, or all that there is: both are better said.
#[test]
fn a_count_of_none_is_refused() {
    let home = home();
    let commands: [&[&str]; 11] = [
        &["list", "--limit=0"],
        &["draw", "--threads=0"],
        &["bus", "monitor", "--limit=0"],
        &["bus", "logs", "--limit=0"],
        &["bus", "inspect", "dead", "--limit=0"],
        &["bus", "resurrect", "dead", "--limit=0"],
        &["bus", "resurrect", "dead", "--max-deaths=0"],
        &["producer", "--count=0"],
        &["worker", "--prefetch=0"],
        &["worker", "--max-attempts=0"],
        &["worker", "--max-pixels=0"],
    ];
    for arguments in commands {
        let refused = oat(home.path(), arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&refused).contains("0 is not in 1.."), "{arguments:?}: {}", stderr(&refused));
    }
}
