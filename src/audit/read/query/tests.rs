//! Tests of joining and selecting, on lists of entries.

use super::*;
use crate::audit::entry::{Ending, Entry, Kind};
use crate::clock::Time;

mod follows;
mod missing;
mod picks;
mod places;

/// A time: midday of a fixed day, plus seconds.
pub(crate) fn at(second: i64) -> String {
    Time(1_795_521_600_000_000 + second * 1_000_000).to_string()
}

pub(crate) fn caller() -> Caller {
    Caller {
        issuer: "https://login.example.com/".into(),
        subject: "alice".into(),
        client: Some("console".into()),
    }
}

pub(crate) fn intent(request_id: &str, users: &[&str]) -> Intent {
    Intent {
        request_id: request_id.into(),
        operation: "users.delete".into(),
        account: "12345678".into(),
        users: users.iter().map(ToString::to_string).collect(),
        caller: caller(),
        token_id: "jti-1".into(),
        if_match: Some("42".into()),
        domain: "https://va.ac.example.net".into(),
        client_ip: "127.0.0.1".into(),
        config: "c0".into(),
        rule: None,
        group: None,
        part: None,
        parts: None,
        cut: Default::default(),
    }
}

pub(crate) fn part(request_id: &str, users: &[&str], part: u32, parts: u32) -> Intent {
    Intent {
        group: Some(format!("group of {request_id}")),
        part: Some(part),
        parts: Some(parts),
        operation: "users.delete_batch".into(),
        ..intent(request_id, users)
    }
}

pub(crate) fn outcome(intent: u64, request_id: &str, leaves: Vec<String>) -> Outcome {
    Outcome {
        intent,
        leaves,
        request_id: request_id.into(),
        ending: Ending {
            outcome: Verdict::Deleted,
            reason: None,
            sent: Sent::Yes,
            status: Some(200),
            revision: Some("43".into()),
            attempts: 1,
        },
        cut: Default::default(),
    }
}

pub(crate) fn refused(request_id: &str, code: &str) -> Refused {
    Refused {
        request_id: request_id.into(),
        operation: "users.delete".into(),
        account: "12345678".into(),
        users: vec!["7".into()],
        user_count: 1,
        body_sha256: None,
        caller: caller(),
        token_id: "jti-2".into(),
        if_match: None,
        domain: None,
        client_ip: "127.0.0.1".into(),
        config: "c0".into(),
        code: code.into(),
        rule: None,
        cut: Default::default(),
    }
}

pub(crate) fn entry(second: i64, kind: Kind) -> Entry {
    Entry {
        time: at(second),
        kind,
    }
}

fn joined(kinds: Vec<Kind>) -> Vec<Deletion> {
    let mut joiner = Joiner::default();
    let mut deletions = Vec::new();
    for (index, kind) in kinds.into_iter().enumerate() {
        joiner.push(index as u64, entry(index as i64, kind));
        deletions.extend(std::iter::from_fn(|| joiner.next_closed()));
    }
    deletions.extend(joiner.rest());
    deletions
}

fn closed(at: u64, request_id: &str) -> Kind {
    Kind::Outcome(outcome(at, request_id, vec!["leaf".into()]))
}

#[test]
fn p2_an_intent_is_joined_with_the_entry_that_closes_it() {
    let list = joined(vec![
        Kind::Alive {},
        Kind::Intent(intent("a", &["7"])),
        Kind::Alive {},
        closed(1, "a"),
    ]);
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].index, 1);
    assert_eq!(list[0].time, at(1));
    assert_eq!(list[0].closing_index, Some(3));
    assert_eq!(list[0].outcome, Progress::Closed(Verdict::Deleted));
    assert_eq!((list[0].status, list[0].attempts), (Some(200), 1));
    assert_eq!(list[0].revision.as_deref(), Some("43"));
}

#[test]
fn p2_an_intent_without_a_closing_entry_is_open() {
    let list = joined(vec![Kind::Intent(intent("a", &["7"]))]);
    assert_eq!(list[0].outcome, Progress::Open);
    assert_eq!(list[0].decision, Decision::Forwarded);
    assert_eq!((list[0].sent, list[0].closing_index), (None, None));
}

#[test]
fn a_split_batch_is_one_deletion_with_all_users() {
    let list = joined(vec![
        Kind::Intent(part("a", &["1", "2"], 1, 3)),
        Kind::Intent(part("a", &["3"], 2, 3)),
        Kind::Intent(part("a", &["4"], 3, 3)),
        Kind::Outcome(outcome(0, "a", vec!["l".into(); 3])),
    ]);
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].users, ["1", "2", "3", "4"]);
    assert_eq!(list[0].group.as_deref(), Some("group of a"));
    assert_eq!(list[0].closing_index, Some(3));
}

#[test]
fn a_group_that_is_closed_takes_no_further_part() {
    let list = joined(vec![
        Kind::Intent(part("a", &["1"], 1, 1)),
        Kind::Outcome(outcome(0, "a", vec!["l".into()])),
        Kind::Intent(part("a", &["2"], 1, 1)),
    ]);
    assert_eq!(list.len(), 2);
    assert_eq!(list[0].users, ["1"]);
}

#[test]
fn a_refused_deletion_is_unsent_and_has_no_outcome() {
    let list = joined(vec![Kind::Refused(refused("a", "if-match-missing"))]);
    assert_eq!(list[0].decision, Decision::Refused);
    assert_eq!(list[0].code.as_deref(), Some("if-match-missing"));
    assert_eq!(list[0].outcome, Progress::Refused);
    assert_eq!((list[0].sent, list[0].attempts), (Some(Sent::No), 0));
}

#[test]
fn deletions_come_in_order_of_their_intents() {
    let list = joined(vec![
        Kind::Intent(intent("slow", &["1"])),
        Kind::Intent(intent("fast", &["2"])),
        Kind::Refused(refused("no", "scope-missing")),
        closed(1, "fast"),
        closed(0, "slow"),
    ]);
    let order: Vec<_> = list.iter().map(|d| d.request_id.as_str()).collect();
    assert_eq!(order, ["slow", "fast", "no"]);
}

#[test]
fn the_joiner_holds_no_closed_deletion() {
    let mut joiner = Joiner::default();
    joiner.push(0, entry(0, Kind::Intent(intent("a", &["1"]))));
    assert_eq!(joiner.next_closed(), None);
    joiner.push(1, entry(1, closed(0, "a")));
    assert!(joiner.next_closed().is_some());
    assert!(joiner.groups.is_empty());
    assert_eq!(joiner.rest().count(), 0);
}

#[test]
fn p2_a_second_closing_entry_changes_nothing_and_is_counted() {
    let mut joiner = Joiner::default();
    joiner.push(0, entry(0, Kind::Intent(intent("a", &["1"]))));
    joiner.push(1, entry(1, closed(0, "a")));
    joiner.push(2, entry(2, closed(0, "a")));
    joiner.push(3, entry(3, closed(9, "b")));
    assert_eq!(joiner.strays(), 2);
    assert_eq!(joiner.next_closed().and_then(|d| d.closing_index), Some(1));
}

#[test]
fn the_json_has_exactly_the_documented_fields_in_order() {
    let list = joined(vec![Kind::Intent(intent("a", &["7"])), closed(0, "a")]);
    let json = serde_json::to_string(&list[0]).unwrap();
    assert_eq!(
        json,
        format!(
            concat!(
                r#"{{"index":0,"time":"{}","request_id":"a","operation":"users.delete","#,
                r#""account":"12345678","users":["7"],"caller":{{"issuer":"https://login.example.com/","#,
                r#""subject":"alice","client":"console"}},"token_id":"jti-1","if_match":"42","#,
                r#""decision":"forwarded","code":null,"outcome":"deleted","reason":null,"sent":"yes","#,
                r#""status":200,"revision":"43","domain":"https://va.ac.example.net","attempts":1,"#,
                r#""client_ip":"127.0.0.1","config":"c0","closing_index":1,"group":null,"rule":null,"#,
                r#""reconciled":null}}"#
            ),
            at(0)
        )
    );
}

#[test]
fn fields_that_a_refused_deletion_lacks_are_null() {
    let list = joined(vec![Kind::Refused(refused("a", "version-missing"))]);
    let json = serde_json::to_value(&list[0]).unwrap();
    for field in [
        "outcome",
        "reason",
        "status",
        "revision",
        "closing_index",
        "if_match",
    ] {
        assert!(json[field].is_null(), "{field}");
    }
    assert_eq!(json["sent"], "no");
    assert_eq!(json["decision"], "refused");
    assert_eq!(json["attempts"], 0);
}

#[test]
fn p2_an_open_deletion_says_open_and_an_unknown_one_why() {
    let mut unknown = outcome(0, "a", vec!["leaf".into()]);
    unknown.ending.outcome = Verdict::Unknown;
    unknown.ending.reason = Some(Reason::ConnectionLost);
    unknown.ending.sent = Sent::Unknown;
    let list = joined(vec![
        Kind::Intent(intent("a", &["7"])),
        Kind::Outcome(unknown),
        Kind::Intent(intent("b", &["8"])),
    ]);
    let json = serde_json::to_value(&list).unwrap();
    assert_eq!(json[0]["outcome"], "unknown");
    assert_eq!(json[0]["reason"], "connection_lost");
    assert_eq!(json[0]["sent"], "unknown");
    assert_eq!(json[1]["outcome"], "open");
    assert!(json[1]["sent"].is_null());
}

mod filters {
    use super::*;

    fn of(set: impl FnOnce(&mut Filter)) -> Vec<String> {
        let mut filter = Filter::default();
        set(&mut filter);
        let mut other = intent("b", &["8", "9"]);
        other.account = "87654321".into();
        other.caller.subject = "bob".into();
        other.operation = "users.delete_batch".into();
        joined(vec![
            Kind::Intent(intent("a", &["7"])),
            closed(0, "a"),
            Kind::Intent(other),
            Kind::Refused(refused("c", "scope-missing")),
        ])
        .into_iter()
        .filter(|deletion| filter.admits(deletion))
        .map(|deletion| deletion.request_id)
        .collect()
    }

    #[test]
    fn none_admits_all() {
        assert_eq!(of(|_| {}), ["a", "b", "c"]);
    }

    #[test]
    fn by_account_user_and_operation() {
        assert_eq!(of(|f| f.account = Some("87654321".into())), ["b"]);
        assert_eq!(of(|f| f.user = Some("9".into())), ["b"]);
        assert_eq!(of(|f| f.user = Some("7".into())), ["a", "c"]);
        assert_eq!(
            of(|f| f.operation = Some("users.delete_batch".into())),
            ["b"]
        );
    }

    #[test]
    fn by_subject_client_or_issuer() {
        assert_eq!(of(|f| f.caller = Some("bob".into())), ["b"]);
        assert_eq!(of(|f| f.caller = Some("console".into())), ["a", "b", "c"]);
        assert_eq!(
            of(|f| f.caller = Some("https://login.example.com/".into())).len(),
            3
        );
        assert!(of(|f| f.caller = Some("carol".into())).is_empty());
    }

    #[test]
    fn by_result_and_code() {
        assert_eq!(of(|f| f.result = Some(Progress::Open)), ["b"]);
        assert_eq!(of(|f| f.result = Some(Progress::Refused)), ["c"]);
        assert_eq!(
            of(|f| f.result = Some(Progress::Closed(Verdict::Deleted))),
            ["a"]
        );
        assert_eq!(of(|f| f.code = Some("scope-missing".into())), ["c"]);
    }

    #[test]
    fn since_is_included_and_until_is_not() {
        assert_eq!(of(|f| f.since = Time::parse(&at(2))), ["b", "c"]);
        assert_eq!(of(|f| f.until = Time::parse(&at(2))), ["a"]);
    }

    #[test]
    fn all_of_them_must_hold() {
        assert!(
            of(|f| {
                f.account = Some("87654321".into());
                f.user = Some("7".into());
            })
            .is_empty()
        );
    }
}
