//! `oat-producer`: the same as `oat producer`, under the name of 2015.

fn main() -> std::process::ExitCode {
    oat::cli::main_of("producer")
}
