//! What the documents and the help tell people to type can be typed, and the help fits on a terminal.

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
    let mut words = words(&line);
    if DAEMONS.contains(&words[0].as_str()) {
        words.insert(1, words[0].trim_start_matches("oat-").to_owned());
        words[0] = "oat".into();
    }
    (words[0] == "oat").then_some(words)
}

/// Split as a shell does it, as far as we need that: spaces separate, single quotes hold together.
fn words(line: &str) -> Vec<String> {
    let quoted = line.split('\'').enumerate();
    let marked: String =
        quoted.map(|(at, part)| if at % 2 == 1 { part.replace(' ', "\u{a0}") } else { part.into() }).collect();
    marked.split(' ').filter(|word| !word.is_empty()).map(|word| word.replace('\u{a0}', " ")).collect()
}

/// All commands, those that are hidden, too, with their names from `oat` on.
fn commands(command: Command, names: &str) -> Vec<(String, Command)> {
    let names = format!("{names} {}", command.get_name()).trim().to_owned();
    let below = command.get_subcommands().filter(|below| below.get_name() != "help").cloned().collect::<Vec<_>>();
    let below = below.into_iter().flat_map(|below| commands(below, &names));
    below.chain([(names.clone(), command)]).collect()
}

/// What is said of a line stands two spaces behind it; a pipe is two commands.
fn examples(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1).take_while(|line| line.starts_with("  "));
    let typed = lines.map(|line| line.trim().split("  ").next().unwrap_or_default());
    typed.flat_map(|line| line.split(" | ")).filter_map(|line| Some(line.split(" > ").next()?.to_owned())).collect()
}

#[test]
fn the_help_of_every_command_has_examples_that_can_be_typed() {
    for (names, command) in commands(oat::cli::command(), "") {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = examples(&help);
        assert!(!examples.is_empty() || command.has_subcommands(), "oat {names} has no example");
        for line in &examples {
            let Some(words) = arguments(line) else {
                assert!(line.starts_with("curl "), "oat {names}: nobody knows what this is: {line}");
                continue;
            };
            if let Err(error) = oat::cli::command().try_get_matches_from(words) {
                panic!("{names}: {line}\n{error}");
            }
        }
    }
}

#[test]
fn the_help_of_every_command_fits_on_a_terminal() {
    let torn = |line: &str| {
        line.rfind(['[', ']']).is_some_and(|at| line[at..].starts_with("[default:") || line[at..].starts_with("[env:"))
    };
    for (names, command) in commands(oat::cli::command(), "") {
        let written = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let mut command = command.term_width(80);
        let help = format!("{}{}", command.render_help(), command.render_long_help());
        for line in written.lines().chain(help.lines()) {
            assert!(line.chars().count() <= 80, "{names}: {line}");
            assert!(!torn(line), "{names}: {line}");
        }
    }
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
