//! Decides when to send a request again.
//!
//! The client sends a request again only if a reused connection turns out to be dead, and then only on a new
//! connection. A write or a deletion is sent again only if the client had not sent any byte of it. A read is
//! sent again even if the client had sent bytes of it, unless a byte of an answer came. A closed connection
//! does not prove that the server ignored the request: the server may have read the request and acted on it
//! before closing the connection.

use std::sync::Arc;
use std::time::Duration;

use http::{Extensions, Uri, Version};
use http_body::Body as _;
use tokio::time::Instant;

use super::exchange::{Lost, Message, Times, exchange};
use super::headers;
use super::origin_pool::{OriginPool, Want};
use super::settings::Settings;
use crate::forward::{Delivery, Failure, FailureKind, Outgoing, Report};
use crate::request::Body;

/// A deletion uses no connection that was idle for this long or longer.
const DELETION_IDLE: Duration = Duration::from_secs(1);
/// The most connections that one request may use.
const MAX_ATTEMPTS: u32 = 3;

/// One request and all its attempts.
#[derive(Debug)]
pub(super) struct Attempts {
    pool: Arc<OriginPool>,
    message: Message,
    delivery: Delivery,
    times: Times,
}

impl Attempts {
    /// Prepares the request without waiting.
    pub(super) fn new(outgoing: Outgoing, pool: Arc<OriginPool>, settings: &Settings) -> Self {
        let now = Instant::now();
        let times = Times {
            begun: now,
            head_timeout: settings.head_timeout,
            deadline: now + settings.total_timeout,
        };
        Self {
            delivery: outgoing.delivery,
            message: build(outgoing, &pool),
            pool,
            times,
        }
    }

    /// Sends the request, again if necessary and safe, and reports the result.
    pub(super) async fn deliver(self) -> Report {
        let Self {
            pool,
            mut message,
            delivery,
            mut times,
        } = self;
        let metrics = &pool.metrics;
        let mut want = match delivery {
            Delivery::Deletion => Want::UsedWithin(DELETION_IDLE),
            Delivery::Repeatable | Delivery::Once => Want::Any,
        };
        let mut attempts = 0;
        let mut bytes_left = false;
        loop {
            let lease = match pool
                .check_out(delivery, want, times.begun, times.deadline)
                .await
            {
                Ok(lease) => lease,
                Err(mut failure) => {
                    failure.bytes_left |= bytes_left;
                    let tried = u32::from(failure.kind != FailureKind::Saturated);
                    return report(&pool, Err(failure), attempts + tried);
                }
            };
            attempts += 1;
            let used = lease.used;
            times.begun = lease.begun;
            let lost = match exchange(lease, message, delivery, times).await {
                Ok(response) => {
                    let seconds = times.begun.elapsed().as_secs_f64();
                    metrics.upstream_seconds.observe(seconds);
                    return report(&pool, Ok(response), attempts);
                }
                Err(lost) => lost,
            };
            let again = used && attempts < MAX_ATTEMPTS && may_repeat(delivery, &lost);
            let Lost {
                mut failure,
                message: unsent,
                ..
            } = *lost;
            // If a read fails twice, the bytes that the first attempt sent still count.
            bytes_left |= failure.bytes_left;
            failure.bytes_left = bytes_left;
            match unsent {
                Some(unsent) if again => message = unsent,
                _ => return report(&pool, Err(failure), attempts),
            }
            if delivery == Delivery::Repeatable {
                metrics.upstream_retries.inc();
            }
            // The other idle connections are probably dead too, so the next attempt takes a new one.
            want = Want::New;
            times.begun = Instant::now();
        }
    }
}

/// Whether the client may send a request again after a reused connection lost it. The next attempt uses a new
/// connection.
fn may_repeat(delivery: Delivery, lost: &Lost) -> bool {
    if lost.failure.kind != FailureKind::ConnectionLost {
        return false;
    }
    match delivery {
        Delivery::Repeatable => !lost.answer_begun || !lost.failure.bytes_left,
        Delivery::Once | Delivery::Deletion => !lost.failure.bytes_left,
    }
}

/// Builds the request to send: HTTP/1.1, the caller's path and query unchanged, and the headers rewritten.
fn build(outgoing: Outgoing, pool: &OriginPool) -> Message {
    let Outgoing {
        mut head,
        body,
        context,
        ..
    } = outgoing;
    headers::rewrite(
        &mut head,
        pool.host.clone(),
        context.request_id.clone(),
        &context.peer,
        body.is_end_stream(),
    );
    // `route` has judged the host of an absolute target. Upstream gets only the path and the query.
    if head.uri.authority().is_some() {
        let target = head.uri.path_and_query().cloned();
        head.uri = target.map_or_else(Uri::default, Uri::from);
    }
    head.version = Version::HTTP_11;
    // Replaced instead of cleared: `clear` would keep the allocated table, and each copy of the head would
    // copy that table.
    head.extensions = Extensions::new();
    Message { head, body }
}

fn report(
    pool: &OriginPool,
    reply: Result<http::Response<Body>, Failure>,
    attempts: u32,
) -> Report {
    pool.log(&reply);
    Report { reply, attempts }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(kind: FailureKind, bytes_left: bool, answer_begun: bool) -> Lost {
        Lost {
            failure: Failure {
                kind,
                bytes_left,
                status: None,
                detail: "".into(),
            },
            message: None,
            answer_begun,
        }
    }

    #[test]
    fn p7_a_deletion_or_write_is_repeated_only_if_no_byte_left() {
        for delivery in [Delivery::Deletion, Delivery::Once] {
            let gone = FailureKind::ConnectionLost;
            assert!(may_repeat(delivery, &lost(gone, false, false)));
            assert!(!may_repeat(delivery, &lost(gone, true, false)));
            assert!(!may_repeat(delivery, &lost(gone, true, true)));
        }
    }

    #[test]
    fn a_read_is_repeated_until_a_byte_of_its_answer_came() {
        let gone = FailureKind::ConnectionLost;
        assert!(may_repeat(Delivery::Repeatable, &lost(gone, true, false)));
        assert!(!may_repeat(Delivery::Repeatable, &lost(gone, true, true)));
    }

    #[test]
    fn only_a_lost_connection_is_a_reason_to_repeat() {
        for kind in [
            FailureKind::Timeout,
            FailureKind::Protocol,
            FailureKind::RequestBody,
            FailureKind::Unreachable,
            FailureKind::Saturated,
        ] {
            assert!(!may_repeat(Delivery::Repeatable, &lost(kind, false, false)));
        }
    }
}
