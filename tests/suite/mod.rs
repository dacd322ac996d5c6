//! Whole stories over real sockets and the real binary: crashes, hang-ups, disks that fail, an
//! upstream that breaks off.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says why it was skipped"
)]

// What they stand on: the program, its upstream, its callers, its trail; how its disk is made to fail.
mod callers;
mod mounts;
mod program;
mod record;
mod strace;
mod users;

// It is killed.
mod kill_in_sync;
mod kill_nine;

// Its callers hang up.
mod flood;
mod hang_up;

// Its disk fails, or is somebody else's.
mod clock_steps;
mod custody;
mod descriptors;
mod disk;
mod second;
mod sync_fails;

// Upstream breaks off.
mod no_answer;

// What is unknown is settled by command, and what is lost given up.
mod loss;
mod reconcile;

// An earlier version wrote its trail.
mod old_trail;

// It is reloaded, stopped, and not read.
mod drain;
mod output;
mod reload;

// What hyper does before any code of ours sees a request.
mod hyper_server;

// What must stand nowhere.
mod secrets;

// The demo tells it all.
mod story;
