//! Checks the body against the contract.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::contract::BodyRule;
use crate::contract::ids::{self, IdsFault, MAX_BODY_BYTES, MAX_IDS};
use crate::contract::query::Query;
use crate::layers::limits::Bounded;
use crate::refusal::{Checked, Code, Refusal};
use crate::request::{Batch, Body, BodyFault, RequestContext};

/// The verdict from the head alone, before the gateway reads the body.
pub(super) enum Judged {
    /// The request fits the contract. Upstream gets this body.
    Fits(Body),
    /// The gateway must read the body to judge it.
    MustBeRead(Bounded),
}

/// Judges the request without reading the body.
pub(super) fn judge(
    context: &RequestContext,
    headers: &HeaderMap,
    body: Bounded,
) -> Checked<Judged> {
    match context.matched.known().operation.body {
        BodyRule::Pass => Ok(Judged::Fits(body.into_inner())),
        BodyRule::None | BodyRule::EmptyJson if body.is_empty() => Ok(Judged::Fits(Body::Empty)),
        BodyRule::None => Refusal::new(
            Code::BodyUnexpected,
            "This operation takes no body: the path names the user. Send none.",
        )
        .refuse(),
        BodyRule::Ids if headers.contains_key(CONTENT_ENCODING) => {
            invalid("a Content-Encoding is not accepted").refuse()
        }
        BodyRule::EmptyJson | BodyRule::Ids => Ok(Judged::MustBeRead(body)),
    }
}

/// Reads the body, judges it, and returns the body to send.
pub(super) async fn read(context: &RequestContext, query: &Query, body: Bounded) -> Checked<Body> {
    let rule = context.matched.known().operation.body;
    let most = match rule {
        BodyRule::Ids => MAX_BODY_BYTES,
        _ => EMPTY_JSON_BYTES,
    };
    let collected = collect(context, body.into_inner(), most).await;
    match rule {
        BodyRule::Ids => judge_ids(context, query, collected),
        _ => judge_empty_json(collected),
    }
}

/// The length of `{}` and of `[]`.
const EMPTY_JSON_BYTES: usize = 2;

fn judge_empty_json(collected: Result<Bytes, Collect>) -> Checked<Body> {
    match collected {
        Ok(bytes) if matches!(&*bytes, b"{}" | b"[]") => Ok(Body::Empty),
        Err(Collect::Fault(fault)) => Refusal::of_body(fault).refuse(),
        Ok(_) | Err(Collect::TooLong) => Refusal::new(
            Code::BodyUnexpected,
            "A read takes no body, or exactly {} or []. Send none.",
        )
        .refuse(),
    }
}

fn judge_ids(
    context: &RequestContext,
    query: &Query,
    collected: Result<Bytes, Collect>,
) -> Checked<Body> {
    let bytes = match collected {
        Ok(bytes) => bytes,
        Err(Collect::TooLong) => return Refusal::body_too_large(MAX_BODY_BYTES as u64).refuse(),
        Err(Collect::Fault(fault)) => return Refusal::of_body(fault).refuse(),
    };
    let (users, fault) = match ids::parse(&bytes) {
        Ok(users) => (users, None),
        Err(fault) => (Vec::new(), Some(fault)),
    };
    context.batch.learn(Batch {
        users,
        body_sha256: sha256(&bytes),
    });
    match fault {
        None => {}
        Some(IdsFault::TooMany) => {
            return Refusal::new(
                Code::BodyTooLarge,
                format!("The batch names more than {MAX_IDS} users. Send it in parts."),
            )
            .refuse();
        }
        Some(IdsFault::Invalid(why)) => return invalid(why).refuse(),
    }
    match query.ids.as_slice() {
        [] => {}
        [Some(value)] if ids::query_names_the_same(value, context.users()) => {}
        _ => {
            return invalid("the query parameter ids does not name the same users once").refuse();
        }
    }
    Ok(Body::whole(bytes))
}

fn invalid(why: &str) -> Refusal {
    Refusal::new(
        Code::BodyInvalid,
        format!("The body must be a JSON array of user ids: {why}."),
    )
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    crate::audit::log::hex(digest.as_ref())
}

enum Collect {
    TooLong,
    Fault(BodyFault),
}

/// Reads a body of at most `most` bytes. The layer `limits` limits the time that the body may take.
///
/// The function does not poll a body whose declared length is too long, so the caller gets no `100 Continue`.
async fn collect(context: &RequestContext, body: Body, most: usize) -> Result<Bytes, Collect> {
    if body.size_hint().lower() > most as u64 {
        return Err(Collect::TooLong);
    }
    match Limited::new(body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Collect::TooLong),
        Err(_) => {
            let fault = context.body_fault.get().copied();
            Err(Collect::Fault(fault.unwrap_or(BodyFault::Broken)))
        }
    }
}
