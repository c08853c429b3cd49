//! `cargo bench --bench kernels -- avx512 julia`: the same as `oat bench kernel`, from the optimised test build.

fn main() -> std::process::ExitCode {
    // Cargo adds a flag of its own for its own harness.
    let names = std::env::args().skip(1).filter(|argument| argument != "--bench");
    oat::cli::main_with(["bench".into(), "kernel".into()].into_iter().chain(names))
}
