//! Tests of the demo's checks and output, without a gateway.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::call::Answer;
use super::story::{Expected, Happened, Step, faults};
use super::{ending, page, story};

fn step(expected: Expected) -> Step {
    Step {
        title: "a title",
        target: format!("{}/7?v=4.0", story::collection("12345678")),
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

fn shown(step: &Step, happened: &Happened, faults: &[String]) -> String {
    let mut out = Vec::new();
    page::step(&mut out, 1, step, happened, faults).unwrap();
    anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
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
fn a_step_shows_its_call_answer_and_entry() {
    let step = step(MISSING);
    let text = shown(&step, &refused(401, "token-missing"), &["x".to_owned()]);
    for words in [
        "1 a title",
        "$ curl -XDELETE -H \"$TOKEN\" -H 'If-Match: 41' \"$AT/12345678/…/7?v=4.0\"",
        "401 Unauthorized token-missing",
        "Add v=4.0.",
        "trail no entry",
        "UNEXPECTED: x",
    ] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
}

#[test]
fn an_act_shows_its_commands_answer_and_fault() {
    let act = ending::Act {
        title: "a title",
        commands: vec!["one".to_owned(), "two \\\n      more".to_owned()],
        answer: "word ".repeat(40).trim_end().to_owned(),
        is_yes: false,
        fault: Some("x".to_owned()),
    };
    let mut out = Vec::new();
    page::act(&mut out, 7, &act).unwrap();
    let text = anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string();
    for words in [
        "7 a title\n",
        "  $ one\n  $ two \\\n      more\n",
        "  UNEXPECTED: x\n",
    ] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    assert_eq!(text.matches("word").count(), 40);
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
}
