//! A kill of the gateway during the sync of an intent or of an outcome.

use lychgate::audit::entry::{Reason, Sent, Verdict};

use rustix::process::Signal;

use super::callers::{delete, deletion};
use super::program::{Home, until};
use super::record::Record;
use super::strace::Strace;
use super::users::Users;
use crate::support::{tokens, wire};

/// Kills the gateway in its `number`th sync from now, during a deletion of user 1. Returns the
/// number of requests that upstream received and the trail after the next start, or `None` without
/// strace.
fn killed_in_sync(number: usize) -> Option<(usize, Record)> {
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    let program = home.start_ready();
    assert_eq!(delete(program.address, 1_000).status, 200);
    users.take_seen();
    let what = format!("fdatasync:delay_enter=600000000:when={number}");
    let strace = Strace::inject(&home, &program, &what)?;
    let address = program.address;
    let caller =
        std::thread::spawn(move || wire::exchange(address, &deletion(1, &tokens::good_token())));
    until("the sync hangs", || strace.begun("fdatasync") == number);
    program.signal(Signal::KILL);
    strace.kill();
    program.kill_nine();
    assert_eq!(caller.join().unwrap(), None, "nobody was answered");
    until("upstream has read all that was sent", || users.open() == 0);
    let seen = users.take_seen().len();

    let program = home.start_ready();
    assert_eq!(delete(program.address, 2_000).status, 200);
    assert_eq!(
        users.take_seen().len(),
        1,
        "p7: an open deletion is not sent again"
    );
    let (status, log) = program.stop();
    assert!(status.success(), "{status}\n{log}");
    let record = home.record();
    assert_eq!(record.summary.open, 0);
    assert_eq!(record.closed(2_000).1, Verdict::Deleted);
    Some((seen, record))
}

#[test]
fn p1_a_kill_in_the_sync_of_an_intent_sends_nothing() {
    let Some((seen, record)) = killed_in_sync(1) else {
        return;
    };
    assert_eq!(seen, 0, "upstream saw nothing");
    // The intent was written but not synced. Recovery may find it, and must close it then.
    if record.deletions.len() == 3 {
        let (closed, verdict) = record.closed(1);
        assert_eq!(
            (verdict, closed.reason),
            (Verdict::Unknown, Some(Reason::Crash))
        );
    }
}

#[test]
fn p2_a_kill_in_the_sync_of_an_outcome_closes_it_once() {
    let Some((seen, record)) = killed_in_sync(2) else {
        return;
    };
    assert_eq!(seen, 1, "it was sent");
    let (closed, verdict) = record.closed(1);
    let found = (verdict, closed.reason, closed.sent);
    let written = (Verdict::Deleted, None, Some(Sent::Yes));
    let lost = (Verdict::Unknown, Some(Reason::Crash), Some(Sent::Unknown));
    assert!(found == written || found == lost, "{found:?}");
}
