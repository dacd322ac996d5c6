//! The `lychgate` command: parse, run, exit code.

use std::process::ExitCode;

/// A request takes and gives back some thirty pieces of memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    lychgate::cli::main()
}
