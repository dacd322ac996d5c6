//! `docs/trail.md` explains every field that a command prints, and no other.

use std::collections::{BTreeMap, BTreeSet};

use super::super::report::{ReceiptReport, Report};
use super::*;
use crate::audit::entry::{
    Actor, Caller, CallerCount, ConfigInForce, Cut, Cuts, Ending, Entry, Found, Intent,
    LossAccepted, Outcome, Reason, Reconciled, Refused, Sent, Started, Trouble, TurnedAway,
    UserFound, Verdict,
};
use crate::audit::journal::Place;
use crate::audit::read::Trouble as Kinds;
use crate::audit::read::prove::{Evidence, MissingPart};
use crate::audit::read::query::{Decision, Deletion, Progress, ReadBack};
use crate::audit::read::verify::{Failure, Others, Summary};

/// The first cells of the table with this title, each name with the row's other cells.
fn table(title: &str) -> BTreeMap<String, Vec<String>> {
    let page = include_str!("../../../../docs/trail.md");
    let head = format!("| {title} |");
    let rows = page.lines().skip_while(|line| !line.starts_with(&head));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let mut table = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        for name in cells[0].split(", ") {
            let rest = cells[1..].iter().map(ToString::to_string).collect();
            let name = name.trim_matches('`').to_owned();
            assert_eq!(table.insert(name.clone(), rest), None, "{name} twice");
        }
    }
    assert!(!table.is_empty(), "no table {title}");
    table
}

fn names(title: &str) -> BTreeSet<String> {
    table(title).into_keys().collect()
}

/// The paths to the values in an object. Does not look into the values of `whole`.
fn paths(value: &Value, whole: &[&str]) -> BTreeSet<String> {
    fn walk(value: &Value, path: &str, whole: &[&str], found: &mut BTreeSet<String>) {
        let inner: Vec<(String, &Value)> = match value {
            _ if whole.contains(&path) => Vec::new(),
            Value::Object(fields) => {
                let below = |name: &String| format!("{path}.{name}").trim_matches('.').to_owned();
                let fields = fields.iter();
                fields.map(|(name, value)| (below(name), value)).collect()
            }
            Value::Array(items) => {
                let objects = items.iter().filter(|item| item.is_object());
                objects.map(|item| (path.to_owned(), item)).collect()
            }
            _ => Vec::new(),
        };
        if inner.is_empty() {
            found.insert(path.to_owned());
        }
        for (path, value) in inner {
            walk(value, &path, whole, found);
        }
    }
    let mut found = BTreeSet::new();
    walk(value, "", whole, &mut found);
    found
}

fn paths_of(value: &impl serde::Serialize, whole: &[&str]) -> BTreeSet<String> {
    paths(&serde_json::to_value(value).unwrap(), whole)
}

fn text() -> String {
    "a text".into()
}

fn caller() -> Caller {
    Caller {
        issuer: text(),
        subject: text(),
        client: Some(text()),
    }
}

fn cut() -> Cuts {
    let whole = Cut {
        bytes: 300,
        sha256: text(),
    };
    Cuts::from([("caller.subject".to_owned(), whole)])
}

/// A deletion with every field; a new field does not compile without a value here.
fn deletion() -> Deletion {
    Deletion {
        index: 1,
        time: text(),
        request_id: text(),
        operation: text(),
        account: text(),
        users: vec![text()],
        caller: caller(),
        token_id: text(),
        if_match: Some(text()),
        decision: Decision::Forwarded,
        code: Some(text()),
        outcome: Progress::Open,
        reason: Some(Reason::Timeout),
        sent: Some(Sent::Yes),
        status: Some(200),
        revision: Some(text()),
        domain: Some(text()),
        attempts: 1,
        client_ip: text(),
        config: text(),
        closing_index: Some(2),
        group: Some(text()),
        rule: Some(text()),
        reconciled: Some(ReadBack {
            result: Found::Deleted,
            index: 3,
            actor: Actor { uid: 0 },
        }),
    }
}

/// An entry of every kind with every field.
fn kinds() -> Vec<Kind> {
    let intent = Intent {
        request_id: text(),
        operation: text(),
        account: text(),
        users: vec![text()],
        caller: caller(),
        token_id: text(),
        if_match: Some(text()),
        domain: text(),
        client_ip: text(),
        config: text(),
        rule: Some(text()),
        group: Some(text()),
        part: Some(1),
        parts: Some(2),
        cut: cut(),
    };
    let refused = Refused {
        request_id: text(),
        operation: text(),
        account: text(),
        users: vec![text()],
        user_count: 1,
        body_sha256: Some(text()),
        caller: caller(),
        token_id: text(),
        if_match: Some(text()),
        domain: Some(text()),
        client_ip: text(),
        config: text(),
        code: text(),
        rule: Some(text()),
        cut: cut(),
    };
    let outcome = Outcome {
        intent: 1,
        leaves: vec![text()],
        request_id: text(),
        ending: Ending {
            outcome: Verdict::Unknown,
            reason: Some(Reason::Timeout),
            sent: Sent::Unknown,
            status: Some(200),
            revision: Some(text()),
            attempts: 1,
        },
        cut: cut(),
    };
    [
        Kind::Intent(intent),
        Kind::Outcome(outcome),
        Kind::Refused(refused),
    ]
    .into_iter()
    .chain(kinds_without_a_deletion())
    .collect()
}

fn kinds_without_a_deletion() -> [Kind; 8] {
    let user = UserFound {
        user: text(),
        result: Found::Deleted,
        status: Some(404),
        revision: Some(text()),
    };
    let counts = || BTreeMap::from([("token-expired".to_owned(), 1)]);
    [
        Kind::Reconciled(Reconciled {
            intent: 1,
            request_id: text(),
            result: Found::Deleted,
            status: Some(404),
            revision: Some(text()),
            host: text(),
            users: vec![user],
            actor: Actor { uid: 0 },
            reason: text(),
            part: Some(1),
            parts: Some(2),
            cut: cut(),
        }),
        Kind::TurnedAway(TurnedAway {
            since: text(),
            unknown_callers: counts(),
            known_callers: counts(),
            callers: vec![CallerCount {
                caller: caller(),
                count: 1,
            }],
        }),
        Kind::Started(Started {
            version: text(),
            recovered: 0,
        }),
        Kind::Stopped {},
        Kind::Config(ConfigInForce {
            config: text(),
            contracts: BTreeMap::from([(text(), text())]),
        }),
        Kind::Trouble(Trouble {
            cause: text(),
            state: text(),
            since: text(),
            refused: 0,
            detail: text(),
        }),
        Kind::Alive {},
        Kind::LossAccepted(LossAccepted {
            accepted: text(),
            reason: text(),
            actor: Actor { uid: 0 },
            old_origin: Some(text()),
            old_checkpoint: Some(text()),
            left_in: text(),
        }),
    ]
}

/// A new kind of entry does not compile without a number here, and then needs an entry in `kinds`.
fn number(kind: &Kind) -> usize {
    match kind {
        Kind::Intent(_) => 0,
        Kind::Outcome(_) => 1,
        Kind::Refused(_) => 2,
        Kind::Reconciled(_) => 3,
        Kind::TurnedAway(_) => 4,
        Kind::Started(_) => 5,
        Kind::Stopped {} => 6,
        Kind::Config(_) => 7,
        Kind::Trouble(_) => 8,
        Kind::Alive {} => 9,
        Kind::LossAccepted(_) => 10,
    }
}

fn report() -> Report {
    Report {
        origin: Some(text()),
        verifier: Some(text()),
        trusts_folder: true,
        tags_checked: true,
        is_offline: true,
        against: Some(1),
        summary: Some(Summary {
            other_files: Others {
                count: 1,
                first: vec![text()],
            },
            ..Summary::default()
        }),
        failure: Some(Failure {
            trouble: Kinds::Damaged,
            index: Some(1),
            place: Some(Place {
                segment: 1,
                offset: 0,
            }),
            file: Some(text()),
            what: text(),
        }),
        receipt: Some(ReceiptReport {
            receipt: text(),
            verifier: text(),
            genuine: true,
            borne_out: Some(true),
            what: Some(text()),
        }),
        proof: Some(Evidence {
            index: 1,
            size: 2,
            leaf: [0; 32],
            entry: Some(b"{}".to_vec()),
            deletion: Some(deletion()),
            missing: Some(MissingPart::Intent),
        }),
    }
}

#[test]
fn every_field_of_a_deletion_is_explained() {
    let mut fields = paths_of(&deletion(), &[]);
    let (_, csv) = sample(|_| {}, &["export", "--format", "csv"]);
    let columns = csv.lines().next().unwrap().split(',').map(str::to_owned);
    let columns: BTreeSet<String> = columns.collect();
    assert!(columns.is_superset(&fields), "{columns:?}");
    fields.extend(columns);
    assert_eq!(fields, names("field of a deletion"));
}

#[test]
fn every_field_of_an_entry_is_explained() {
    let kinds = kinds();
    let numbers: BTreeSet<usize> = kinds.iter().map(number).collect();
    assert_eq!(numbers, (0..kinds.len()).collect());
    let rows = table("field of an entry");
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for kind in kinds {
        let entry = serde_json::to_value(Entry { time: text(), kind }).unwrap();
        let kind = format!("`{}`", entry["kind"].as_str().unwrap());
        let whole = ["cut", "contracts", "known_callers", "unknown_callers"];
        for path in paths(&entry, &whole) {
            found.entry(path).or_default().insert(kind.clone());
        }
    }
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        rows.keys().collect::<Vec<_>>()
    );
    for (path, kinds) in found {
        let said: BTreeSet<String> = rows[&path][0].split(' ').map(str::to_owned).collect();
        assert!(
            said == kinds || rows[&path][0] == "every entry",
            "{path}: {kinds:?}"
        );
    }
}

#[test]
fn every_field_of_show_and_verify_is_explained() {
    let (_, shown) = sample(|_| {}, &["show", "1", "--json"]);
    let shown = paths(&objects(&shown)[0], &["entry"]);
    assert_eq!(shown, names("field of `show`"));
    let whole = ["proof.entry", "proof.deletion"];
    assert_eq!(paths_of(&report(), &whole), names("field of `verify`"));
}

#[test]
fn every_attribute_of_an_ocsf_event_is_explained() {
    let (_, text) = sample(|_| {}, &["export", "--format", "ocsf"]);
    let events = objects(&text);
    let found = events.iter().flat_map(|event| paths(event, &["unmapped"]));
    let found: BTreeSet<String> = found.collect();
    assert_eq!(found, names("attribute of an OCSF event"));
}

#[test]
fn every_column_is_explained() {
    let known = names("column");
    for line in [&["list"][..], &["tail"], &["unresolved"]] {
        let (_, text) = sample(|_| {}, line);
        let head = text.lines().next().unwrap_or_default();
        for column in head.split_whitespace() {
            assert!(known.contains(column), "{line:?}: {column}");
        }
    }
}

#[test]
fn every_line_for_people_is_explained() {
    let known = names("line");
    let folder = test_folder("cli");
    write(folder.path(), &sound());
    for index in ["0", "1", "4", "6"] {
        let (_, text) = audit(folder.path(), &["show", index]);
        let head = text.split("entry ").next().unwrap();
        assert_known(head, &known);
    }
    for is_offline in [true, false] {
        for missing in [None, Some(MissingPart::Closing), Some(MissingPart::Intent)] {
            let mut report = report();
            report.failure = None;
            report.is_offline = is_offline;
            let proof = report.proof.as_mut().unwrap();
            proof.missing = missing;
            if missing == Some(MissingPart::Intent) {
                proof.deletion = None;
            }
            let mut out = Vec::new();
            report.print(&mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            let text = anstream::adapter::strip_str(&text).to_string();
            let (lines, _) = text.split_once("\nthe ").unwrap();
            assert_known(lines, &known);
        }
    }
}

/// Asserts that each line that begins with a name begins with one of these.
fn assert_known(text: &str, known: &BTreeSet<String>) {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with(' ') && !line.is_empty());
    for line in lines {
        let name = line.split("  ").next().unwrap_or_default();
        let is_known = known
            .iter()
            .any(|known| name == known || line.starts_with(&format!("{known} ")));
        assert!(is_known, "{line}\n{text}");
    }
}
