//! One deletion from its intent to its outcome, in a task that the caller's connection does not
//! own: a caller that hangs up cannot lose a record.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::Response;
use tower::Service;

use super::verdict::{self, Reply};
use super::{Cleared, Recorder, Unrecorded};
use crate::audit::entry::{Ending, Intent, Reason, Sent as SentOnRecord, Verdict};
use crate::audit::{Cause, Closed, OpenIntent};
use crate::forward::{Outgoing, Report};
use crate::layers::contain::{Panicked, contained};
use crate::layers::deletions::Slot;
use crate::layers::exchange::Exchange;
use crate::layers::problem;
use crate::layers::refuse::put_on_record;
use crate::refusal::{Checked, Code, Refusal, Sent};
use crate::request::Body;

/// Runs it and waits for its answer.
pub(super) async fn run<S>(
    recorder: Recorder,
    intent: Intent,
    outgoing: Outgoing,
    exchange: Arc<Exchange>,
    service: S,
) -> Checked<Response<Body>>
where
    S: Service<Cleared, Response = Unrecorded, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let slot = recorder.deletions.slot(&outgoing.origin, recorder.shared)?;
    let deletions = recorder.deletions.clone();
    let deletion = Deletion {
        recorder,
        exchange,
        _slot: slot,
    };
    // In a box: it is large, and spawning and ending a task copies it several times.
    let recorded = Box::pin(deletion.record(intent, outgoing, service));
    // The handle may be dropped with the connection; the task goes on.
    match deletions.tasks.spawn(recorded).await {
        Ok(result) => result,
        Err(_) => Refusal::new(
            Code::Internal,
            "The gateway has a defect that this deletion met. Look before you repeat it.",
        )
        .with_sent(Sent::Unknown)
        .refuse(),
    }
}

struct Deletion {
    recorder: Recorder,
    exchange: Arc<Exchange>,
    _slot: Slot,
}

impl Deletion {
    async fn record<S>(
        self,
        intent: Intent,
        outgoing: Outgoing,
        service: S,
    ) -> Checked<Response<Body>>
    where
        S: Service<Cleared, Response = Unrecorded, Error = Infallible>,
    {
        let open = match self.recorder.trail.begin(intent).await {
            Ok(open) => open,
            Err(closed) => {
                let refusal = unavailable(&closed);
                // Not left to the layer outside: it is gone where the caller has hung up.
                let Recorder { trail, config, .. } = &self.recorder;
                put_on_record(trail, config, &refusal, &self.exchange);
                return refusal.refuse();
            }
        };
        self.exchange.recorded.store(true, Ordering::Relaxed);
        let (ending, reply) = self.send(outgoing, service).await;
        finish(open, ending, reply).await
    }

    /// Sends it and reads the answer, until the gateway's patience with stopping ends.
    async fn send<S>(&self, outgoing: Outgoing, mut service: S) -> (Ending, Reply)
    where
        S: Service<Cleared, Response = Unrecorded, Error = Infallible>,
    {
        let sending = contained(async move {
            let Ok(unrecorded) = service.call(Cleared { outgoing }).await;
            let Report { reply, attempts } = unrecorded.report;
            verdict::of_deletion(reply, attempts).await
        });
        tokio::select! {
            outcome = sending => match outcome {
                Ok(verdict) => verdict,
                Err(Panicked) => cut_off(
                    Reason::Internal,
                    Code::Internal,
                    "The gateway has a defect that this deletion met. Look before you repeat it.",
                ),
            },
            () = self.recorder.deletions.aborted.cancelled() => cut_off(
                Reason::Drain,
                Code::UpstreamTimeout,
                "The gateway stops and could not wait for upstream. Look before you repeat it.",
            ),
        }
    }
}

fn cut_off(reason: Reason, code: Code, detail: &'static str) -> (Ending, Reply) {
    let ending = Ending {
        outcome: Verdict::Unknown,
        reason: Some(reason),
        sent: SentOnRecord::Unknown,
        status: None,
        revision: None,
        attempts: 1,
    };
    let refusal = Refusal::new(code, detail).with_sent(Sent::Unknown);
    (ending, Reply::Refusal(Box::new(refusal)))
}

/// Closes the intent, then lets the reply out with its receipt.
async fn finish(open: OpenIntent, ending: Ending, reply: Reply) -> Checked<Response<Body>> {
    let status = ending.status;
    match (open.close(ending).await, reply) {
        (Ok(receipt), Reply::Answer(mut response)) => {
            problem::set_receipt(response.headers_mut(), &receipt);
            Ok(response)
        }
        (Ok(receipt), Reply::Refusal(mut refusal)) => {
            refusal.receipt = (refusal.sent != Sent::No).then_some(receipt);
            Err(refusal)
        }
        // No answer's head came: what was due stands, the record follows.
        (Err(unconfirmed), Reply::Refusal(mut refusal)) if refusal.sent != Sent::Yes => {
            refusal.receipt = (refusal.sent != Sent::No).then_some(unconfirmed.receipt);
            Err(refusal)
        }
        (Err(unconfirmed), _) => {
            let mut refusal = Refusal::new(
                Code::DeletionUnconfirmed,
                format!(
                    "Upstream has answered, but the outcome could not be put on record ({}). \
                     Do not repeat the deletion: look first.",
                    unconfirmed.cause.as_str()
                ),
            )
            .with_sent(Sent::Yes);
            refusal.upstream_status = status;
            refusal.receipt = Some(unconfirmed.receipt);
            refusal.refuse()
        }
    }
}

fn unavailable(closed: &Closed) -> Refusal {
    let cause: Cause = closed.cause;
    let mut refusal = Refusal::new(
        Code::AuditUnavailable,
        format!(
            "The audit trail takes no deletions now ({}): {}. Nothing was sent: try again later. \
             The operator finds what to do at /readyz?verbose.",
            cause.as_str(),
            closed.detail
        ),
    );
    refusal.cause = Some(cause.as_str());
    refusal
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use http::HeaderValue;

    use super::*;
    use crate::audit::entry::{Caller, Cuts};
    use crate::audit::{Settings, Trail};
    use crate::clock::Clock;
    use crate::forward::Delivery;
    use crate::layers::deletions::Deletions;
    use crate::metrics::Metrics;
    use crate::request::{Origin, Peer};

    fn peer() -> Peer {
        Peer::new(SocketAddr::from(([127, 0, 0, 1], 1)))
    }

    /// A trail that takes nothing: its folder and key are not there.
    fn closed_trail() -> Trail {
        let nowhere = std::env::temp_dir().join("lychgate-no-such-folder/audit");
        let settings = Settings {
            key_file: nowhere.with_extension("key"),
            directory: nowhere.clone(),
            origin: "test".into(),
            sync_timeout: Duration::from_secs(2),
            segment_bytes: 2 << 20,
            space: crate::audit::status::space::Levels::default(),
            seen_file: nowhere.with_extension("seen"),
            heartbeat: Duration::from_secs(3_600),
        };
        Trail::open(settings, Clock::system(), Metrics::new())
    }

    fn intent() -> Intent {
        Intent {
            request_id: "id".into(),
            operation: "users.delete".into(),
            account: "1".into(),
            users: vec!["2".into()],
            caller: Caller {
                issuer: "i".into(),
                subject: "s".into(),
                client: None,
            },
            token_id: "t".into(),
            if_match: Some("5".into()),
            domain: "http://a".into(),
            client_ip: "127.0.0.1".into(),
            config: "hash".into(),
            rule: None,
            group: None,
            part: None,
            parts: None,
            cut: Cuts::new(),
        }
    }

    fn outgoing() -> Outgoing {
        Outgoing {
            origin: Arc::new(Origin::parse("http://a").unwrap()),
            head: http::Request::delete("/2")
                .body(())
                .unwrap()
                .into_parts()
                .0
                .into(),
            body: Body::Empty,
            delivery: Delivery::Deletion,
            request_id: HeaderValue::from_static("id"),
            peer: peer(),
        }
    }

    #[tokio::test]
    async fn p6_a_refusal_by_the_trail_is_on_record_though_the_caller_is_gone() {
        let deletions = Deletions::new(1);
        let recorder = Recorder {
            trail: closed_trail(),
            deletions: deletions.clone(),
            config: "hash".into(),
            shared: false,
        };
        let exchange = Arc::new(Exchange::new(HeaderValue::from_static("id"), peer()));
        let service = tower::service_fn(async |_: Cleared| -> Result<Unrecorded, Infallible> {
            unreachable!("nothing is sent")
        });
        let running = run(
            recorder,
            intent(),
            outgoing(),
            Arc::clone(&exchange),
            service,
        );
        let mut running = Box::pin(running);
        assert!(poll_once(running.as_mut()).await.is_pending());
        drop(running);
        deletions.drain();
        deletions.finished().await;
        assert_eq!(exchange.code.get(), Some(&"audit-unavailable"));
    }

    /// Polls once.
    async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
        std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx))).await
    }
}
