//! A full or read-only disk, at the start or later: reads continue, deletions are refused with the
//! cause, and they resume without a restart once the cause is gone.

use super::callers::{delete, get, receipt_index, refusal};
use super::mounts::{self, beside};
use super::program::{Home, Program, until};
use super::users::Users;

fn home(users: &Users) -> Option<Home> {
    let home = Home::new(users.address(), &[]);
    mounts::can_be_used(&home).then_some(home)
}

/// Asserts that reads are served and that a deletion is refused with this cause.
fn refuses(program: &Program, users: &Users, user: u64, cause: &str) {
    assert_eq!(get(program.address, 1).status, 200);
    let before = users.seen_count();
    let answer = delete(program.address, user);
    let (code, sent, found) = refusal(&answer);
    let expected = ("audit-unavailable", "no", cause);
    assert_eq!((&*code, &*sent, &*found), expected, "{}", answer.shown());
    assert_eq!(answer.status, 503);
    assert_eq!(users.seen_count(), before, "upstream saw nothing of it");
    assert_eq!(program.page("/readyz").status, 200, "reads can be served");
    let verbose = program.page("/readyz?verbose").shown();
    assert!(verbose.contains(cause), "{verbose}");
}

/// Asserts, after the cause is gone, that deletions are accepted and recorded and that the trail
/// verifies.
fn recovers(program: Program, home: &Home, user: u64) {
    program.wait_ready();
    let answer = delete(program.address, user);
    assert_eq!(answer.status, 200, "{}", answer.shown());
    let record = home.record_at(&mounts::seen_by(&program, home));
    assert_eq!(Some(record.closed(user).0.index), receipt_index(&answer));
    assert_eq!(record.summary.open, 0);
    let temporary = mounts::seen_by(&program, home).join("tmp");
    until("failed tries leave no file", || {
        std::fs::read_dir(&temporary).unwrap().count() == 0
    });
    let (status, log) = program.stop();
    assert!(status.success(), "{status}\n{log}");
}

#[test]
fn p3_a_disk_full_at_the_start_refuses_only_deletions() {
    let users = Users::start();
    let Some(home) = home(&users) else { return };
    let full = "mount -t tmpfs -o size=8m tmpfs \"$1\"\nhead -c 16m /dev/zero >\"$1/fill\" 2>/dev/null || true";
    let program = mounts::start(&home, full);
    program.wait_for_cause("disk-full");
    refuses(&program, &users, 1, "disk-full");
    beside(&program, &home, "rm \"$1/fill\"");
    recovers(program, &home, 2);
}

#[test]
fn p3_a_disk_that_fills_up_refuses_only_deletions() {
    let users = Users::start();
    let Some(home) = home(&users) else { return };
    let program = mounts::start(&home, "mount -t tmpfs -o size=8m tmpfs \"$1\"");
    program.wait_ready();
    assert_eq!(delete(program.address, 1).status, 200);
    beside(
        &program,
        &home,
        "head -c 16m /dev/zero >\"$1/fill\" 2>/dev/null || true",
    );
    // The gateway first uses its preallocated space; each deletion takes two blocks of 4 KiB.
    let mut user = 2;
    while delete(program.address, user).status == 200 {
        user += 1;
        assert!(user < 1_000, "the disk is full and nobody says so");
    }
    let taken = 1..user;
    refuses(&program, &users, user, "disk-full");
    let record = home.record_at(&mounts::seen_by(&program, &home));
    for taken in taken {
        record.closed(taken);
    }
    assert_eq!(record.summary.open, 0, "every intent has its outcome");
    beside(&program, &home, "rm \"$1/fill\"");
    recovers(program, &home, user + 1_000);
}

#[test]
fn p3_a_folder_read_only_at_the_start_refuses_only_deletions() {
    let users = Users::start();
    let Some(home) = home(&users) else { return };
    let read_only = "mount --bind \"$1\" \"$1\"\nmount -o remount,ro,bind \"$1\"";
    let program = mounts::start(&home, read_only);
    program.wait_for_cause("read-only");
    refuses(&program, &users, 1, "read-only");
    let names: Vec<_> = std::fs::read_dir(home.audit()).unwrap().collect();
    assert!(names.is_empty(), "nothing was written: {names:?}");
    beside(&program, &home, "mount -o remount,rw,bind \"$1\"");
    recovers(program, &home, 2);
}

#[test]
fn p3_a_trail_read_only_at_a_restart_refuses_only_deletions() {
    let users = Users::start();
    let Some(home) = home(&users) else { return };
    let program = home.start_ready();
    assert_eq!(delete(program.address, 1).status, 200);
    assert!(program.stop().0.success());
    let read_only = "mount --bind \"$1\" \"$1\"\nmount -o remount,ro,bind \"$1\"";
    let program = mounts::start(&home, read_only);
    program.wait_for_cause("read-only");
    refuses(&program, &users, 2, "read-only");
    beside(&program, &home, "mount -o remount,rw,bind \"$1\"");
    recovers(program, &home, 3);
    home.record().closed(1);
}
