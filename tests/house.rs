//! The rules of the house, held by a scan of the source: who may name whom, how long a file may be, and what may stand
//! in one place only.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each room and the rooms that it may name besides itself.
const MAY_NAME: [(&str, &[&str]); 12] = [
    ("bus", &[]),
    ("config", &[]),
    ("fractal", &[]),
    ("pictures", &[]),
    ("shutdown", &[]),
    ("telemetry", &[]),
    ("task", &["fractal"]),
    ("topology", &["bus"]),
    ("store", &["task", "fractal"]),
    ("services", &["bus", "fractal", "pictures", "shutdown", "store", "task", "topology"]),
    ("tools", &["bus", "task", "topology"]),
    (
        "cli",
        &[
            "bus",
            "config",
            "fractal",
            "pictures",
            "services",
            "shutdown",
            "store",
            "task",
            "telemetry",
            "tools",
            "topology",
        ],
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &str) -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found
}

/// `src/bus/amqp/link.rs` and `src/bus.rs` are in the room `bus`.
fn room(path: &Path) -> String {
    let first = path.components().nth(1).unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The rooms that a source names by `crate::room` or, in a list, by `crate::{room, …}`.
fn named(source: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut rooms = BTreeSet::new();
    for rest in source.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = list.split("};").next().unwrap();
                rooms.extend(list.split(',').map(|item| word(item.trim())));
            }
            None => drop(rooms.insert(word(rest))),
        }
    }
    rooms
}

#[test]
fn every_room_names_only_what_it_may() {
    for (path, source) in rust_files("src") {
        let here = room(&path);
        let Some((_, may)) = MAY_NAME.iter().find(|(name, _)| *name == here) else {
            assert!(["lib", "bin"].contains(&here.as_str()), "{}: a room without a place in the table", path.display());
            continue;
        };
        for other in named(&source) {
            let is_room = MAY_NAME.iter().any(|(name, _)| *name == other);
            assert!(
                !is_room || other == here || may.contains(&other.as_str()),
                "{}: {here} names {other}",
                path.display()
            );
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_stops_at_400_lines() {
    for (path, source) in rust_files("src").into_iter().chain(rust_files("tests")) {
        assert!(source.starts_with("//! "), "{} opens without a word", path.display());
        assert!(source.lines().count() <= 400, "{} is too long", path.display());
    }
}

#[test]
fn the_environment_is_read_in_one_place() {
    for (path, source) in rust_files("src") {
        let reads = ["env::var", "env::vars"].iter().any(|word| source.contains(word));
        assert!(!reads || path == Path::new("src/config.rs"), "{} reads the environment", path.display());
    }
}

/// They panic when nobody reads, or when a disk is full: `tell!` and `say!` know what to do.
#[test]
fn nothing_is_printed_by_what_panics() {
    for (path, source) in rust_files("src") {
        let code = source.lines().map(|line| line.split("//").next().unwrap());
        let mut words = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '!'));
        let panics = words.any(|word| ["print!", "println!", "eprint!", "eprintln!"].contains(&word));
        assert!(!panics, "{} prints by what panics", path.display());
    }
}

#[test]
fn unsafe_stands_in_the_kernels_only() {
    for (path, source) in rust_files("src") {
        let code = source.lines().map(|line| line.split("//").next().unwrap());
        let used = code.into_iter().any(|line| line.contains("unsafe {") || line.contains("unsafe fn"));
        assert!(!used || path.starts_with("src/fractal/lanes"), "{} is unsafe", path.display());
    }
}

/// The embedded bus is a file of SQLite: its statements are its wire format, and stay in its own folder.
#[test]
fn sql_stands_in_the_store_and_in_the_embedded_bus_only() {
    for (path, source) in rust_files("src") {
        let sql = ["SELECT ", "INSERT INTO", "DELETE FROM", "CREATE TABLE"].iter().any(|word| source.contains(word));
        let allowed = path.starts_with("src/store") || path.starts_with("src/bus/local");
        assert!(!sql || allowed, "{} speaks SQL", path.display());
    }
}

/// But for one, with its three implementations: what a kernel asks of an instruction set.
#[test]
fn we_own_no_traits() {
    let rooms = rust_files("src").into_iter().filter(|(path, _)| path != Path::new("src/fractal/lanes/vector.rs"));
    for (path, source) in rooms {
        let own = source.lines().any(|line| {
            let line = line.trim_start().trim_start_matches("pub ").trim_start_matches("(crate) ");
            line.starts_with("trait ")
        });
        assert!(!own, "{}: a trait of our own has to argue for itself", path.display());
    }
}
