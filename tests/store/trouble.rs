//! Databases that die, refuse or are not there.

use crate::support::Server;
use crate::*;
use oat::store::{Error, Filter};
use std::process::{Command, Stdio};

async fn refused(url: &str) -> Error {
    let error = Store::open(url).await.err().unwrap_or_else(|| panic!("{url} was opened"));
    let text = format!("{error} {error:?}");
    assert!(!text.contains("hunter2"), "{text}");
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_may_be_killed_and_come_back() {
    survives(Server::start("mariadb")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_may_be_killed_and_come_back() {
    survives(Server::start("postgres")).await;
}

async fn survives(server: Server) {
    let store = Store::open(&server.url()).await.unwrap();
    store.migrate().await.unwrap();
    let before = tasks(50);
    store.insert(&before, noon(), noon()).await.unwrap();
    // Several connections lie in the pool, and all of them will be dead.
    let _ = tokio::join!(store.counts(), store.counts(), store.counts(), store.counts());

    server.kill();
    let error = store.counts().await.unwrap_err();
    assert!(error.is_environment(), "{error}");
    assert!(store.finish(&[drawn(before[0].uuid, "a")], noon()).await.unwrap_err().is_environment());

    server.restart();
    assert_eq!(store.counts().await.unwrap().new, 50);
    server.restart();
    store.finish(&[drawn(before[0].uuid, "a")], noon()).await.unwrap();
    assert_eq!(store.counts().await.unwrap().done, 1);
}

/// It accepts connections and says nothing, as a machine does that has lost its disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_given_up() {
    for kind in ["mariadb", "postgres"] {
        let server = Server::start(kind);
        let store = Store::open(&server.url()).await.unwrap();
        store.migrate().await.unwrap();
        signal(&server, "-STOP");
        // Its threads stop one after the other, and one of them may still answer.
        let error = loop {
            if let Err(error) = store.counts().await {
                break error;
            }
        };
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        signal(&server, "-CONT");
        store.counts().await.unwrap();
    }
}

/// PostgreSQL serves each connection in a process of its own; MariaDB has only the one.
fn signal(server: &Server, signal: &str) {
    let pid = server.pid().to_string();
    let send = |pid: &str| Command::new("kill").args([signal, pid]).stderr(Stdio::null()).status().unwrap().success();
    assert!(send(&pid));
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    for child in children.split_whitespace() {
        // It may have come to its end meanwhile.
        let _ = send(child);
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_told() {
    for server in [support::mariadb_url(), support::postgres_url()] {
        let mut url = url::Url::parse(server).unwrap();
        url.set_password(Some("hunter2")).unwrap();
        let error = refused(url.as_str()).await;
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains(&format!("127.0.0.1:{}", url.port().unwrap())), "{error}");
    }
}

#[tokio::test]
async fn a_database_that_the_server_does_not_have_is_told() {
    for server in [support::mariadb_url(), support::postgres_url()] {
        let mut url = url::Url::parse(server).unwrap();
        url.set_path("nowhere");
        let error = refused(url.as_str()).await;
        assert!(matches!(&error, Error::Refused { why, .. } if why.contains("nowhere")), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    // Nobody listens on port 1.
    let port = 1;
    for scheme in ["mysql", "mariadb", "postgres", "postgresql"] {
        let error = refused(&format!("{scheme}://oat:hunter2@127.0.0.1:{port}/oat")).await;
        assert!(error.is_environment(), "{error:?}");
        assert!(error.to_string().starts_with(&format!("cannot reach {scheme}://127.0.0.1:{port}/oat: ")), "{error}");
        assert!(error.to_string().contains("refused"), "{error}");
    }
}

#[tokio::test]
async fn a_bad_url_is_refused_with_a_reason() {
    let error = refused("redis://:hunter2@cache/0").await;
    for known in ["sqlite:", "mysql:", "postgres:"] {
        assert!(error.to_string().contains(known), "{error}");
    }
    for url in [
        "hunter2",
        "",
        "sqlite:",
        "sqlite::memory:",
        "mysql://oat:hunter2@db:port/oat",
        "mysql://oat:hunter2@db/oat?colour=hunter2",
        "mysql://oat:12?hunter2=x@db/oat",
        "mysql://oat:hunter2",
        "mysql://oat@127.0.0.1:1/oat?ssl_ca=/nowhere/ca.pem",
        "mysql://oat@127.0.0.1:1/oat?require_ssl=false&ssl_ca=/nowhere/ca.pem",
        "host=127.0.0.1 user=oat password=hun:hunter2",
        "postgres://oat@127.0.0.1:1/oat?hunter2=x",
        "postgres://oat:12?sslmode=hunter2@127.0.0.1:1/oat",
        "postgres://oat@127.0.0.1:1/oat?sslrootcert=/nowhere/ca.pem",
        "postgres://oat@db.example:1/oat?sslmode=prefer&sslrootcert=/nowhere/ca.pem",
        "postgres://oat:hunter2@db:port/oat",
        "postgres://oat:hunter2@db/oat?sslmode=perhaps",
        "postgres://oat:hunter2@localhost/oat?sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
    ] {
        let error = refused(url).await;
        assert!(matches!(error, Error::Url { .. }) && !error.is_environment(), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn no_part_of_a_password_is_shown_whatever_is_in_it() {
    let error = refused("postgres://oat@127.0.0.1:1/oat?password=hun@hunter2").await;
    assert!(error.to_string().starts_with("cannot reach postgres://"), "{error}");
}

/// SQLite keeps any text as a time; the others do not take it.
#[tokio::test]
async fn a_damaged_time_hides_no_other_record() {
    let place = Place::sqlite();
    let (store, three) = (place.store().await, tasks(3));
    store.insert(&three, noon(), noon()).await.unwrap();
    place.sql(&format!("UPDATE fractals SET created_at = 'garbage' WHERE uuid = '{}'", three[0].uuid)).await;
    assert_eq!(store.list(&Filter::default()).await.unwrap().len(), 2);
    let later = noon() + seconds(60);
    assert_eq!(store.claim_due(later, later, 10, true).await.unwrap().len(), 2);
    assert_eq!(store.claim_due(later, later, 10, true).await, Ok(vec![]), "the damaged one is not in the way again");
    let error = store.find(&three[0].uuid.to_string()).await.unwrap_err();
    assert!(!error.is_environment(), "{error}");
}

#[tokio::test]
async fn a_missing_folder_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let error = refused(&format!("sqlite:{}/oat.db", missing.display())).await;
    assert!(error.to_string().contains(&format!("there is no folder {}", missing.display())), "{error}");
    assert!(error.is_environment());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "not a database at all, but long enough to be taken for the head of one: ".repeat(9))
        .unwrap();
    let error = refused(&format!("sqlite:{}", file.display())).await;
    assert!(error.to_string().contains("not an SQLite file"), "{error}");
}

/// Who commits into a file that nobody can find any more, and acknowledges, has lost it.
#[tokio::test]
async fn a_file_that_is_taken_away_is_no_store_any_more() {
    for replaced in [false, true] {
        let (place, other) = (Place::sqlite(), Place::sqlite());
        let (store, before) = (place.store().await, tasks(2));
        store.insert(&before, noon(), noon()).await.unwrap();
        other.store().await.close().await;
        let [path, another] = [&place, &other].map(|place| place.url.strip_prefix("sqlite:").unwrap());
        match replaced {
            true => std::fs::rename(another, path).unwrap(),
            false => std::fs::remove_file(path).unwrap(),
        }
        for error in [
            store.finish(&[drawn(before[0].uuid, "a")], noon()).await.unwrap_err(),
            store.insert(&tasks(1), noon(), noon()).await.unwrap_err(),
            store.counts().await.unwrap_err(),
            store.migrate().await.unwrap_err(),
        ] {
            assert!(error.to_string().contains("was deleted or replaced") && !error.is_environment(), "{error}");
        }
        assert_eq!(std::path::Path::new(path).exists(), replaced, "nothing is made in its place");
    }
}

#[tokio::test]
async fn a_new_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::sqlite();
    let store = place.store().await;
    store.insert(&tasks(1), noon(), noon()).await.unwrap();
    let path = place.url.strip_prefix("sqlite:").unwrap();
    for file in [path.to_owned(), format!("{path}-wal"), format!("{path}-shm")] {
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
}

/// Nothing is read-only for root, so this runs again without that privilege.
#[tokio::test]
async fn a_read_only_file_is_told() {
    use std::os::unix::fs::PermissionsExt;
    if let Ok(url) = std::env::var("OAT_TEST_READ_ONLY") {
        let error = refused(&url).await;
        assert!(error.is_environment() && error.to_string().contains("cannot be written"), "{error}");
        return;
    }
    let place = Place::sqlite();
    place.store().await.close().await;
    let path = place.url.strip_prefix("sqlite:").unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o400)).unwrap();
    let this = std::env::current_exe().unwrap();
    let mut again = match rustix::process::geteuid().is_root() {
        true => Command::new("setpriv"),
        false => Command::new("env"),
    };
    if rustix::process::geteuid().is_root() {
        again.args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", "--"]);
    }
    again.arg(this).args(["--exact", "trouble::a_read_only_file_is_told"]).env("OAT_TEST_READ_ONLY", &place.url);
    let output = again.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn tables_of_others_in_the_file_are_left_alone() {
    let place = Place::sqlite();
    place.sql("CREATE TABLE bus_messages (body BLOB); INSERT INTO bus_messages VALUES (x'0102')").await;
    let store = place.store().await;
    store.insert(&tasks(2), noon(), noon()).await.unwrap();
    place.sql("UPDATE bus_messages SET body = x'03'").await;
    assert_eq!(store.counts().await.unwrap().new, 2);
}
