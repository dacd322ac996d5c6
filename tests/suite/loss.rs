//! `accept-loss` abandons a log that cannot continue and starts another; it deletes nothing.

use std::path::{Path, PathBuf};
use std::process::Output;

use lychgate::audit::entry::{Entry, Kind, LossAccepted};
use serde_json::Value;

use super::callers::{delete, refusal};
use super::program::{Home, ORIGIN, Program, until};
use super::record::Record;
use super::users::Users;
use crate::support::trail;

const NEW: &str = "lychgate.test/suite-2";

fn accept(home: &Home, words: &[&str]) -> Output {
    let mut command = trail::lychgate();
    command.args([
        "audit",
        "accept-loss",
        "--json",
        "--reason",
        "the disk is gone",
    ]);
    command.arg("--config").arg(home.path("lychgate.toml"));
    command.args(words).output().unwrap()
}

fn accept_with_key(home: &Home) -> Output {
    let key = home.path("new.key");
    accept(
        home,
        &["--origin", NEW, "--key-file", key.to_str().unwrap()],
    )
}

fn text_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn done(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", text_of(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A home with a key for the new log, and a gateway with two recorded deletions.
fn begun(users: &Users) -> (Home, Program) {
    let home = Home::new(users.address(), &[]);
    trail::keygen(NEW, &home.path("new.key"));
    let program = home.start_ready();
    for user in [1, 2] {
        assert_eq!(delete(program.address, user).status, 200);
    }
    (home, program)
}

/// Names the new log in the config.
fn rename(home: &Home) {
    let path = home.path("lychgate.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    if !text.contains(NEW) {
        let text = text.replace(ORIGIN, NEW).replace("audit.key", "new.key");
        std::fs::write(path, text).unwrap();
    }
}

/// The first entry and all entries of the new log, which must verify.
fn new_log(home: &Home) -> (LossAccepted, Vec<Entry>) {
    let record = Record::read(&home.audit(), &home.path("new.key"));
    let Kind::LossAccepted(loss) = record.entries[0].kind.clone() else {
        panic!("it begins otherwise: {:?}", record.entries[0])
    };
    (loss, record.entries)
}

/// Asserts that the gateway accepts deletions under the new name.
fn resumes(home: &Home) {
    rename(home);
    let program = home.start_ready();
    let answer = delete(program.address, 3);
    assert_eq!(answer.status, 200);
    let receipt = answer.header("lychgate-receipt").unwrap();
    assert!(receipt.starts_with(NEW), "{receipt}");
    let others = trail::other_files(&home.audit());
    assert_eq!(
        others["count"], 0,
        "the abandoned log does not count as files of others: {others}"
    );
    assert!(program.stop().0.success());
    let (loss, entries) = new_log(home);
    assert_eq!(loss.reason, "the disk is gone");
    assert_eq!(loss.old_origin.as_deref(), Some(ORIGIN));
    let losses = entries
        .iter()
        .filter(|e| matches!(e.kind, Kind::LossAccepted(_)));
    assert_eq!(losses.count(), 1);
}

fn segment(directory: &Path) -> PathBuf {
    directory.join("journal/0000000001")
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[200] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// Asserts that the command refuses to run beside a gateway: it names the gateway, exits 1, and
/// changes nothing.
fn refused_beside(home: &Home, program: &Program) {
    let refused = accept_with_key(home);
    assert_eq!(refused.status.code(), Some(1));
    let said = text_of(&refused);
    let holder = format!("process {} holds the trail's lock", program.pid());
    assert!(said.contains(&holder), "{said}");
    assert!(said.contains("stop the gateway"), "{said}");
    let names = std::fs::read_dir(home.audit()).unwrap();
    let names = names.map(|item| item.unwrap().file_name().into_string().unwrap());
    let moved: Vec<_> = names.filter(|name| name.starts_with("los")).collect();
    assert!(moved.is_empty(), "{moved:?}");
}

#[test]
fn p4_a_damaged_log_is_abandoned_after_its_gateway_stopped() {
    let users = Users::start();
    let (home, program) = begun(&users);
    program.kill_nine();
    flip(&segment(&home.audit()));
    let program = home.start();
    program.wait_for_cause("damaged");
    assert!(program.stop().0.success());
    let done = done(&accept_with_key(&home));
    assert_eq!(done["begun"], true);
    assert_eq!(done["old_origin"], ORIGIN);
    let left_in = PathBuf::from(done["left_in"].as_str().unwrap());
    let (sound, said) = trail::verify(&left_in);
    assert!(
        !sound && said.contains("damaged"),
        "the reader still checks the abandoned log: {said}"
    );
    // A gateway with the old key shows the remedy and serves reads.
    let program = home.start();
    program.wait_for_cause("key-unusable");
    let (code, sent, cause) = refusal(&delete(program.address, 3));
    let expected = ("audit-unavailable", "no", "key-unusable");
    assert_eq!((&*code, &*sent, &*cause), expected);
    assert!(program.stop().0.success());
    resumes(&home);
}

#[test]
fn p4_a_log_with_an_unlinked_file_is_abandoned_offline() {
    let users = Users::start();
    let (home, program) = begun(&users);
    std::fs::remove_file(segment(&home.audit())).unwrap();
    assert_eq!(delete(program.address, 3).status, 503);
    program.wait_for_cause("unlinked");
    refused_beside(&home, &program);
    program.wait_for_cause("unlinked");
    assert!(program.stop().0.success());
    let refused = accept(&home, &["--origin", ORIGIN]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text_of(&refused).contains("two histories"),
        "{}",
        text_of(&refused)
    );
    let done = done(&accept_with_key(&home));
    assert_eq!(done["begun"], true);
    resumes(&home);
}

#[test]
fn p4_abandoning_a_missing_log_keeps_its_checkpoint() {
    let users = Users::start();
    let (home, program) = begun(&users);
    assert!(program.stop().0.success());
    let seen = std::fs::read_to_string(home.path("audit.key.seen")).unwrap();
    std::fs::remove_dir_all(home.audit()).unwrap();
    let program = home.start();
    program.wait_for_cause("rolled-back");
    drop(program);
    std::fs::remove_dir_all(home.audit()).unwrap();
    let done = done(&accept_with_key(&home));
    assert_eq!(done["old_checkpoint"], seen);
    resumes(&home);
    assert_eq!(new_log(&home).0.old_checkpoint, Some(seen));
}

#[test]
fn p4_a_gateway_that_opens_no_log_is_not_in_the_way() {
    let users = Users::start();
    let (home, program) = begun(&users);
    program.wait_published();
    assert!(program.stop().0.success());
    std::fs::remove_dir_all(home.audit()).unwrap();
    let program = home.start();
    program.wait_for_cause("rolled-back");
    // The gateway holds the lock only while it tries to open the log, once a second.
    until("the loss is accepted beside it", || {
        accept_with_key(&home).status.success()
    });
    program.wait_for_cause("key-unusable");
    let verbose = program.page("/readyz?verbose").shown();
    let told = format!("its `verifier` is {NEW}+");
    assert!(verbose.contains(&told), "{verbose}");
    drop(program);
    resumes(&home);
}

#[test]
fn p4_a_gateway_with_the_key_begins_the_new_log() {
    let users = Users::start();
    let (home, program) = begun(&users);
    program.kill_nine();
    flip(&segment(&home.audit()));
    let done = done(&accept(&home, &["--origin", NEW]));
    assert_eq!(done["begun"], false);
    let program = home.start();
    program.wait_for_cause("key-unusable");
    drop(program);
    resumes(&home);
}

#[test]
fn p4_the_new_log_begins_at_once_if_the_config_names_it() {
    let users = Users::start();
    let (home, program) = begun(&users);
    program.kill_nine();
    rename(&home);
    let accepted = accept(&home, &["--origin", NEW]);
    let told = text_of(&accepted);
    let seen = home.path("new.key.seen");
    let warning = format!("the seen file {} is not that of {ORIGIN}", seen.display());
    assert!(told.contains(&warning), "{told}");
    let done = done(&accepted);
    assert_eq!(done["begun"], true);
    let left_in = PathBuf::from(done["left_in"].as_str().unwrap());
    let (sound, said) = trail::verify(&left_in);
    assert!(sound, "nothing was wrong with it: {said}");
    assert_eq!(trail::list(&left_in).len(), 2);
    resumes(&home);
}

#[test]
fn p4_a_loss_of_which_nothing_is_known_begins_no_log() {
    let users = Users::start();
    let (home, program) = begun(&users);
    program.kill_nine();
    std::fs::remove_dir_all(home.audit()).unwrap();
    std::fs::create_dir(home.audit()).unwrap();
    rename(&home);
    let refused = accept(&home, &["--origin", NEW]);
    let told = text_of(&refused);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(
        told.contains("set the old one, run this command again"),
        "{told}"
    );
    assert!(home.audit().read_dir().unwrap().next().is_none());
    // A gateway begins the new log, and then no command can record the loss.
    assert!(home.start_ready().stop().0.success());
    let refused = accept(&home, &["--origin", NEW]);
    let told = text_of(&refused);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(
        told.contains("nothing can record the loss any more"),
        "{told}"
    );
}

#[test]
fn a_log_that_can_continue_is_not_abandoned() {
    let users = Users::start();
    let (home, program) = begun(&users);
    refused_beside(&home, &program);
    assert_eq!(delete(program.address, 3).status, 200);
    assert!(program.stop().0.success());
    let refused = accept_with_key(&home);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text_of(&refused).contains("accepted: deletions are taken, and nothing is lost"),
        "{}",
        text_of(&refused)
    );
    let stranger = home.path("audit.key");
    let words = ["--origin", NEW, "--key-file", stranger.to_str().unwrap()];
    assert_eq!(accept(&home, &words).status.code(), Some(2));
    assert_eq!(home.record().deletions.len(), 3);
}
