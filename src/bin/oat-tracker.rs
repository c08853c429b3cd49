//! `oat-tracker`: the same as `oat tracker`, under the name of 2015.

fn main() -> std::process::ExitCode {
    oat::cli::main_of("tracker")
}
