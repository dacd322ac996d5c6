//! Runs one deletion from its intent to its outcome. The caller's connection does not own the task, so the
//! trail gets the outcome even if the caller hangs up.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use http::Response;
use tower::Service;

use super::in_flight::{Deletions, Slot};
use super::{Cleared, Recorder, Unrecorded, verdict};
use crate::audit::entry::{Caller, Cuts, Ending, Intent, Reason, Sent, Verdict};
use crate::audit::{Cause, OpenIntent, Unavailable};
use crate::forward::{Outgoing, Report};
use crate::refusal::{self, Checked, Code, Refusal, problem};
use crate::request::{Body, RequestContext};

/// Runs the deletion in a task of its own and waits for the answer. If the caller stops waiting, the task
/// continues.
pub(super) async fn run<S>(
    recorder: Arc<Recorder>,
    outgoing: Outgoing,
    service: S,
) -> Checked<Response<Body>>
where
    S: Service<Cleared, Response = Unrecorded, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let deletions = recorder.deletions.clone();
    let slot = deletions.slot(outgoing.context.origin.known(), recorder.shared)?;
    // Boxed because the future is large, and tokio copies it several times when the task starts and ends.
    let recorded = Box::pin(record(recorder, outgoing, service, slot));
    // If the caller hangs up, the join handle is dropped, but the task continues.
    match deletions.tasks.spawn(recorded).await {
        Ok(result) => result,
        Err(_) => Refusal::defect().with_sent(Sent::Unknown).refuse(),
    }
}

/// Records the intent, sends the deletion, and records the outcome. Holds the slot until the outcome is on
/// record.
async fn record<S>(
    recorder: Arc<Recorder>,
    outgoing: Outgoing,
    service: S,
    _slot: Slot,
) -> Checked<Response<Body>>
where
    S: Service<Cleared, Response = Unrecorded, Error = Infallible>,
{
    let Recorder { trail, config, .. } = &*recorder;
    let context = Arc::clone(&outgoing.context);
    let open = match trail.begin(intent(&context, config)).await {
        Ok(open) => open,
        Err(closed) => {
            let refusal = unavailable(&closed);
            // Recorded here because the layer `refuse` does not run if the caller has hung up.
            refusal::record::record(trail, config, &refusal, &context);
            return refusal.refuse();
        }
    };
    context.recorded.store(true, Ordering::Relaxed);
    let (ending, reply) = send(&recorder.deletions, outgoing, service).await;
    finish(open, ending, reply).await
}

/// Sends the deletion and reads the answer. [`Deletions::abort`] ends the wait.
async fn send<S>(
    deletions: &Deletions,
    outgoing: Outgoing,
    mut service: S,
) -> (Ending, Checked<Response<Body>>)
where
    S: Service<Cleared, Response = Unrecorded, Error = Infallible>,
{
    // A panic here closes the intent with the reason `internal`, and the caller still gets the receipt.
    let sending = AssertUnwindSafe(async move {
        let Ok(unrecorded) = service.call(Cleared { outgoing }).await;
        let Report { reply, attempts } = unrecorded.report;
        verdict::of_deletion(reply, attempts).await
    });
    tokio::select! {
        outcome = sending.catch_unwind() => match outcome {
            Ok(verdict) => verdict,
            Err(_panic) => cut_off(Reason::Internal, Refusal::defect()),
        },
        () = deletions.aborted.cancelled() => cut_off(
            Reason::Drain,
            Refusal::new(
                Code::UpstreamTimeout,
                "The gateway is stopping and could not wait for upstream's answer.",
            ),
        ),
    }
}

fn intent(context: &RequestContext, config: &str) -> Intent {
    let (matched, identity) = (context.matched.known(), context.identity.known());
    Intent {
        request_id: context.request_id().to_owned(),
        operation: matched.operation.name.to_string(),
        account: matched.account.clone(),
        users: context.users().to_vec(),
        caller: Caller {
            issuer: identity.issuer.clone(),
            subject: identity.subject.clone(),
            client: identity.client.clone(),
        },
        token_id: identity.token_id.clone(),
        if_match: matched.if_match.clone(),
        domain: context.origin.known().to_string(),
        client_ip: context.peer.ip().to_owned(),
        config: config.to_owned(),
        rule: None,
        group: None,
        part: None,
        parts: None,
        cut: Cuts::new(),
    }
}

fn cut_off(reason: Reason, refusal: Refusal) -> (Ending, Checked<Response<Body>>) {
    let ending = Ending {
        outcome: Verdict::Unknown,
        reason: Some(reason),
        sent: Sent::Unknown,
        status: None,
        revision: None,
        attempts: 1,
    };
    (ending, refusal.with_sent(Sent::Unknown).refuse())
}

/// Closes the intent, then returns the reply with the receipt.
async fn finish(
    open: OpenIntent,
    ending: Ending,
    reply: Checked<Response<Body>>,
) -> Checked<Response<Body>> {
    let status = ending.status;
    match (open.close(ending).await, reply) {
        (Ok(receipt), Ok(mut response)) => {
            problem::set_receipt(response.headers_mut(), &receipt);
            Ok(response)
        }
        (Ok(receipt), Err(mut refusal)) => {
            refusal.receipt = (refusal.sent != Sent::No).then_some(receipt);
            Err(refusal)
        }
        // Upstream sent no head of an answer, so this refusal is right even if the outcome is not on record.
        (Err(unconfirmed), Err(mut refusal)) if refusal.sent != Sent::Yes => {
            refusal.receipt = (refusal.sent != Sent::No).then_some(unconfirmed.receipt);
            Err(refusal)
        }
        (Err(unconfirmed), _) => {
            let why = why_closed(unconfirmed.cause);
            let detail = format!(
                "Upstream has answered, but the gateway could not record the outcome: {why}."
            );
            let mut refusal = Refusal::new(Code::DeletionUnconfirmed, detail).with_sent(Sent::Yes);
            refusal.upstream_status = status;
            refusal.receipt = Some(unconfirmed.receipt);
            refusal.refuse()
        }
    }
}

fn unavailable(closed: &Unavailable) -> Refusal {
    let (cause, why) = (closed.cause.as_str(), why_closed(closed.cause));
    let mut refusal = Refusal::new(
        Code::AuditUnavailable,
        format!("The audit trail accepts no deletions now ({cause}): {why}."),
    )
    .with_operator_detail(format!("{cause}: {}", closed.detail));
    refusal.cause = Some(cause);
    refusal
}

/// Explains the cause to the caller. The trail's own detail may name files, so only the log shows that
/// detail.
const fn why_closed(cause: Cause) -> &'static str {
    match cause {
        Cause::DiskFull => "its disk is full",
        Cause::SyncFailed => "its disk reported an error",
        Cause::SyncLate => "its disk does not answer in time",
        Cause::Unlinked => "one of its files was removed",
        Cause::Replaced => "one of its files was replaced",
        Cause::Truncated => "one of its files was cut short",
        Cause::Altered => "one of its files was altered",
        Cause::ReadOnly => "the gateway may not write to it",
        Cause::FolderMoved => "its folder was moved, replaced or removed",
        Cause::SecondWriter => "another program wrote to it",
        Cause::Locked => "another process holds it",
        Cause::RolledBack => "it is older than it was before",
        Cause::Damaged => "its records are damaged",
        Cause::KeyUnusable => "the gateway cannot use its key",
        Cause::Recovering => "the gateway is opening it",
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http::{HeaderValue, Request};

    use super::*;
    use crate::audit::log::key::keygen;
    use crate::audit::{Trail, test_folder};
    use crate::contract::{BodyRule, Effect, Operation};
    use crate::forward::Delivery;
    use crate::layers::refuse::tests::{closed_trail, trail_in};
    use crate::request::{Matched, Origin, Peer};
    use crate::token::{Accounts, Identity, Scopes};

    /// The deletion of a user, with every fact that the layers before learn.
    fn outgoing() -> Outgoing {
        let request = Request::delete("/2").body(()).unwrap();
        let peer = Peer::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        let context = RequestContext::new(HeaderValue::from_static("id"), peer, &request);
        context.matched.learn(Matched {
            operation: Arc::new(Operation {
                name: "users.delete".into(),
                method: "DELETE".to_owned(),
                effect: Effect::Delete,
                version: "4.0".to_owned(),
                if_match_required: true,
                body: BodyRule::None,
                scope: "users.delete".to_owned(),
                unconditional_scope: None,
                carriers: Vec::new(),
            }),
            account: "1".into(),
            user: Some("2".into()),
            if_match: Some("5".into()),
        });
        context.identity.learn(Arc::new(Identity {
            issuer: "i".into(),
            subject: "s".into(),
            client: None,
            accounts: Accounts::All,
            scopes: Scopes::These(Vec::new()),
            token_id: "t".into(),
        }));
        let origin = Origin::parse("http://a").unwrap();
        context.origin.learn(Arc::new(origin));
        Outgoing {
            head: request.into_parts().0.into(),
            body: Body::Empty,
            delivery: Delivery::Deletion,
            context: context.into(),
        }
    }

    fn recorder(trail: Trail) -> Arc<Recorder> {
        Arc::new(Recorder {
            trail,
            deletions: Deletions::new(1),
            config: "hash".into(),
            shared: false,
        })
    }

    #[tokio::test]
    async fn p6_a_refusal_by_the_trail_is_recorded_if_the_caller_is_gone() {
        let (recorder, outgoing) = (recorder(closed_trail()), outgoing());
        let (deletions, context) = (recorder.deletions.clone(), Arc::clone(&outgoing.context));
        let service = tower::service_fn(async |_: Cleared| -> Result<Unrecorded, Infallible> {
            unreachable!("nothing is sent")
        });
        let mut running = Box::pin(run(recorder, outgoing, service));
        assert!(poll_once(running.as_mut()).await.is_pending());
        drop(running);
        deletions.drain();
        deletions.finished().await;
        assert_eq!(context.refused.get().unwrap().code, "audit-unavailable");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn p2_a_panic_while_sending_ends_in_an_unknown_outcome() {
        let folder = test_folder("panic");
        keygen("test", &folder.path().join("audit.key")).unwrap();
        let trail = trail_in(folder.path());
        trail.opened().await;
        let recorder = recorder(trail);
        let service = tower::service_fn(async |_: Cleared| -> Result<Unrecorded, Infallible> {
            panic!("a defect")
        });
        let refusal = run(recorder, outgoing(), service).await.unwrap_err();
        assert_eq!(
            (refusal.code, refusal.sent),
            (Code::Internal, Sent::Unknown)
        );
        // The trail gives a receipt only for an intent that is closed.
        assert!(refusal.receipt.is_some());
    }

    /// Polls once.
    async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
        std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx))).await
    }
}
