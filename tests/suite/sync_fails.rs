//! A sync that fails or is late, for an intent and for an outcome: the answer to the caller, the
//! requests at upstream and the record. Reads continue all the time.

use lychgate::audit::entry::{Kind, Sent, Verdict};

use super::callers::{delete, get, receipt_index, refusal};
use super::program::{Home, Program};
use super::record::Record;
use super::strace::Strace;
use super::users::Users;
use crate::support::trail::lychgate;
use crate::support::wire::Answer;

/// Makes the writer's sync of this number hang while `strace` is attached.
fn hangs(number: usize) -> String {
    format!("fdatasync:delay_enter=600000000:when={number}")
}

struct Scene {
    users: Users,
    home: Home,
    program: Program,
}

fn scene() -> Scene {
    scene_with(&[])
}

/// With a `sync_timeout` that only a hanging sync exceeds, because the folder is in memory.
fn scene_of_late_syncs() -> Scene {
    scene_with(&[("audit", "sync_timeout = \"2s\"")])
}

fn scene_with(keys: &[(&str, &str)]) -> Scene {
    let users = Users::start();
    let home = Home::new(users.address(), keys);
    let program = home.start_ready();
    // The spare segment exists, and only deletions will cause syncs.
    assert_eq!(delete(program.address, 1_000).status, 200);
    users.take_seen();
    Scene {
        users,
        home,
        program,
    }
}

impl Scene {
    fn refused(&self, user: u64, cause: &str) -> Answer {
        let answer = delete(self.program.address, user);
        let (code, sent, found) = refusal(&answer);
        let expected = ("audit-unavailable", "no", cause);
        assert_eq!((&*code, &*sent, &*found), expected, "{}", answer.shown());
        assert_eq!(answer.status, 503);
        assert!(answer.header("retry-after").is_some());
        assert_eq!(receipt_index(&answer), None);
        assert_eq!(self.users.seen_count(), 0, "upstream saw nothing");
        answer
    }

    fn reads_go_on(&self) {
        assert_eq!(get(self.program.address, 7).status, 200);
        self.users.take_seen();
        assert_eq!(self.program.page("/readyz").status, 200);
    }

    /// Deletes another user, then stops the gateway and checks the whole trail.
    fn resumes(self) -> Record {
        self.program.wait_ready();
        let answer = delete(self.program.address, 2_000);
        assert_eq!(answer.status, 200, "{}", answer.shown());
        let (status, log) = self.program.stop();
        assert!(status.success(), "{status}\n{log}");
        let record = self.home.record();
        assert_eq!(record.closed(2_000).1, Verdict::Deleted);
        assert_eq!(record.summary.open, 0);
        record
    }
}

fn was_not_sent(record: &Record, user: u64) {
    let (closed, verdict) = record.closed(user);
    let found = (verdict, closed.sent, closed.status);
    assert_eq!(found, (Verdict::Failed, Some(Sent::No), None));
}

/// The recorded outages, each with its cause and state.
fn troubles(record: &Record) -> Vec<(String, String)> {
    let kinds = record.entries.iter().map(|entry| &entry.kind);
    let troubles = kinds.filter_map(|kind| match kind {
        Kind::Trouble(trouble) => Some((trouble.cause.clone(), trouble.state.clone())),
        _ => None,
    });
    troubles.collect()
}

fn began_and_ended(cause: &str) -> [(String, String); 2] {
    ["began", "ended"].map(|state| (cause.to_owned(), state.to_owned()))
}

#[test]
fn p3_a_failed_sync_of_an_intent_refuses_only_its_deletion() {
    let scene = scene();
    let what = "fdatasync:error=EIO:when=1";
    let Some(strace) = Strace::inject(&scene.home, &scene.program, what) else {
        return;
    };
    scene.refused(1, "sync-failed");
    scene.reads_go_on();
    scene.program.wait_ready();
    drop(strace);
    let record = scene.resumes();
    was_not_sent(&record, 1);
    assert_eq!(troubles(&record), began_and_ended("sync-failed"));
}

#[test]
fn p3_a_failed_sync_of_an_outcome_is_unconfirmed() {
    let scene = scene();
    let what = "fdatasync:error=EIO:when=2";
    let Some(strace) = Strace::inject(&scene.home, &scene.program, what) else {
        return;
    };
    let answer = delete(scene.program.address, 1);
    let (code, sent, _) = refusal(&answer);
    assert_eq!(
        (&*code, &*sent),
        ("deletion-unconfirmed", "yes"),
        "{}",
        answer.shown()
    );
    assert_eq!(
        (answer.status, &answer.json()["upstream_status"]),
        (500, &200.into())
    );
    assert_eq!(scene.users.take_seen().len(), 1);
    scene.reads_go_on();
    scene.program.wait_ready();
    drop(strace);
    let audit = scene.home.audit();
    // The gateway keeps the outcome and writes it once a sync succeeds.
    receipt_is_borne_out(&audit, &answer);
    let record = scene.resumes();
    let (closed, verdict) = record.closed(1);
    assert_eq!((verdict, closed.sent), (Verdict::Deleted, Some(Sent::Yes)));
    assert_eq!(receipt_index(&answer), Some(closed.index));
    assert_eq!(troubles(&record), began_and_ended("sync-failed"));
}

fn receipt_is_borne_out(audit: &std::path::Path, answer: &Answer) {
    let header = |name: &str| answer.header(name).expect("it has a whole receipt");
    let mut command = lychgate();
    command.args(["audit", "verify", "--dir"]).arg(audit);
    command.args(["--receipt", header("lychgate-receipt")]);
    command.args(["--leaf", header("lychgate-receipt-leaf")]);
    command.args(["--signature", header("lychgate-receipt-signature")]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{}", answer.shown());
}

#[test]
fn p3_deletions_resume_after_syncs_failed_for_a_while() {
    let scene = scene();
    let what = "fdatasync:error=EIO:when=1+";
    let Some(strace) = Strace::inject(&scene.home, &scene.program, what) else {
        return;
    };
    for user in 1..=5 {
        scene.refused(user, "sync-failed");
        scene.reads_go_on();
        assert!(!scene.program.takes_deletions());
    }
    let verbose = scene.program.page("/readyz?verbose").shown();
    assert!(verbose.contains("sync-failed"), "{verbose}");
    drop(strace);
    let record = scene.resumes();
    was_not_sent(&record, 1);
    assert_eq!(troubles(&record), began_and_ended("sync-failed"));
    // The end of the outage counts the deletions that were refused meanwhile.
    let refused = record.entries.iter().filter_map(|entry| match &entry.kind {
        Kind::Trouble(trouble) => Some(trouble.refused),
        _ => None,
    });
    let (singly, _) = record.refused("audit-unavailable");
    assert_eq!(refused.sum::<u64>() + singly, 5);
}

#[test]
fn p3_a_deletion_is_refused_while_its_sync_hangs() {
    let scene = scene_of_late_syncs();
    let Some(strace) = Strace::inject(&scene.home, &scene.program, &hangs(1)) else {
        return;
    };
    scene.refused(1, "sync-late");
    scene.refused(2, "sync-late");
    scene.reads_go_on();
    assert!(!scene.program.takes_deletions());
    // All of this happened during one sync, which ends now.
    assert_eq!(strace.begun("fdatasync"), 1);
    drop(strace);
    scene.program.wait_ready();
    let record = scene.resumes();
    was_not_sent(&record, 1);
    assert_eq!(troubles(&record), began_and_ended("sync-late"));
}

#[test]
fn p3_a_late_sync_of_an_outcome_is_unconfirmed_then_closed() {
    let scene = scene_of_late_syncs();
    let Some(strace) = Strace::inject(&scene.home, &scene.program, &hangs(2)) else {
        return;
    };
    let answer = delete(scene.program.address, 1);
    let (code, sent, _) = refusal(&answer);
    assert_eq!(
        (&*code, &*sent),
        ("deletion-unconfirmed", "yes"),
        "{}",
        answer.shown()
    );
    assert_eq!(scene.users.take_seen().len(), 1);
    scene.reads_go_on();
    // All of this happened during one sync, which ends now.
    assert_eq!(strace.begun("fdatasync"), 2);
    drop(strace);
    scene.program.wait_ready();
    receipt_is_borne_out(&scene.home.audit(), &answer);
    let record = scene.resumes();
    let (closed, verdict) = record.closed(1);
    assert_eq!((verdict, closed.sent), (Verdict::Deleted, Some(Sent::Yes)));
}

#[test]
fn p3_a_failed_write_has_its_own_cause() {
    for (errno, cause) in [
        ("EIO", "sync-failed"),
        ("ENOSPC", "disk-full"),
        ("EROFS", "read-only"),
    ] {
        let scene = scene();
        let what = format!("pwrite64:error={errno}:when=1");
        let Some(strace) = Strace::inject(&scene.home, &scene.program, &what) else {
            return;
        };
        scene.refused(1, cause);
        scene.reads_go_on();
        scene.program.wait_ready();
        drop(strace);
        let record = scene.resumes();
        was_not_sent(&record, 1);
        assert_eq!(troubles(&record), began_and_ended(cause));
    }
}
