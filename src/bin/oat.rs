//! `oat`: everything that is not a daemon, and the daemons too.

fn main() -> std::process::ExitCode {
    oat::cli::main()
}
