//! The `helkflow` binary.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    helkflow::cli::main()
}
