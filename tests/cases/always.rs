//! Checks for every case, so that no case has to repeat them.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::judge::{Played, parts};
use crate::support::gateway::ORIGIN;
use crate::support::refusals;
use crate::support::wire::{Answer, find};

/// All faults. `verifier` is the public line of the trail's key; `keeps_token` permits the caller's
/// token upstream.
pub(super) fn complaints(played: &Played, verifier: &str, keeps_token: bool) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(answer) = &played.answer {
        if let Some(code) = answer.header("lychgate-refusal") {
            refusal(answer, code, &mut faults);
            faults.extend(refusals::faults(&answer.json(), None));
        }
        receipt(answer, played.entry.as_ref(), verifier, &mut faults);
    }
    for bytes in &played.seen {
        forwarded(bytes, played, &mut faults);
    }
    secrets(played, keeps_token, &mut faults);
    faults
}

/// The problem of RFC 9457 with the members that docs/refusals.md promises, and the challenge of
/// RFC 6750.
fn refusal(answer: &Answer, code: &str, faults: &mut Vec<String>) {
    let mut must = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("refusal: {what}"));
        }
    };
    let problem = answer.json();
    let text = |name: &str| problem[name].as_str().unwrap_or_default();
    must(
        answer.header("content-type") == Some("application/problem+json"),
        "is no application/problem+json",
    );
    must(
        problem["status"] == answer.status,
        "`status` is not the answer's",
    );
    must(text("code") == code, "`code` is not the header's");
    for name in ["type", "title", "detail", "instance"] {
        must(!text(name).is_empty(), &format!("`{name}` is missing"));
    }
    must(
        text("message") == text("detail"),
        "`message` is not `detail`",
    );
    must(
        Some(text("request_id")) == answer.header("x-request-id"),
        "`request_id` is not the header's",
    );
    must(
        matches!(text("sent"), "no" | "yes" | "unknown"),
        "`sent` is missing",
    );
    must(
        problem.get("upstream_status").is_some_and(Value::is_number) == (text("sent") == "yes"),
        "`upstream_status` goes with `sent: yes` alone",
    );
    must(
        problem.get("cause").is_some_and(Value::is_string) == (code == "audit-unavailable"),
        "`cause` goes with audit-unavailable alone",
    );
    let seconds = answer
        .header("retry-after")
        .map(|value| value.parse::<u32>().is_ok());
    let waits = matches!(answer.status, 429 | 503);
    must(
        seconds == waits.then_some(true),
        "retry-after goes with 429 and 503, in seconds",
    );
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    let asks = |error: &str| challenge.starts_with("Bearer") && challenge.contains(error);
    match (answer.status, code) {
        (401, "token-missing") => {
            must(
                asks("") && !challenge.contains("error"),
                "wrong challenge, no error is due",
            );
        }
        (401, _) => must(
            asks("error=\"invalid_token\""),
            "no challenge with invalid_token",
        ),
        (_, "scope-missing") => {
            let due = asks("error=\"insufficient_scope\"") && asks("scope=\"");
            must(due, "no challenge with insufficient_scope and the scope");
        }
        _ => {}
    }
    must(
        (answer.status == 405) == answer.header("allow").is_some(),
        "Allow goes with 405",
    );
}

/// Exactly the answer to a deletion that was sent has a receipt. The receipt is genuine and names
/// the intent in the trail.
fn receipt(answer: &Answer, entry: Option<&Value>, verifier: &str, faults: &mut Vec<String>) {
    let names = [
        "lychgate-receipt",
        "lychgate-receipt-leaf",
        "lychgate-receipt-signature",
    ];
    let values = names.map(|name| answer.header(name));
    let due = entry.is_some_and(|one| one["decision"] == "forwarded" && one["sent"] != "no");
    let [Some(receipt), Some(leaf), Some(signature)] = values else {
        if due || values.iter().any(Option::is_some) {
            faults.push(format!("receipt: headers are missing: {values:?}"));
        }
        return;
    };
    if !due {
        faults.push("receipt: on an answer without a sent deletion".to_owned());
        return;
    }
    let index = entry
        .map(|one| one["index"].to_string())
        .unwrap_or_default();
    if receipt != format!("{ORIGIN}/{index}") {
        faults.push(format!(
            "receipt: is {receipt}, the intent's index is {index}"
        ));
    }
    if STANDARD.decode(leaf).map(|leaf| leaf.len()) != Ok(32) {
        faults.push(format!("receipt: {leaf} is no leaf hash"));
    }
    if let Err(fault) = genuine(receipt, leaf, signature, verifier) {
        faults.push(format!("receipt: {fault}"));
    }
}

/// Checks the key id and the Ed25519 signature over three lines, each with a line feed.
fn genuine(receipt: &str, leaf: &str, signature: &str, verifier: &str) -> Result<(), &'static str> {
    let mut key = verifier.splitn(3, '+').skip(1);
    let (id, key) = (
        key.next().unwrap_or_default(),
        key.next().unwrap_or_default(),
    );
    let key = STANDARD
        .decode(key)
        .map_err(|_| "the verifier key is no base64")?;
    let signature = STANDARD
        .decode(signature)
        .map_err(|_| "the signature is no base64")?;
    if signature.len() != 68 {
        return Err("the signature is not 4 + 64 bytes long");
    }
    let (named, signature) = signature.split_at(4);
    let named: String = named.iter().map(|byte| format!("{byte:02x}")).collect();
    if named != id {
        return Err("the signature names another key");
    }
    let text = format!("lychgate-receipt\n{receipt}\n{leaf}\n");
    let key = UnparsedPublicKey::new(&ED25519, &key[1..]);
    let verdict = key.verify(text.as_bytes(), signature);
    verdict.map_err(|_| "the signature does not verify")
}

/// Checks the headers that the gateway sets and removes on the way to upstream.
fn forwarded(bytes: &[u8], played: &Played, faults: &mut Vec<String>) {
    let (first, headers, _) = parts(bytes);
    let all = |wanted: &str| -> Vec<&str> {
        let same = headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        same.map(|(_, value)| value.as_str()).collect()
    };
    let mut must = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("upstream saw: {what}"));
        }
    };
    must(
        first.ends_with(" HTTP/1.1"),
        "another version than HTTP/1.1",
    );
    let upstream = played.values.named.get("upstream").map(String::as_str);
    must(
        all("host") == upstream.into_iter().collect::<Vec<_>>(),
        "a wrong host",
    );
    must(all("via") == ["1.1 lychgate"], "a wrong via");
    must(all("forwarded").len() == 1, "not one forwarded");
    must(
        all("traceparent").iter().map(|value| value.len()).eq([55]),
        "not one traceparent",
    );
    let answered = played
        .answer
        .as_ref()
        .and_then(|answer| answer.header("x-request-id"));
    if let Some(id) = answered {
        must(
            all("x-request-id") == [id],
            "another x-request-id than the caller",
        );
    }
    for (name, _) in &headers {
        let name = name.to_ascii_lowercase();
        let gone = [
            "cookie",
            "te",
            "trailer",
            "upgrade",
            "keep-alive",
            "expect",
            "x-real-ip",
        ];
        let gone = gone.contains(&name.as_str())
            || ["proxy-", "x-forwarded-"]
                .iter()
                .any(|one| name.starts_with(one));
        must(!gone, &format!("a header that stays here: {name}"));
    }
    must(
        all("content-length").len() + all("transfer-encoding").len() <= 1,
        "more than one framing",
    );
}

/// P8: the token goes neither upstream nor back to the caller.
fn secrets(played: &Played, keeps_token: bool, faults: &mut Vec<String>) {
    let answer = played
        .answer
        .as_ref()
        .map(Answer::shown)
        .unwrap_or_default();
    for secret in signatures(played) {
        if find(answer.as_bytes(), secret.as_bytes()).is_some() {
            faults.push("the caller's token is in the answer".to_owned());
        }
        let shown = |bytes: &Vec<u8>| find(bytes, secret.as_bytes()).is_some();
        if !keeps_token && played.seen.iter().any(shown) {
            faults.push("the caller's token went upstream".to_owned());
        }
    }
}

/// The secret part of each token of the case.
pub(super) fn signatures(played: &Played) -> Vec<String> {
    let tokens = played.values.named.iter();
    let tokens = tokens.filter(|(name, _)| name.starts_with("token"));
    let signatures = tokens.filter_map(|(_, token)| token.rsplit('.').next().map(str::to_owned));
    signatures
        .filter(|signature| signature.len() > 20)
        .collect()
}
