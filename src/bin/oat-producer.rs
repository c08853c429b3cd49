//! `oat-producer`: one of the three programs of 2015.

fn main() -> std::process::ExitCode {
    oat::cli::producer()
}
