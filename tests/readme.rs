//! What the documents tell people to type can be typed.

use clap::Command;
use std::path::Path;

const DAEMONS: [&str; 3] = ["oat-producer", "oat-worker", "oat-tracker"];

/// The lines that begin with a prompt, in every document.
fn console_lines() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.rst")];
    files.extend(std::fs::read_dir(root.join("docs")).unwrap().map(|file| file.unwrap().path()));
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let typed = text.lines().filter_map(|line| line.trim().strip_prefix("$ "));
        let without_comment = typed.map(|line| line.split(" # ").next().unwrap_or_default().trim_end());
        found.extend(without_comment.map(|line| (file.display().to_string(), line.to_owned())));
    }
    found
}

/// The arguments as `oat` sees them; `None` for the shell's and others' commands.
fn arguments(line: &str) -> Option<Vec<String>> {
    let line = line.strip_prefix("cargo run --release -- ").map_or(line.to_owned(), |rest| format!("oat {rest}"));
    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    if DAEMONS.contains(&words[0].as_str()) {
        words.insert(1, words[0].trim_start_matches("oat-").to_owned());
        words[0] = "oat".into();
    }
    (words[0] == "oat").then_some(words)
}

#[test]
fn every_command_in_the_documents_can_be_typed() {
    let mut ours = 0;
    for (file, line) in console_lines() {
        let Some(words) = arguments(&line) else {
            let shell = ["export ", "scripts/", "vagrant ", "sudo "].iter().any(|start| line.starts_with(start));
            assert!(shell, "{file}: nobody knows what this is: {line}");
            continue;
        };
        ours += 1;
        let command: Command = oat::cli::command();
        if let Err(error) = command.try_get_matches_from(words) {
            panic!("{file}: {line}\n{error}");
        }
    }
    assert!(ours >= 8, "only {ours} commands were found: has the form of the documents changed?");
}

#[test]
fn every_file_that_the_readme_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("README.rst")).unwrap();
    let images = text.lines().filter_map(|line| line.split_once(".. image:: ")).map(|(_, path)| path);
    let named = ["docs/architecture.rst", "docs/performance.rst", "scripts/test", "LICENSE", "Vagrantfile"];
    for path in images.chain(named) {
        assert!(root.join(path.trim()).exists(), "{path} is missing");
    }
}
