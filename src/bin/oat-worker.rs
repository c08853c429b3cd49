//! `oat-worker`: the same as `oat worker`, under the name of 2015.

fn main() -> std::process::ExitCode {
    oat::cli::main_of("worker")
}
