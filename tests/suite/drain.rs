//! Shutdown while deletions are in flight.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use lychgate::audit::entry::{Kind, Reason, Sent, Verdict};
use rustix::process::Signal;

use super::callers::{delete, deletion, receipt_index, refusal};
use super::program::{Home, Program, until};
use super::users::{Manner, Users};
use crate::support::{tokens, wire};

/// A gateway with a deletion in flight.
fn with_one_in_flight(drain_timeout: &str) -> (Users, Home, Program, TcpStream) {
    let users = Users::start();
    users.behave(Manner::Hang);
    let line = format!("drain_timeout = \"{drain_timeout}\"");
    let home = Home::new(users.address(), &[("listen", &line)]);
    let program = home.start_ready();
    let mut caller = TcpStream::connect(program.address).unwrap();
    caller.set_read_timeout(Some(wire::PATIENCE)).unwrap();
    caller
        .write_all(&deletion(1, &tokens::good_token()))
        .unwrap();
    until("upstream has it", || users.seen_count() == 1);
    (users, home, program, caller)
}

#[test]
fn p14_drain_waits_for_a_deletion_then_closes_it_as_unknown() {
    let (users, home, program, mut caller) = with_one_in_flight("1500ms");
    let begin = Instant::now();
    program.signal(Signal::TERM);
    let answer = wire::read_answer(&mut caller).expect("its caller is answered");
    assert!(
        begin.elapsed() >= Duration::from_millis(1_500),
        "it is waited for"
    );
    let (code, sent, _) = refusal(&answer);
    assert_eq!(
        (answer.status, &*code, &*sent),
        (504, "upstream-timeout", "unknown")
    );
    let (status, log) = program.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(users.seen_count(), 1);
    let record = home.record();
    let (closed, verdict) = record.closed(1);
    assert_eq!(
        (verdict, closed.reason),
        (Verdict::Unknown, Some(Reason::Drain))
    );
    assert_eq!(closed.sent, Some(Sent::Unknown));
    assert_eq!(receipt_index(&answer), Some(closed.index));
    assert!(matches!(
        record.entries.last().unwrap().kind,
        Kind::Stopped {}
    ));
}

#[test]
fn p14_the_end_of_the_last_deletion_ends_the_drain() {
    // A test that waits for this timeout to end has failed.
    let (users, home, program, mut caller) = with_one_in_flight("1h");
    program.signal(Signal::TERM);
    until("it drains", || program.page("/readyz").status == 503);
    let answer = delete(program.address, 2);
    let (code, sent, _) = refusal(&answer);
    assert_eq!((answer.status, &*code, &*sent), (503, "draining", "no"));
    assert!(answer.header("retry-after").is_some());
    // A second signal has no effect.
    program.signal(Signal::TERM);
    users.behave(Manner::Answer(Duration::ZERO));
    let answer = wire::read_answer(&mut caller).expect("its caller is answered");
    assert_eq!(answer.status, 200, "{}", answer.shown());
    drop(caller);
    let (status, log) = program.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    let record = home.record();
    assert_eq!(record.refused("draining"), (1, 0));
    assert_eq!(record.closed(1).1, Verdict::Deleted);
    assert_eq!(receipt_index(&answer), Some(record.intent_of(1).index));
    assert_eq!(record.summary.open, 0);
}
