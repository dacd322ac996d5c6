//! The `lychgate` command. The module `lychgate::cli` implements it.

use std::process::ExitCode;

/// Each request makes about 30 allocations, which mimalloc serves faster than the default allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    lychgate::cli::main()
}
