//! Measures the gateway, a bare hyper proxy and the disk in one run, and prints ratios.
//!
//! `cargo bench --bench bench` runs everything (about four minutes); `-- reads`, `-- deletions`,
//! `-- memory` or `-- start` runs one part; `-- reads COMMAND …` also measures another proxy. `--
//! cost` counts the resources of one request and compares them with another build:
//! `docs/performance.md`. This is not a test: it asserts nothing, and fails only if it cannot run.
//!
//! The measured process is pinned to core 0, and load and upstream to core 1 (for reads, also to
//! core 0; deletions are measured a second time with the gateway on both cores). CPU is the on-CPU
//! time of the measured process divided by the answered requests. Each figure is the median of
//! several rounds in changing order.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark that cannot run says so and ends"
)]

mod bare;
mod cost;
mod disk;
mod gateway;
mod load;
mod measure;
mod paced;
mod process;
mod upstream;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        // Cargo adds this word.
        .filter(|word| *word != "--bench")
        .collect();
    match words.as_slice() {
        ["role", "bare", listen, upstream] => bare::run(listen, upstream),
        ["role", "upstream", listen] => upstream::run(listen),
        ["role", "load", rest @ ..] => load::role(rest),
        ["role", "paced", rest @ ..] => paced::role(rest),
        [] => {
            measure::reads(&[]);
            measure::deletions();
            measure::memory();
            measure::start();
        }
        ["reads", beside @ ..] => measure::reads(beside),
        ["deletions"] => measure::deletions(),
        ["memory"] => measure::memory(),
        ["start"] => measure::start(),
        ["cost", rest @ ..] => return cost::run(rest),
        _ => {
            eprintln!(
                "usage: cargo bench --bench bench [-- reads [COMMAND …]|deletions|memory|start|cost …]"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
