//! What is learned of one request on its way in, for those who need it on the way out:
//! the access log, the metrics and the record of a refusal.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::HeaderValue;
use http::request::Parts;

use crate::contract::{Effect, Operation};
use crate::request::{Body, Origin, Peer};
use crate::token::Identity;

/// A request as it came, with the place where its facts are kept.
#[derive(Debug)]
pub struct Arrival {
    /// Method, target and headers; in a box, since every layer hands them on.
    pub head: Box<Parts>,
    /// The body.
    pub body: Body,
    /// Its facts.
    pub exchange: Arc<Exchange>,
}

/// The facts of one request. Each is written once, by the layer that learns it.
#[derive(Debug)]
pub struct Exchange {
    /// The gateway's id of the request (written by `request_id`).
    pub request_id: HeaderValue,
    /// The caller's end of the connection (`request_id`).
    pub peer: Peer,
    /// When its head was read (`request_id`).
    pub started: Instant,
    /// The operation (`route`).
    pub operation: OnceLock<Arc<Operation>>,
    /// Whether a deletion was tried, also where no operation was found (`route`).
    pub deletion_tried: AtomicBool,
    /// The account in the path, unjudged until `conform` (`route`).
    pub account: OnceLock<Arc<str>>,
    /// The caller (`authenticate`).
    pub identity: OnceLock<Arc<Identity>>,
    /// Whom a deletion names (`route` for the path, `conform` for a body).
    pub named: OnceLock<Named>,
    /// A deletion's `If-Match` as it came (`route`).
    pub if_match: OnceLock<String>,
    /// Where it goes (`domain`).
    pub origin: OnceLock<Arc<Origin>>,
    /// The refusal's code, where it was refused (`refuse`).
    pub code: OnceLock<&'static str>,
    /// Whether an intent is on record (`record`).
    pub recorded: AtomicBool,
    /// What went wrong with the caller's body (`limits`).
    body_fault: AtomicU8,
}

/// Whom a deletion names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The users, as far as they could be read; at most as many as a refusal names.
    pub users: Vec<String>,
    /// How many were named.
    pub user_count: usize,
    /// SHA-256 of the body in hexadecimal, where one was read.
    pub body_sha256: Option<String>,
}

/// What may go wrong with a caller's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// Longer than allowed.
    #[error("the body is longer than allowed")]
    TooLarge,
    /// Too slow.
    #[error("the body took too long to arrive")]
    Late,
    /// The connection or its framing broke.
    #[error("the body was cut short or its framing is broken")]
    Broken,
}

impl Exchange {
    /// Nothing learned yet.
    #[must_use]
    pub fn new(request_id: HeaderValue, peer: Peer) -> Self {
        Self {
            request_id,
            peer,
            started: Instant::now(),
            operation: OnceLock::new(),
            deletion_tried: AtomicBool::new(false),
            account: OnceLock::new(),
            identity: OnceLock::new(),
            named: OnceLock::new(),
            if_match: OnceLock::new(),
            origin: OnceLock::new(),
            code: OnceLock::new(),
            recorded: AtomicBool::new(false),
            body_fault: AtomicU8::new(0),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    /// Whether it is or was meant as a deletion.
    #[must_use]
    pub fn is_deletion(&self) -> bool {
        match self.operation.get() {
            Some(operation) => operation.effect == Effect::Delete,
            None => self.deletion_tried.load(Ordering::Relaxed),
        }
    }

    /// Notes what went wrong with the body; the first fault stands.
    pub fn set_body_fault(&self, fault: BodyFault) {
        let code = match fault {
            BodyFault::TooLarge => 1,
            BodyFault::Late => 2,
            BodyFault::Broken => 3,
        };
        // A later fault is only the echo of the first.
        let _ = self
            .body_fault
            .compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// What went wrong with the body, if anything.
    #[must_use]
    pub fn body_fault(&self) -> Option<BodyFault> {
        match self.body_fault.load(Ordering::Relaxed) {
            1 => Some(BodyFault::TooLarge),
            2 => Some(BodyFault::Late),
            3 => Some(BodyFault::Broken),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn the_first_body_fault_stands() {
        let exchange = Exchange::new(
            HeaderValue::from_static("id"),
            Peer::new(SocketAddr::from(([127, 0, 0, 1], 1))),
        );
        assert_eq!(exchange.body_fault(), None);
        exchange.set_body_fault(BodyFault::Late);
        exchange.set_body_fault(BodyFault::Broken);
        assert_eq!(exchange.body_fault(), Some(BodyFault::Late));
    }

    #[test]
    fn an_attempt_counts_as_a_deletion_until_the_operation_is_known() {
        let exchange = Exchange::new(
            HeaderValue::from_static("id"),
            Peer::new(SocketAddr::from(([127, 0, 0, 1], 1))),
        );
        assert!(!exchange.is_deletion());
        exchange.deletion_tried.store(true, Ordering::Relaxed);
        assert!(exchange.is_deletion());
    }
}
