//! `audit unresolved`, and `audit list` for a deletion that was read back.

use super::*;
use crate::audit::entry::compose::test_reconciled;
use crate::audit::entry::{Found, Sent, Verdict};
use crate::audit::read::query::tests::{outcome, part};
use crate::audit::read::verify::sample::leaf_of;

/// A deletion `a` with an unknown outcome, a deletion `b` that failed after it was sent, and
/// `more`.
fn in_doubt(more: &[Kind]) -> Vec<Vec<u8>> {
    let a = bytes(1, Kind::Intent(intent("a", &["1"])));
    let mut unknown = outcome(0, "a", vec![leaf_of(&a)]);
    (unknown.ending.outcome, unknown.ending.sent) = (Verdict::Unknown, Sent::Unknown);
    let b = bytes(3, Kind::Intent(intent("b", &["2"])));
    let mut failed = outcome(2, "b", vec![leaf_of(&b)]);
    failed.ending.outcome = Verdict::Failed;
    let unknown = bytes(2, Kind::Outcome(unknown));
    let failed = bytes(4, Kind::Outcome(failed));
    let more = (5..)
        .zip(more)
        .map(|(second, kind)| bytes(second, kind.clone()));
    [a, unknown, b, failed].into_iter().chain(more).collect()
}

fn read_back() -> Kind {
    let mut entry = test_reconciled(0, 1);
    entry.request_id = "a".into();
    entry.result = Found::StillThere;
    entry.users[0].result = Found::StillThere;
    Kind::Reconciled(entry)
}

fn ids(entries: &[Vec<u8>], line: &[&str]) -> Vec<String> {
    let (exit, text) = sample(|path| write(path, entries), line);
    assert_eq!(exit, Ok(Exit::Fine));
    let id = |object: &Value| object["request_id"].as_str().unwrap().to_owned();
    objects(&text).iter().map(id).collect()
}

#[test]
fn p2_a_deletion_in_doubt_is_unresolved_until_it_is_read_back() {
    let line = ["unresolved", "--json"];
    assert_eq!(ids(&in_doubt(&[]), &line), ["a", "b"]);
    assert_eq!(ids(&in_doubt(&[read_back()]), &line), ["b"]);
    assert!(ids(&sound(), &line).is_empty());
}

#[test]
fn unresolved_prints_the_closing_time_and_the_outcome() {
    let (exit, text) = sample(|path| write(path, &in_doubt(&[])), &["unresolved"]);
    assert_eq!(exit, Ok(Exit::Fine));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(
        lines[1].contains("unknown") && lines[1].contains("12:00:02Z"),
        "{text}"
    );
    assert!(lines[2].contains("failed"), "{text}");
}

#[test]
fn p2_list_shows_the_read_back_result_and_keeps_the_outcome() {
    let entries = in_doubt(&[read_back()]);
    let (_, text) = sample(|path| write(path, &entries), &["list", "--json"]);
    let objects = objects(&text);
    assert_eq!(objects[0]["outcome"], "unknown");
    let wanted = serde_json::json!({"result": "still_there", "index": 4, "actor": {"uid": 0}});
    assert_eq!(objects[0]["reconciled"], wanted);
    assert_eq!(objects[1]["reconciled"], Value::Null);
    let (_, table) = sample(|path| write(path, &entries), &["list"]);
    assert!(table.contains("unknown, now still_there"), "{table}");
}

#[test]
fn p4_a_trail_with_a_read_back_verifies() {
    let entries = in_doubt(&[read_back()]);
    let (exit, text) = sample(|path| write(path, &entries), &["verify"]);
    assert_eq!(exit, Ok(Exit::Fine), "{text}");
}

#[test]
fn p2_a_split_deletion_is_unresolved_with_all_its_users() {
    let one = bytes(1, Kind::Intent(part("g", &["1", "2"], 1, 2)));
    let two = bytes(1, Kind::Intent(part("g", &["3"], 2, 2)));
    let mut unknown = outcome(0, "g", vec![leaf_of(&one), leaf_of(&two)]);
    (unknown.ending.outcome, unknown.ending.sent) = (Verdict::Unknown, Sent::Unknown);
    let entries = [one, two, bytes(2, Kind::Outcome(unknown))];
    let (_, text) = sample(|path| write(path, &entries), &["unresolved", "--json"]);
    assert_eq!(
        objects(&text)[0]["users"],
        serde_json::json!(["1", "2", "3"])
    );
}
