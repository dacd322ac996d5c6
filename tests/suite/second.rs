//! A second gateway on the same folder serves reads, writes nothing, and takes over when the first
//! ends.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use lychgate::audit::entry::Kind;

use super::callers::{delete, get, refusal};
use super::program::{Home, Program, until};
use super::users::Users;

/// Every file and folder of the trail with its modification time and content.
type Picture = BTreeMap<PathBuf, (i64, i64, Vec<u8>)>;

fn picture(folder: &Path) -> Picture {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let (path, about) = (entry.path(), entry.metadata().unwrap());
            let bytes = match about.is_file() {
                true => std::fs::read(&path).unwrap(),
                false => Vec::new(),
            };
            if about.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path, (about.mtime(), about.mtime_nsec(), bytes));
        }
    }
    found
}

/// Two gateways on one folder. The first has one recorded deletion and nothing more to write.
fn two(users: &Users) -> (Home, Program, Program, Picture) {
    let home = Home::new(users.address(), &[]);
    let first = home.start_ready();
    assert_eq!(delete(first.address, 1).status, 200);
    let spare = home.audit().join("journal/0000000002");
    let socket = home.audit().join("control.sock");
    until("the first one's spare is made", || spare.exists());
    until("the first one's socket is bound", || socket.exists());
    until("the first one's reserve is made", || {
        first.metric("lychgate_audit_reserve_bytes") > 0
    });
    first.wait_published();
    let before = picture(&home.audit());
    let second = home.start();
    second.wait_for_cause("locked");
    (home, first, second, before)
}

#[test]
fn p3_a_second_gateway_writes_nothing_until_the_first_stops() {
    let users = Users::start();
    let (home, first, second, before) = two(&users);
    for user in 2..=4 {
        assert_eq!(get(second.address, user).status, 200);
        let answer = delete(second.address, user);
        let (code, sent, cause) = refusal(&answer);
        let expected = ("audit-unavailable", "no", "locked");
        assert_eq!((&*code, &*sent, &*cause), expected, "{}", answer.shown());
        assert_eq!(answer.status, 503);
    }
    assert_eq!(second.page("/readyz").status, 200);
    assert!(!second.takes_deletions());
    let after = picture(&home.audit());
    let names = |picture: &Picture| picture.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after));
    for (path, was) in &before {
        assert!(*was == after[path], "{} was written", path.display());
    }
    assert_eq!(delete(first.address, 5).status, 200, "the first continues");

    let (status, log) = first.stop();
    assert!(status.success(), "{status}\n{log}");
    second.wait_ready();
    assert_eq!(delete(second.address, 6).status, 200);
    let (status, log) = second.stop();
    assert!(status.success(), "{status}\n{log}");
    let record = home.record();
    for user in [1, 5, 6] {
        record.closed(user);
    }
    let starts = record.entries.iter();
    let starts = starts.filter(|entry| matches!(entry.kind, Kind::Started(_)));
    assert_eq!((starts.count(), record.deletions.len()), (2, 3));
    let told = record.entries.iter().any(|entry| match &entry.kind {
        Kind::Trouble(trouble) => trouble.cause == "locked" && trouble.refused == 3,
        _ => false,
    });
    assert!(told, "the trail counts the refusals of the second gateway");
}

#[test]
fn p3_a_second_gateway_takes_over_when_the_first_is_killed() {
    let users = Users::start();
    let (home, first, second, _) = two(&users);
    first.kill_nine();
    second.wait_ready();
    assert_eq!(delete(second.address, 2).status, 200);
    drop(second);
    let record = home.record();
    record.closed(1);
    record.closed(2);
}
