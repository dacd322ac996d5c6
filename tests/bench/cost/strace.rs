//! `strace -c` counts system calls while the requests run.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{SCRUB, Subject};
use crate::gateway::Setup;

/// The counts of all threads except the scrub.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) all: u64,
    pub(super) fdatasyncs: u64,
    pub(super) other_syncs: u64,
}

pub(super) fn count(subject: &Subject, binary: &str) -> Calls {
    let setup = Setup::of(binary);
    let _upstream = setup.start_upstream(1);
    let gateway = setup.start();
    subject.warm_up(&setup);
    // A thread has at most one tracer, so the second strace skips the thread that the first one
    // traces.
    let scrub = gateway.thread(SCRUB).map(|thread| {
        let strace = Strace::begin(&["-p", &thread.to_string()], setup.folder.join("scrub"));
        wait_until(|| gateway.is_traced(thread));
        strace
    });
    if scrub.is_none() {
        eprintln!("note: `{binary}` has no thread `{SCRUB}`; every thread is counted");
    }
    let process = gateway.id().to_string();
    let strace = Strace::begin(&["-f", "-p", &process], setup.folder.join("calls"));
    wait_until(|| {
        gateway
            .threads()
            .iter()
            .all(|thread| gateway.is_traced(*thread))
    });
    subject.send_counted(&setup, subject.traced);
    let table = strace.end();
    if let Some(scrub) = scrub {
        scrub.end();
    }
    read(&table)
}

fn wait_until(is_traced: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_traced() {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "strace may not trace the gateway (ptrace(2), \"Ptrace access mode checking\")"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

struct Strace {
    process: Child,
    table: PathBuf,
}

impl Strace {
    fn begin(whom: &[&str], table: PathBuf) -> Self {
        let process = Command::new("strace")
            .args(["-c", "-U", "calls,name", "-o"])
            .arg(&table)
            .args(whom)
            .stderr(Stdio::null())
            .spawn()
            .expect("strace runs");
        Self { process, table }
    }

    /// Detaches and returns the counts.
    fn end(mut self) -> String {
        let id = i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw);
        kill_process(id.expect("a process id"), Signal::INT).expect("strace runs");
        self.process.wait().expect("strace ends");
        std::fs::read_to_string(&self.table).expect("strace's table")
    }
}

/// Reads lines of a count and a name.
fn read(table: &str) -> Calls {
    let mut calls = Calls::default();
    for line in table.lines() {
        let mut words = line.split_whitespace();
        let count = words.next().and_then(|word| word.parse::<u64>().ok());
        let (Some(count), Some(name)) = (count, words.next()) else {
            continue;
        };
        match name {
            "total" => continue,
            "fdatasync" => calls.fdatasyncs += count,
            "fsync" | "syncfs" | "sync_file_range" | "msync" => calls.other_syncs += count,
            _ => {}
        }
        calls.all += count;
    }
    assert!(calls.all > 0, "strace counted nothing: {table}");
    calls
}
