//! The `lychgate` command: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    lychgate::cli::main()
}
