//! The demo's six calls: each with its expected and its actual result.

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;

use super::call::{Answer, send};
use super::scene::{ACCOUNT, OTHER_ACCOUNT, Scene, collection};
use crate::audit::entry::Verdict;
use crate::audit::read::query::{Decision, Deletion, Progress};
use crate::simulator::users::FIRST_ID;

pub(super) const STEPS: usize = 6;

#[derive(Clone, Debug)]
pub(super) struct Step {
    /// What the call sends, in words.
    pub(super) sent: String,
    /// The path and the query.
    pub(super) target: String,
    /// Whether the call carries the token.
    pub(super) with_token: bool,
    /// The value of `If-Match`, if sent.
    pub(super) if_match: Option<u64>,
    pub(super) expected: Expected,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) status: u16,
    /// The refusal's code, if the gateway refuses.
    pub(super) code: Option<&'static str>,
    /// What the trail must record: the decision and the progress. `None` if the trail must record
    /// nothing.
    pub(super) entry: Option<(Decision, Progress)>,
}

#[derive(Debug)]
pub(super) struct Happened {
    /// The answer, or why there is none.
    pub(super) answer: Result<Answer, String>,
    /// The call's trail entries, joined into one deletion.
    pub(super) entry: Option<Deletion>,
    /// How many requests reached upstream during the call.
    pub(super) upstream_saw: u64,
}

impl Expected {
    const fn sent(status: u16, verdict: Verdict) -> Self {
        Self {
            status,
            code: None,
            entry: Some((Decision::Forwarded, Progress::Closed(verdict))),
        }
    }

    const fn refused(status: u16, code: &'static str) -> Self {
        Self {
            status,
            code: Some(code),
            entry: Some((Decision::Refused, Progress::Refused)),
        }
    }
}

/// Builds the calls, in order. The caller must build them before it makes the first call, because they
/// contain the account's revision at that time.
pub(super) fn steps(scene: &Scene) -> [Step; STEPS] {
    let revision = scene.revision();
    let good = Step {
        sent: format!("DELETE user {FIRST_ID}"),
        target: target(ACCOUNT, "?v=4.0"),
        with_token: true,
        if_match: Some(revision),
        expected: Expected::sent(200, Verdict::Deleted),
    };
    let no_token = Step {
        sent: "the same without a token".to_owned(),
        with_token: false,
        expected: Expected {
            entry: None,
            ..Expected::refused(401, "token-missing")
        },
        ..good.clone()
    };
    let no_version = Step {
        sent: "the same without v=4.0".to_owned(),
        target: target(ACCOUNT, ""),
        expected: Expected::refused(400, "version-missing"),
        ..good
    };
    let no_revision = Step {
        sent: "the same without If-Match".to_owned(),
        if_match: None,
        expected: Expected::refused(428, "if-match-missing"),
        ..good.clone()
    };
    let another_account = Step {
        sent: "the same for an account not in the token".to_owned(),
        target: target(OTHER_ACCOUNT, "?v=4.0"),
        expected: Expected::refused(403, "account-forbidden"),
        ..good
    };
    let already_gone = Step {
        sent: "the same again: the user is gone".to_owned(),
        if_match: Some(revision + 1),
        expected: Expected::sent(404, Verdict::NotFound),
        ..good.clone()
    };
    [
        good,
        no_token,
        no_version,
        no_revision,
        another_account,
        already_gone,
    ]
}

fn target(account: &str, query: &str) -> String {
    format!("{}/{FIRST_ID}{query}", collection(account))
}

/// Sends the call to the gateway, then looks up its trail entry.
pub(super) async fn play(scene: &Scene, step: &Step) -> Happened {
    let before = scene.simulator.users.seen_count();
    let answer = match request(scene, step) {
        Ok(request) => send(scene.gateway.address(), request).await,
        Err(error) => Err(error.to_string()),
    };
    let id = answer
        .as_ref()
        .ok()
        .and_then(|answer| answer.header("x-request-id"));
    let entry = match id {
        Some(id) if step.expected.entry.is_some() => scene.deletion(id).await,
        _ => None,
    };
    Happened {
        entry,
        upstream_saw: scene.simulator.users.seen_count() - before,
        answer,
    }
}

fn request(scene: &Scene, step: &Step) -> http::Result<Request<Empty<Bytes>>> {
    let mut request =
        Request::delete(&step.target).header("host", scene.gateway.address().to_string());
    if step.with_token {
        request = request.header("authorization", format!("Bearer {}", scene.token));
    }
    if let Some(revision) = step.if_match {
        request = request.header("if-match", revision);
    }
    request.body(Empty::new())
}

/// All differences from the expected result.
pub(super) fn faults(step: &Step, happened: &Happened) -> Vec<String> {
    let mut faults = Vec::new();
    let wanted = step.expected;
    let answer = match &happened.answer {
        Ok(answer) => answer,
        Err(error) => return vec![format!("no answer: {error}")],
    };
    if answer.status.as_u16() != wanted.status {
        faults.push(format!("the status should be {}", wanted.status));
    }
    if answer.header("lychgate-refusal") != wanted.code {
        let code = wanted.code.unwrap_or("none");
        faults.push(format!("the refusal should be {code}"));
    }
    let entry = happened
        .entry
        .as_ref()
        .map(|one| (one.decision, one.outcome));
    if entry != wanted.entry {
        faults.push(format!("the trail should hold {:?}", wanted.entry));
    }
    let sent = matches!(wanted.entry, Some((Decision::Forwarded, _)));
    if happened.upstream_saw != u64::from(sent) {
        faults.push(format!("upstream saw {} requests", happened.upstream_saw));
    }
    if answer.headers.contains_key("lychgate-receipt") != sent {
        faults.push("only a deletion that was sent gets a receipt".to_owned());
    }
    faults
}
