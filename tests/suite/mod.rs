//! Whole stories over real sockets and the real binary: crashes, hang-ups, disks that fail, an
//! upstream that breaks off.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says why it was skipped"
)]

// What they stand on: the program, its upstream, its callers, its trail.
mod callers;
mod mounts;
mod output;
mod program;
mod record;
mod reload;
mod second;
mod secrets;
mod strace;
mod users;

// The stories.
mod disk;
mod drain;
mod flood;
mod hang_up;
mod kill_in_sync;
mod kill_nine;
mod no_answer;
mod sync_fails;
