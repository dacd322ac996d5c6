//! What the contract asks of the body.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use http_body_util::BodyExt;

use crate::audit::entry::MAX_REFUSED_USERS;
use crate::contract::ids::{self, IdsFault, MAX_BODY_BYTES, MAX_IDS};
use crate::contract::{BodyRule, Effect};
use crate::layers::exchange::{BodyFault, Exchange, Named};
use crate::layers::limits::{refusal_of, too_large};
use crate::layers::route::Routed;
use crate::refusal::{Checked, Code, Refusal};
use crate::request::Body;

/// What can be said without waiting.
pub(super) enum Judged {
    /// It fits.
    Fits {
        /// Whom a deletion names.
        users: Vec<String>,
        /// What is sent.
        body: Body,
    },
    /// It must be read first.
    MustBeRead(Body),
}

/// Judges what can be judged by the head.
pub(super) fn judge(routed: &Routed, content: Body) -> Checked<Judged> {
    let operation = routed.operation();
    let users = match operation.effect {
        Effect::Delete => routed.user().map(str::to_owned).into_iter().collect(),
        _ => Vec::new(),
    };
    let body = match operation.body {
        BodyRule::Pass => content,
        BodyRule::None | BodyRule::EmptyJson if !has_content(routed) => Body::Empty,
        BodyRule::None => {
            return Refusal::new(
                Code::BodyUnexpected,
                "This operation takes no body: the path names the user.",
            )
            .refuse();
        }
        BodyRule::Ids if routed.head().headers.contains_key(CONTENT_ENCODING) => {
            return invalid("a Content-Encoding is not accepted").refuse();
        }
        BodyRule::EmptyJson | BodyRule::Ids => return Ok(Judged::MustBeRead(content)),
    };
    Ok(Judged::Fits { users, body })
}

/// Reads it and judges: whom it names, and what is sent. The request is handed through, since its
/// own body, taken out before, may not be shared between threads.
pub(super) async fn read(routed: Routed, content: Body) -> Checked<(Routed, Vec<String>, Body)> {
    let exchange = Arc::clone(routed.exchange());
    let most = match routed.operation().body {
        BodyRule::Ids => MAX_BODY_BYTES,
        _ => EMPTY_JSON_BYTES,
    };
    let collected = collect(&exchange, content, most).await;
    let (users, body) = match routed.operation().body {
        BodyRule::Ids => judge_ids(&routed, collected)?,
        _ => judge_empty_json(collected)?,
    };
    Ok((routed, users, body))
}

/// By the headers: an empty chunked stream is content as well.
fn has_content(routed: &Routed) -> bool {
    let headers = &routed.head().headers;
    headers.contains_key(TRANSFER_ENCODING)
        || headers
            .get_all(CONTENT_LENGTH)
            .iter()
            .any(|value| value.as_bytes().iter().any(|digit| *digit != b'0'))
}

/// `{}` and `[]`.
const EMPTY_JSON_BYTES: usize = 2;

fn judge_empty_json(collected: Result<Bytes, Collect>) -> Checked<(Vec<String>, Body)> {
    match collected {
        Ok(bytes) if matches!(&*bytes, b"{}" | b"[]") => Ok((Vec::new(), Body::Empty)),
        Err(Collect::Fault(fault)) => refusal_of(fault).refuse(),
        Ok(_) | Err(Collect::TooLong) => Refusal::new(
            Code::BodyUnexpected,
            "A read takes no body (or exactly {} or [], which is dropped).",
        )
        .refuse(),
    }
}

fn judge_ids(routed: &Routed, collected: Result<Bytes, Collect>) -> Checked<(Vec<String>, Body)> {
    let bytes = match collected {
        Ok(bytes) => bytes,
        Err(Collect::TooLong) => return too_large(MAX_BODY_BYTES as u64).refuse(),
        Err(Collect::Fault(fault)) => return refusal_of(fault).refuse(),
    };
    let parsed = ids::parse(&bytes);
    // Only this layer reads a body, and once.
    let _ = routed.exchange().named.set(Named {
        users: parsed.as_ref().map_or_else(
            |_| Vec::new(),
            |users| users.iter().take(MAX_REFUSED_USERS).cloned().collect(),
        ),
        user_count: parsed.as_ref().map_or(0, Vec::len),
        body_sha256: Some(sha256(&bytes)),
    });
    let users = match parsed {
        Ok(users) => users,
        Err(IdsFault::TooMany) => {
            return Refusal::new(
                Code::BodyTooLarge,
                format!("A batch names at most {MAX_IDS} users."),
            )
            .refuse();
        }
        Err(IdsFault::Invalid(why)) => return invalid(why).refuse(),
    };
    match routed.query().ids.as_slice() {
        [] => {}
        [Some(value)] if ids::query_names_the_same(value, &users) => {}
        _ => {
            return invalid("the query parameter ids does not name the same users once").refuse();
        }
    }
    Ok((users, Body::whole(bytes)))
}

fn invalid(why: &str) -> Refusal {
    Refusal::new(
        Code::BodyInvalid,
        format!("The body must be a JSON array of user ids: {why}."),
    )
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    crate::audit::hex(digest.as_ref())
}

enum Collect {
    TooLong,
    Fault(BodyFault),
}

/// Reads a body of at most `most` bytes; `limits` bounds its time.
async fn collect(exchange: &Exchange, mut content: Body, most: usize) -> Result<Bytes, Collect> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = content.frame().await {
        let Ok(frame) = frame else {
            let fault = exchange.body_fault();
            return Err(Collect::Fault(fault.unwrap_or(BodyFault::Broken)));
        };
        let Some(data) = frame.data_ref() else {
            continue;
        };
        if bytes.len() + data.len() > most {
            return Err(Collect::TooLong);
        }
        bytes.extend_from_slice(data);
    }
    Ok(bytes.freeze())
}
