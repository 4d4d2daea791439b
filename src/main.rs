//! The binary: parse, run, exit.
fn main() -> std::process::ExitCode {
    kubectl_byocni::cli::main()
}
