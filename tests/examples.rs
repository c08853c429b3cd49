//! The examples do what they say: each is built as its readers build it, and run.

mod support;

use oat::bus::{Connection, Message, Options, Topology};
use rusqlite::Connection as Database;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use support::{Server, rabbitmq_url, wait_until};
use tempfile::TempDir;

/// Where the examples are, built once for all tests.
fn example(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let programs = Path::new(env!("CARGO_BIN_EXE_oat")).parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--locked", "--examples"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.args(programs.ends_with("release").then_some("--release"));
        assert!(cargo.status().unwrap().success(), "the examples can be built");
        programs.join("examples")
    });
    folder.join(name)
}

/// Runs an example in a file and on a broker, and expects the same of both.
fn assert_that_it_says(name: &str, expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&[][..], &[rabbitmq_url()][..]] {
        let hello = Command::new(example(name)).args(arguments).current_dir(folder.path()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&hello.stdout), expected, "{hello:?}");
    }
}

#[test]
fn hello_bus_says_hello_in_a_file_and_on_a_broker() {
    assert_that_it_says("hello_bus", "greeting.english: Hello, bus!\n");
}

#[test]
fn hello_service_asks_and_is_answered_in_a_file_and_on_a_broker() {
    assert_that_it_says("hello_service", "{\"left\":7}\nstock.Reserve failed: \"there are twelve\"\n");
}

#[test]
fn hello_rpc_calls_and_is_answered_in_a_file_and_on_a_broker() {
    let expected = "42.0\nZeroDivisionError: that is not defined\nnobody serves the service \"rpc.hello\"\n";
    assert_that_it_says("hello_rpc", expected);
}

/// The two services of products, with a database each.
struct Shop {
    url: String,
    folder: TempDir,
}

impl Shop {
    fn on(url: impl FnOnce(&Path) -> String) -> Shop {
        let folder = tempfile::tempdir().unwrap();
        Shop { url: url(folder.path()), folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the service that keeps the copy.
    fn service(&self) -> Program {
        Program::start(Command::new(example("products_service")).arg(self.file("service.db")).arg(&self.url))
    }

    /// Starts the service that is typed to.
    fn admin(&self) -> Program {
        Program::start(Command::new(example("products_admin")).arg(self.file("admin.db")).arg(&self.url))
    }

    /// Id, title, price and version of everything there is, and whether both databases say the same.
    fn products(&self, file: &str, sql: &str) -> Vec<(i64, String, String, i64)> {
        let Ok(database) = Database::open(self.file(file)) else { return Vec::new() };
        let Ok(mut select) = database.prepare(sql) else { return Vec::new() };
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    fn kept_by_admin(&self) -> Vec<(i64, String, String, i64)> {
        let sql = "SELECT id, body ->> 'title', body ->> 'price', version FROM products ORDER BY id";
        self.products("admin.db", sql)
    }

    fn kept_by_service(&self) -> Vec<(i64, String, String, i64)> {
        self.products("service.db", "SELECT id, title, price, version FROM products WHERE NOT deleted ORDER BY id")
    }

    fn wait_until_both_say(&self, expected: &[(i64, &str, &str, i64)]) {
        let expected: Vec<_> =
            expected.iter().map(|(id, title, price, n)| (*id, (*title).into(), (*price).into(), *n)).collect();
        wait_until("both databases say the same", || self.kept_by_service() == expected);
        assert_eq!(self.kept_by_admin(), expected);
    }
}

/// A process whose standard input is typed to. Dropped, it is killed, as by a power cut.
struct Program {
    child: Child,
}

impl Program {
    fn start(command: &mut Command) -> Program {
        Program { child: command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap() }
    }

    /// Types a command and waits until it is carried out.
    fn types(&mut self, command: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{command}").unwrap();
        // Unbuffered, as far as the next answer is concerned: there is none before the next command.
        let mut answer = String::new();
        BufReader::with_capacity(1, self.child.stdout.as_mut().unwrap()).read_line(&mut answer).unwrap();
        assert!(answer.starts_with("product."), "{command}: {answer}");
    }

    /// Ends its input and waits for its own end.
    fn ends(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whichever is started first, and whichever is killed: no change is lost, and the ids are the same.
fn the_copy_follows(shop: &Shop) {
    let mut admin = shop.admin();
    admin.types(r#"create {"title": "Lamp", "price": "12.50"}"#);
    admin.types(r#"create {"title": "Desk", "price": "100.00"}"#);
    admin.ends();
    let service = shop.service();
    shop.wait_until_both_say(&[(1, "Lamp", "12.50", 1), (2, "Desk", "100.00", 1)]);
    drop(service);
    let mut admin = shop.admin();
    admin.types(r#"update 1 {"price": "9.90", "id": 7}"#);
    admin.types("delete 2");
    drop(admin);
    let service = shop.service();
    // What the killed one could not send, the next one sends.
    let mut admin = shop.admin();
    admin.types(r#"create {"title": "Chair", "price": "49.00"}"#);
    shop.wait_until_both_say(&[(1, "Lamp", "9.90", 2), (3, "Chair", "49.00", 1)]);
    drop(service);
    admin.ends();
}

#[test]
fn two_databases_stay_in_step_over_a_file() {
    the_copy_follows(&Shop::on(|folder| format!("sqlite:{}", folder.join("bus.db").display())));
}

#[test]
fn two_databases_stay_in_step_over_a_broker_that_restarts() {
    let server = Server::start("rabbitmq");
    let shop = Shop::on(|_| server.url());
    the_copy_follows(&shop);
    let (_service, mut admin) = (shop.service(), shop.admin());
    admin.types(r#"update 1 {"price": "8.00"}"#);
    server.stop();
    // Nobody has to wait for the broker to change a product.
    admin.types(r#"update 1 {"price": "7.00"}"#);
    admin.types("delete 3");
    server.restart();
    shop.wait_until_both_say(&[(1, "Lamp", "7.00", 4)]);
    // Started before its broker, as containers are.
    server.stop();
    let (_other, mut second) = (shop.service(), shop.admin());
    second.types(r#"create {"title": "Shelf", "price": "30.00"}"#);
    server.restart();
    shop.wait_until_both_say(&[(1, "Lamp", "7.00", 4), (4, "Shelf", "30.00", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_come_twice_late_or_broken_do_no_harm() {
    let shop = Shop::on(|folder| format!("sqlite:{}", folder.join("bus.db").display()));
    let _service = shop.service();
    let connection = Connection::open(&shop.url, Topology::default(), Options::default()).await.unwrap();
    support::wait_until_async("the service listens", async || {
        connection.depth("products_service.events").await.is_ok_and(|depth| depth.consumers == 1)
    })
    .await;
    let change = |id: i64, price: &str, version: i64, deleted: bool| {
        let product = serde_json::json!({"id": id, "title": "Lamp", "price": price});
        Message::json(&serde_json::json!({"product": product, "version": version, "deleted": deleted})).unwrap()
    };
    let messages = [
        change(1, "2.00", 2, false),
        change(1, "1.00", 1, false),
        change(1, "2.00", 2, false),
        change(2, "5.00", 2, true),
        change(2, "5.00", 1, false),
        Message::new("application/json", b"nonsense".to_vec()),
        change(3, "3.00", 1, false),
    ];
    for message in messages {
        connection.publisher().publish("products", "product.updated", message).await.unwrap();
    }
    let expected = [(1, "2.00", 2), (3, "3.00", 1)].map(|(id, price, n)| (id, "Lamp".to_owned(), price.to_owned(), n));
    wait_until("all are handled", || shop.kept_by_service() == expected);
    let dead = connection.browse("products.dead", 9, None).await.unwrap();
    assert!(dead[0].deaths[0].reason.starts_with("not a change of a product"), "{dead:?}");
    assert_eq!(dead.len(), 1);
}
