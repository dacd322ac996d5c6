//! Compares the events with the expectations of a case. Each complaint gives the actual and the
//! expected value.

use serde_json::Value;

use super::fill::{Values, fill};
use super::format::{Case, Check, Expected, Wanted, status};
use crate::support::wire::{Answer, find, unchunk};

/// The events of one case.
#[derive(Debug)]
pub(super) struct Played {
    /// The answer to the caller; `None` if the connection ended without one.
    pub(super) answer: Option<Answer>,
    /// The exact bytes of each request at upstream.
    pub(super) seen: Vec<Vec<u8>>,
    /// The values of its placeholders.
    pub(super) values: Values,
    /// Its joined trail entry.
    pub(super) entry: Option<Value>,
}

/// All differences from the expectations of the case.
pub(super) fn complaints(case: &Case, played: &Played) -> Vec<String> {
    let mut complaints = Vec::new();
    judge_answer(case, played, &mut complaints);
    judge_upstream(case, played, &mut complaints);
    judge_trail(case, played, &mut complaints);
    complaints
}

fn judge_answer(case: &Case, played: &Played, complaints: &mut Vec<String>) {
    let first = case.answer.first.as_str();
    let Some(answer) = &played.answer else {
        if first != "closed" {
            complaints.push(format!("answer: the connection closed, should be {first}"));
        }
        return;
    };
    let code = match first.split_once(' ') {
        None | Some((_, "cut")) => None,
        Some((_, code)) => Some(code),
    };
    if Some(answer.status) != status(first) || answer.header("lychgate-refusal") != code {
        let code = answer.header("lychgate-refusal").unwrap_or_default();
        let is = format!("{} {code}", answer.status);
        complaints.push(format!("answer: is {}, should be {first}", is.trim_end()));
        return;
    }
    if answer.cut != first.ends_with(" cut") {
        complaints.push(format!("answer: body cut short: {}", answer.cut));
    }
    if answer.all("x-request-id").len() != 1 {
        complaints.push("answer: x-request-id does not appear exactly once".to_owned());
    }
    let problem = answer.json();
    for check in &case.answer.checks {
        let (found, what) = match check.name.strip_prefix('.') {
            Some(member) => (problem.get(member).map(plain), "problem member"),
            None => (joined(&answer.all(&check.name)), "header"),
        };
        judge_value(
            &format!("answer: {what}"),
            check,
            found.as_deref(),
            played,
            complaints,
        );
    }
    let sent = code.is_some() && !case.answer.checks.iter().any(|check| check.name == ".sent");
    if sent && problem["sent"] != "no" {
        complaints.push(format!(
            "answer: .sent is {}, should be \"no\"",
            problem["sent"]
        ));
    }
    judge_body("answer", &case.answer, &answer.body, played, complaints);
}

fn judge_upstream(case: &Case, played: &Played, complaints: &mut Vec<String>) {
    let wanted = usize::from(case.saw.is_some());
    if played.seen.len() != wanted {
        let count = played.seen.len();
        complaints.push(format!("upstream saw {count} requests, should be {wanted}"));
    }
    let (Some(expected), Some(bytes)) = (&case.saw, played.seen.first()) else {
        return;
    };
    let (first, headers, body) = parts(bytes);
    match fill(&expected.first, &played.values) {
        Ok(line) if line == first.as_bytes() => {}
        Ok(line) => {
            let line = String::from_utf8_lossy(&line).into_owned();
            complaints.push(format!("upstream saw: `{first}`, should be `{line}`"));
        }
        Err(fault) => complaints.push(fault),
    }
    for check in &expected.checks {
        let same = |(name, _): &&(String, String)| name.eq_ignore_ascii_case(&check.name);
        let values: Vec<&str> = headers
            .iter()
            .filter(same)
            .map(|(_, v)| v.as_str())
            .collect();
        let found = joined(&values);
        judge_value(
            "upstream saw: header",
            check,
            found.as_deref(),
            played,
            complaints,
        );
    }
    judge_body("upstream saw", expected, &body, played, complaints);
}

fn judge_trail(case: &Case, played: &Played, complaints: &mut Vec<String>) {
    match (&case.trail, &played.entry) {
        (None, None) => {}
        (None, Some(_)) => complaints.push("trail: there is an entry, should be none".to_owned()),
        (Some(_), None) => complaints.push("trail: there is no entry".to_owned()),
        (Some(checks), Some(entry)) => {
            for check in checks {
                let pointer = format!("/{}", check.name.replace('.', "/"));
                let Some(found) = entry.pointer(&pointer) else {
                    let name = &check.name;
                    complaints.push(format!("trail: there is no field `{name}`"));
                    continue;
                };
                let found = (!found.is_null()).then(|| plain(found));
                judge_value("trail: field", check, found.as_deref(), played, complaints);
            }
        }
    }
}

/// The first line, the headers, and the unchunked body of a request.
pub(super) fn parts(bytes: &[u8]) -> (String, Vec<(String, String)>, Vec<u8>) {
    let end = find(bytes, b"\r\n\r\n").unwrap_or(bytes.len());
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let body = bytes.get(end + 4..).unwrap_or_default();
    let mut lines = head.split("\r\n").map(str::to_owned);
    let first = lines.next().unwrap_or_default();
    let headers: Vec<_> = lines
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.trim().to_owned()))
        })
        .collect();
    let chunked = |(name, _): &(String, String)| name.eq_ignore_ascii_case("transfer-encoding");
    let body = match headers.iter().any(chunked) {
        true => unchunk(body).unwrap_or_else(|| body.to_vec()),
        false => body.to_vec(),
    };
    (first, headers, body)
}

fn judge_value(
    place: &str,
    check: &Check,
    found: Option<&str>,
    played: &Played,
    complaints: &mut Vec<String>,
) {
    let wanted = |text: &str| {
        let bytes = fill(text, &played.values).unwrap_or_else(|fault| fault.into_bytes());
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let fits = match (&check.wanted, found) {
        (Wanted::Absent, found) => found.is_none(),
        (Wanted::Present, found) => found.is_some(),
        (Wanted::Holding(part), Some(found)) => found.contains(&wanted(part)),
        (Wanted::Exactly(text), Some(found)) => found == wanted(text),
        (Wanted::Exactly(text), None) => text == "null",
        (Wanted::Holding(_), None) => false,
    };
    if !fits {
        let asked = match &check.wanted {
            Wanted::Absent => "not be there".to_owned(),
            Wanted::Present => "be there".to_owned(),
            Wanted::Holding(part) => format!("hold `{}`", wanted(part)),
            Wanted::Exactly(text) => format!("be `{}`", wanted(text)),
        };
        let found = found.map_or("is not there".to_owned(), |found| format!("is `{found}`"));
        complaints.push(format!("{place} `{}` {found}, should {asked}", check.name));
    }
}

fn judge_body(
    place: &str,
    expected: &Expected,
    found: &[u8],
    played: &Played,
    complaints: &mut Vec<String>,
) {
    let Some(body) = &expected.body else { return };
    let wanted = match fill(body, &played.values) {
        Ok(wanted) => wanted,
        Err(fault) => return complaints.push(fault),
    };
    if wanted != found {
        let shown = |bytes: &[u8]| {
            bytes
                .escape_ascii()
                .to_string()
                .chars()
                .take(400)
                .collect::<String>()
        };
        let (found, wanted) = (shown(found), shown(&wanted));
        complaints.push(format!(
            "{place}: body is\n        {found}\n    should be\n        {wanted}"
        ));
    }
}

/// All values of a header, as one text; `None` for none.
fn joined(values: &[&str]) -> Option<String> {
    (!values.is_empty()).then(|| values.join(" | "))
}

/// A JSON value in the notation of a case: a string without its quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
