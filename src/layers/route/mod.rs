//! Which operation is this: the head's form, the effective method, the path, and the contract's
//! answer. What is judged here is judged before the caller is known.

mod head;
mod overriding;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::Method;
use http::request::Parts;

use super::check::{Check, CheckLayer};
use super::exchange::{Arrival, Exchange, Named};
use crate::contract::query::Query;
use crate::contract::{Contracts, Effect, Found, Miss, Operation, path};
use crate::refusal::{Checked, Code, Refusal};
use crate::request::{Body, header_text};

/// A request whose operation is known.
#[derive(Debug)]
pub struct Routed {
    head: Box<Parts>,
    body: Body,
    query: Query,
    operation: Arc<Operation>,
    account: Arc<str>,
    user: Option<String>,
    exchange: Arc<Exchange>,
}

impl Routed {
    /// Method, target and headers, as they came.
    #[must_use]
    pub fn head(&self) -> &Parts {
        &self.head
    }

    /// What its query says.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// What is asked for.
    #[must_use]
    pub fn operation(&self) -> &Arc<Operation> {
        &self.operation
    }

    /// The account in the path, unjudged until `conform`.
    #[must_use]
    pub fn account(&self) -> &Arc<str> {
        &self.account
    }

    /// The user in the path, unjudged until `conform`.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Its facts.
    #[must_use]
    pub fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }

    /// Takes the body out, to judge or to send it.
    pub fn take_body(&mut self) -> Body {
        std::mem::take(&mut self.body)
    }

    /// Head, operation and facts, for what is sent.
    #[must_use]
    pub fn into_parts(self) -> (Box<Parts>, Arc<Operation>, Arc<Exchange>) {
        (self.head, self.operation, self.exchange)
    }
}

/// The layer.
#[must_use]
pub fn layer(contracts: Arc<Contracts>) -> CheckLayer<Route> {
    CheckLayer(Route { contracts })
}

/// See [`layer`].
#[derive(Clone, Debug)]
pub struct Route {
    contracts: Arc<Contracts>,
}

impl Check for Route {
    type In = Arrival;
    type Out = Routed;

    fn check(&self, arrival: Arrival) -> Checked<Routed> {
        let Arrival {
            head,
            body,
            exchange,
        } = arrival;
        head::check(&head)?;
        let overriding = overriding::read(&head.headers)?;
        let Some(path) = head.uri.path_and_query().map(|_| head.uri.path()) else {
            return path_malformed("the target names no path").refuse();
        };
        if let Err(why) = path::check(path) {
            return path_malformed(why).refuse();
        }
        let query = read_query(head.uri.query())?;
        let found = self
            .contracts
            .find(head.method.as_str(), overriding, path)
            .map_err(|miss| Box::new(missed(miss, &head.method)))?;
        let Found {
            operation,
            account,
            user,
        } = found;
        let (account, user) = (Arc::from(account), user.map(str::to_owned));
        let routed = Routed {
            query,
            operation,
            account,
            user,
            exchange,
            body,
            head,
        };
        note(&routed);
        Ok(routed)
    }
}

/// Notes that a request means to delete, whatever becomes of it.
pub fn note_attempt(head: &Parts, exchange: &Exchange) {
    let overridden = head
        .headers
        .get_all(overriding::NAME)
        .iter()
        .any(|value| value.as_bytes().eq_ignore_ascii_case(b"DELETE"));
    if overridden || head.method == Method::DELETE {
        exchange.deletion_tried.store(true, Ordering::Relaxed);
    }
}

/// Writes down what is learned here; each cell is this layer's alone.
fn note(routed: &Routed) {
    let exchange = routed.exchange();
    let _ = exchange.operation.set(Arc::clone(&routed.operation));
    let _ = exchange.account.set(Arc::clone(&routed.account));
    if routed.operation.effect != Effect::Delete {
        return;
    }
    if let Some(user) = &routed.user {
        let _ = exchange.named.set(Named {
            users: vec![user.clone()],
            user_count: 1,
            body_sha256: None,
        });
    }
    if let Some(value) = routed.head.headers.get(http::header::IF_MATCH) {
        let _ = exchange.if_match.set(header_text(value));
    }
}

fn read_query(query: Option<&str>) -> Checked<Query> {
    let query = match Query::parse(query.unwrap_or_default()) {
        Ok(query) => query,
        Err(why) => return head::malformed(why).refuse(),
    };
    if query.method {
        return head::malformed(
            "a query parameter `_method` is not accepted; use X-HTTP-Method-Override",
        )
        .refuse();
    }
    Ok(query)
}

fn path_malformed(why: &str) -> Refusal {
    Refusal::new(
        Code::PathMalformed,
        format!("The path is not in its plain form: {why}."),
    )
}

fn missed(miss: Miss, method: &Method) -> Refusal {
    match miss {
        Miss::Unknown { reason } => Refusal::new(Code::OperationUnknown, reason),
        Miss::Method { allow } => {
            let mut refusal = Refusal::new(
                Code::MethodNotAllowed,
                format!("{method} is not allowed here; allowed: {allow}."),
            );
            refusal.allow = Some(allow);
            refusal
        }
        Miss::Override => head::malformed(
            "this method may not carry that X-HTTP-Method-Override here; \
             the contract lists the pairs that pass, methods in capitals",
        ),
    }
}
