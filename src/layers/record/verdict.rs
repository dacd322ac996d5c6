//! Turns upstream's answer, or its absence, into an outcome for the trail and a reply for the caller.

use http::{Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::audit::entry::{Ending, Reason, Sent, Verdict};
use crate::forward::{Failure, FailureKind, Report};
use crate::refusal::{Checked, Code, Refusal};
use crate::request::{Body, BodyFault, RequestContext, header_text};

/// The maximum length of an answer to a deletion. The gateway reads the whole answer before the caller gets
/// it.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

const TOO_LONG: &str =
    "Upstream answered with the status in upstream_status. Its body is longer than 1 MiB.";
const CUT_SHORT: &str =
    "Upstream answered with the status in upstream_status. Its body was cut short.";

/// The reply to a read or a write: upstream's answer, or a refusal if there is no usable answer.
pub(super) fn pass(report: Report, context: &RequestContext) -> Checked<Response<Body>> {
    report.reply.or_else(|failure| {
        let fault = context.body_fault.get().copied();
        refusal(&failure, fault).refuse()
    })
}

/// The outcome of a deletion, and the reply that the caller gets after the outcome is on record.
pub(super) async fn of_deletion(
    reply: Result<Response<Body>, Failure>,
    attempts: u32,
) -> (Ending, Checked<Response<Body>>) {
    match reply {
        Ok(response) => answered(response, attempts).await,
        Err(failure) => {
            let ending = unanswered(&failure, attempts);
            (ending, refusal(&failure, None).refuse())
        }
    }
}

async fn answered(response: Response<Body>, attempts: u32) -> (Ending, Checked<Response<Body>>) {
    let (head, body) = response.into_parts();
    let revision = head.headers.get("ac-revision");
    let ending = Ending {
        outcome: by_status(head.status),
        reason: None,
        sent: Sent::Yes,
        status: Some(head.status.as_u16()),
        revision: revision.map(header_text),
        attempts,
    };
    let reply = match read_whole(body).await {
        Ok(body) => Ok(Response::from_parts(head, body)),
        Err(mut refusal) => {
            refusal.upstream_status = Some(head.status.as_u16());
            Err(refusal)
        }
    };
    (ending, reply)
}

fn by_status(status: StatusCode) -> Verdict {
    match status.as_u16() {
        200..=299 => Verdict::Deleted,
        404 => Verdict::NotFound,
        300..=499 => Verdict::Rejected,
        _ => Verdict::Failed,
    }
}

async fn read_whole(body: Body) -> Checked<Body> {
    let (detail, error) = match Limited::new(body, MAX_ANSWER_BYTES).collect().await {
        Ok(collected) => return Ok(Body::whole(collected.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => (TOO_LONG, error),
        Err(error) => (CUT_SHORT, error),
    };
    Refusal::new(Code::UpstreamProtocol, detail)
        .with_operator_detail(error.to_string())
        .with_sent(Sent::Yes)
        .refuse()
}

fn unanswered(failure: &Failure, attempts: u32) -> Ending {
    let reason = match failure.kind {
        FailureKind::Timeout => Reason::Timeout,
        FailureKind::Protocol => Reason::Protocol,
        FailureKind::Unreachable
        | FailureKind::Saturated
        | FailureKind::ConnectionLost
        | FailureKind::RequestBody => Reason::ConnectionLost,
    };
    Ending {
        outcome: if failure.bytes_left {
            Verdict::Unknown
        } else {
            Verdict::Failed
        },
        reason: failure.bytes_left.then_some(reason),
        sent: sent(failure),
        status: None,
        revision: None,
        attempts,
    }
}

fn sent(failure: &Failure) -> Sent {
    if failure.status.is_some() {
        Sent::Yes
    } else if failure.bytes_left {
        Sent::Unknown
    } else {
        Sent::No
    }
}

/// The refusal for a failure. The text for the caller is fixed, because the failure's own detail may name an
/// origin or an address.
fn refusal(failure: &Failure, fault: Option<BodyFault>) -> Refusal {
    let (code, detail) = match (failure.kind, failure.bytes_left) {
        (FailureKind::Timeout, _) => (Code::UpstreamTimeout, "Upstream did not answer in time."),
        (FailureKind::Saturated, _) => (
            Code::Overloaded,
            "All connections to the account's upstream are in use. Send fewer requests at once.",
        ),
        (FailureKind::Unreachable, _) | (FailureKind::ConnectionLost, false) => (
            Code::UpstreamUnreachable,
            "The gateway could not reach the account's upstream.",
        ),
        (FailureKind::RequestBody, _) => {
            let fault = fault.unwrap_or(BodyFault::Broken);
            return Refusal::of_body(fault)
                .with_operator_detail(failure.detail.clone())
                .with_sent(sent(failure));
        }
        (FailureKind::ConnectionLost, true) => (
            Code::UpstreamProtocol,
            "Upstream closed the connection before it answered.",
        ),
        (FailureKind::Protocol, _) if failure.status.is_some() => {
            (Code::UpstreamProtocol, CUT_SHORT)
        }
        (FailureKind::Protocol, _) => (
            Code::UpstreamProtocol,
            "Upstream's answer is not one that the gateway can use.",
        ),
    };
    let mut refusal = Refusal::new(code, detail)
        .with_operator_detail(failure.detail.clone())
        .with_sent(sent(failure));
    refusal.upstream_status = failure.status;
    refusal
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use bytes::Bytes;
    use http_body_util::Full;

    use super::*;

    fn failure(kind: FailureKind, bytes_left: bool) -> Failure {
        Failure {
            kind,
            bytes_left,
            status: None,
            detail: Cow::Borrowed("why"),
        }
    }

    #[test]
    fn p2_the_status_decides_the_outcome() {
        let of = |status| by_status(StatusCode::from_u16(status).unwrap());
        assert_eq!(of(200), Verdict::Deleted);
        assert_eq!(of(204), Verdict::Deleted);
        assert_eq!(of(404), Verdict::NotFound);
        assert_eq!(of(304), Verdict::Rejected);
        assert_eq!(of(409), Verdict::Rejected);
        assert_eq!(of(500), Verdict::Failed);
        assert_eq!(of(599), Verdict::Failed);
    }

    #[test]
    fn p2_bytes_that_left_without_an_answer_are_unknown() {
        let ending = unanswered(&failure(FailureKind::Timeout, true), 1);
        assert_eq!(ending.outcome, Verdict::Unknown);
        assert_eq!(ending.reason, Some(Reason::Timeout));
        let ending = unanswered(&failure(FailureKind::Timeout, false), 0);
        assert_eq!(ending.outcome, Verdict::Failed);
        assert_eq!(ending.reason, None);
        assert_eq!(ending.sent, Sent::No);
    }

    #[test]
    fn p11_each_failure_has_its_code() {
        let code = |kind, left| refusal(&failure(kind, left), None).code;
        assert_eq!(code(FailureKind::Timeout, true), Code::UpstreamTimeout);
        assert_eq!(
            code(FailureKind::ConnectionLost, true),
            Code::UpstreamProtocol
        );
        assert_eq!(
            code(FailureKind::ConnectionLost, false),
            Code::UpstreamUnreachable
        );
        assert_eq!(code(FailureKind::Saturated, false), Code::Overloaded);
    }

    #[test]
    fn p11_an_answer_that_broke_off_says_that_it_came() {
        let kinds = [FailureKind::Protocol, FailureKind::Timeout];
        for (kind, code) in kinds.into_iter().zip([502, 504]) {
            let failure = Failure {
                status: Some(201),
                ..failure(kind, true)
            };
            let refusal = refusal(&failure, None);
            assert_eq!(refusal.code.status_u16(), code);
            assert_eq!(
                (refusal.sent, refusal.upstream_status),
                (Sent::Yes, Some(201))
            );
        }
    }

    #[tokio::test]
    async fn an_answer_beyond_a_mebibyte_is_not_passed_on() {
        let large = Bytes::from(vec![b'a'; MAX_ANSWER_BYTES + 1]);
        let response = Response::new(Body::stream(Full::new(large)));
        let (ending, reply) = of_deletion(Ok(response), 1).await;
        assert_eq!(ending.outcome, Verdict::Deleted);
        let refusal = reply.unwrap_err();
        assert_eq!(refusal.code, Code::UpstreamProtocol);
        assert_eq!(
            (refusal.sent, refusal.upstream_status),
            (Sent::Yes, Some(200))
        );
    }
}
