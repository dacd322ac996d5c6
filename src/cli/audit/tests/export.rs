//! `audit export` on real folders.

use super::*;

fn export(line: &[&str]) -> String {
    let words: Vec<_> = ["export"].iter().chain(line).copied().collect();
    let (exit, text) = sample(|_| {}, &words);
    assert_eq!(exit, Ok(Exit::Fine), "{line:?}");
    text
}

#[test]
fn json_lines_equal_those_of_list() {
    let listed = sample(|_| {}, &["list", "--json"]).1;
    assert_eq!(export(&[]), listed);
    assert_eq!(export(&["--json"]), listed);
    assert_eq!(export(&["--format", "jsonl"]), listed);
}

#[test]
fn csv_has_a_header_and_one_record_per_deletion() {
    let text = export(&["--format", "csv"]);
    let records: Vec<_> = text.split_terminator("\r\n").collect();
    assert_eq!(records.len(), 5, "{text}");
    assert!(records[0].starts_with("index,time,request_id,"));
    assert!(records[1].starts_with("1,2026-11-24T12:00:01.000000Z,a,users.delete,"));
    assert!(records[1].ends_with(",lychgate.test/log"));
}

#[test]
fn ocsf_has_one_event_per_user_and_applies_filters() {
    let events = objects(&export(&["--format", "ocsf", "--outcome", "deleted"]));
    assert_eq!(events.len(), 1);
    assert_eq!(
        events[0]["metadata"]["original_event_uid"],
        "lychgate.test/log/1"
    );
    let all = objects(&export(&["--format", "ocsf", "--limit", "3"]));
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|event| event["type_uid"] == 300_703));
}

#[test]
fn no_text_from_outside_is_exported_raw() {
    let mut hostile = intent("a", &["1"]);
    hostile.caller.subject = "=cmd|' /C calc'!A0\u{1b}]0;owned\u{7}\u{202e}\r\nforged".into();
    hostile.if_match = Some("-1".into());
    let entries = [bytes(0, Kind::Intent(hostile))];
    for format in ["jsonl", "csv", "ocsf"] {
        let (_, text) = sample(
            |path| write(path, &entries),
            &["export", "--format", format],
        );
        let text = text.replace("\r\n", "\n");
        let raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(raw), "{format}: {text:?}");
        assert!(!text.contains("\nforged"), "{format}: {text}");
        if format == "csv" {
            assert!(
                text.contains(",\"'=cmd") && text.contains(",\"'-1\","),
                "{text}"
            );
        }
    }
}

#[test]
fn a_format_and_json_together_are_a_usage_error() {
    let line = ["audit", "export", "--json", "--format", "csv", "--dir", "x"];
    assert!(Line::try_parse_from(line).is_err());
}
