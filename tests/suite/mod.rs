//! Scenarios with the real binary over real sockets: crashes, hang-ups, disk failures, an upstream
//! that breaks off.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says why it was skipped"
)]

// Helpers: the program, its upstream, its callers, its trail, and ways to make its disk fail.
mod callers;
mod mounts;
mod program;
mod record;
mod strace;
mod users;

// Kills of the gateway.
mod kill_in_sync;
mod kill_nine;

// Offers that the gateway ignores, and spellings that the standards leave free.
mod honest_callers;

// Callers that hang up.
mod flood;
mod hang_up;
mod leaving;

// Disk failures and foreign changes to the trail's files.
mod clock_steps;
mod descriptors;
mod disk;
mod integrity;
mod second;
mod sync_fails;

// Heads that are no request.
mod no_request;

// An upstream that breaks off, and refusals that say nothing about the inside of the gateway.
mod inside;
mod no_answer;

// Operator commands: reconcile unknown outcomes, restore a backup, abandon a damaged log.
mod backup;
mod loss;
mod reconcile;

// What `check` finds before a start.
mod check;

// A trail of an earlier version.
mod old_trail;

// Reload, shutdown, the log, and an output that nobody reads.
mod drain;
mod log_lines;
mod output;
mod reload;

// The behavior of hyper before the gateway's own code.
mod hyper_server;

// Secrets that must not appear in any output.
mod secrets;

// The demo, and the screens of the other commands.
mod screens;
mod story;
