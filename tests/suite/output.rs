//! Requests continue while nobody reads standard output.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use super::callers::{Load, deletion, read};
use super::program::{Home, PATIENCE, full};
use super::users::Users;
use crate::support::tokens;

/// Requests whose lines fill the pipe and the gateway's queue many times over.
const ENOUGH: usize = 100_000;

#[test]
fn p14_requests_continue_while_nobody_reads_standard_output() {
    let stopped = Duration::from_secs(if full() { 30 } else { 4 });
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    let program = home.start_ready();
    program.read_output(false);
    let next = Arc::new(AtomicU64::new(1));
    let token = tokens::good_token();
    let load = Load::start(program.address, 4, &next, move |user| {
        if user % 8 == 0 {
            deletion(user, &token)
        } else {
            read(user, &token)
        }
    });
    let begin = Instant::now();
    let (mut last, mut answered) = (begin, 0);
    // A pipe holds 64 KiB and the gateway's queue is bounded, so the gateway drops lines unless all
    // of them still fit.
    while begin.elapsed() < stopped || program.metric("lychgate_log_lines_dropped_total") == 0 {
        let now = load.answered();
        if now > answered {
            (last, answered) = (Instant::now(), now);
        }
        assert!(last.elapsed() < PATIENCE, "no request was answered");
        assert!(now < ENOUGH, "no line is dropped");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(program.page("/livez").status, 200);
    let calls = load.end();
    for call in &calls {
        let answer = call.answer.as_ref().expect("no connection breaks off");
        assert_eq!(answer.status, 200, "{}", answer.shown());
    }
    eprintln!("{} requests unheard", calls.len());
    // The gateway stops in order even though there is no room for its last lines.
    program.signal(rustix::process::Signal::TERM);
    std::thread::sleep(Duration::from_millis(200));
    let (status, log) = program.wait();
    assert!(status.success(), "{status}");
    // The process does not wait for its reader at the end, so the last line may be incomplete.
    let whole_lines = log.rfind('\n').map_or("", |end| &log[..end]);
    for line in whole_lines.lines() {
        let whole = serde_json::from_str::<serde_json::Value>(line);
        assert!(whole.is_ok(), "a line is whole or not there: {line}");
    }
    let deleted = calls.iter().filter(|call| call.user % 8 == 0);
    let record = home.record();
    assert_eq!(record.deletions.len(), deleted.count());
    assert_eq!(record.summary.open, 0);
}
