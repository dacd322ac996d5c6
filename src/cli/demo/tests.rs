//! Tests of the demo's checks and output, without a gateway.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::call::Answer;
use super::story::{Expected, Happened, Step, faults};
use super::{ending, page, scene};

fn step(expected: Expected) -> Step {
    Step {
        sent: "what it sends".to_owned(),
        target: format!("{}/7?v=4.0", scene::collection("12345678")),
        with_token: true,
        if_match: Some(41),
        expected,
    }
}

fn refused(status: u16, code: &'static str) -> Happened {
    let mut headers = HeaderMap::new();
    headers.insert("lychgate-refusal", HeaderValue::from_static(code));
    Happened {
        answer: Ok(Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::from_static(br#"{"detail":"Add v=4.0."}"#),
        }),
        entry: None,
        upstream_saw: 0,
    }
}

const MISSING: Expected = Expected {
    status: 401,
    code: Some("token-missing"),
    entry: None,
};

fn text(print: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    print(&mut out).unwrap();
    let text = anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string();
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    text
}

#[test]
fn an_expected_result_has_no_faults() {
    assert!(faults(&step(MISSING), &refused(401, "token-missing")).is_empty());
}

#[test]
fn each_unexpected_result_is_reported() {
    for (happened, words) in [
        (refused(403, "token-missing"), "the status should be 401"),
        (
            refused(401, "token-expired"),
            "the refusal should be token-missing",
        ),
    ] {
        assert_eq!(faults(&step(MISSING), &happened), [words]);
    }
    let mut reached = refused(401, "token-missing");
    reached.upstream_saw = 1;
    assert_eq!(
        faults(&step(MISSING), &reached),
        ["upstream saw 1 requests"]
    );
    reached.answer = Err("it hung up".to_owned());
    assert_eq!(faults(&step(MISSING), &reached), ["no answer: it hung up"]);
}

#[test]
fn a_row_shows_what_was_sent_its_answer_and_its_entries() {
    let (step, happened) = (step(MISSING), refused(401, "token-missing"));
    let row = text(|out| page::row(out, 1, &step, &happened));
    let (sent, answer) = ("1 what it sends", "401 token-missing");
    assert_eq!(row, format!("{sent:<42} {answer:<22} none\n"));
}

#[test]
fn a_long_row_is_cut_to_the_width() {
    let mut step = step(MISSING);
    step.sent = "word ".repeat(40);
    let mut happened = refused(401, "token-missing");
    happened.answer = Err("word ".repeat(40));
    text(|out| page::row(out, 1, &step, &happened));
}

#[test]
fn a_step_shows_its_call_answer_and_entries() {
    let (step, happened) = (step(MISSING), refused(401, "token-missing"));
    let text = text(|out| page::step(out, 1, &step, &happened));
    assert_eq!(
        text,
        r#"1 what it sends
  curl -i -X DELETE -H "$TOKEN" -H 'If-Match: 41' "$USERS/7?v=4.0"
    401 token-missing
    Add v=4.0.
    entries: none
"#
    );
}

#[test]
fn an_act_shows_its_answer_and_fault_and_its_commands_on_demand() {
    let act = ending::Act {
        title: "a title",
        commands: vec!["one".to_owned(), "two \\\n    more".to_owned()],
        answer: "word ".repeat(40).trim_end().to_owned(),
        is_yes: false,
        fault: Some("x".to_owned()),
    };
    let short = text(|out| page::act(out, 7, &act, false));
    assert!(short.starts_with("7 a title\n    word "), "{short}");
    assert!(short.ends_with("\n    UNEXPECTED: x\n"), "{short}");
    assert_eq!(short.matches("word").count(), 40);
    let long = text(|out| page::act(out, 7, &act, true));
    let commands = "7 a title\n  one\n  two \\\n    more\n";
    assert_eq!(long, short.replace("7 a title\n", commands));
}

#[test]
fn a_path_is_one_word_of_a_shell_command() {
    for (path, word) in [
        ("/tmp/lychgate-demo-1/env", "/tmp/lychgate-demo-1/env"),
        ("/a b/$c", "'/a b/$c'"),
        ("/it's", r"'/it'\''s'"),
    ] {
        assert_eq!(scene::quoted(std::path::Path::new(path)), word);
    }
}
