//! Finds the operation of a request. Checks the form of the head, the path and the query, then asks the
//! contracts for the operation. This layer does not know the caller yet.

mod head;

use std::sync::Arc;

use http::header::IF_MATCH;
use http::request::Parts;
use http::{Method, Request};

use super::limits::Bounded;
use crate::check::CheckLayer;
use crate::contract::query::Query;
use crate::contract::{Contracts, Effect, Found, Miss, Operation, path};
use crate::refusal::{Checked, Code, Refusal};
use crate::request::{Matched, RequestContext, header_text};

/// A request whose operation is known.
#[derive(Debug)]
pub struct Routed {
    /// Boxed so that each layer moves only a pointer.
    head: Box<Parts>,
    body: Bounded,
    query: Query,
    context: Arc<RequestContext>,
}

impl Routed {
    /// The method, the target and the headers, as the caller sent them.
    #[must_use]
    pub fn head(&self) -> &Parts {
        &self.head
    }

    /// The parsed query.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The context of the request, which holds the operation, the account and the user.
    #[must_use]
    pub fn context(&self) -> &RequestContext {
        &self.context
    }

    /// The operation that the request asks for.
    #[must_use]
    pub fn operation(&self) -> &Operation {
        &self.context.matched.known().operation
    }

    /// Splits the request into head, body, query and context.
    #[must_use]
    pub fn into_parts(self) -> (Box<Parts>, Bounded, Query, Arc<RequestContext>) {
        (self.head, self.body, self.query, self.context)
    }
}

/// Makes the layer that finds the operation of a request.
pub fn layer(
    contracts: Arc<Contracts>,
) -> CheckLayer<impl Fn(Request<Bounded>) -> Checked<Routed> + Clone> {
    CheckLayer(move |request: Request<Bounded>| {
        let (head, body) = request.into_parts();
        let overriding = head::check(&head)?;
        let Some(path) = head.uri.path_and_query().map(|_| head.uri.path()) else {
            return path_malformed("the target names no path").refuse();
        };
        if let Err(why) = path::check(path) {
            return path_malformed(why).refuse();
        }
        let query = read_query(head.uri.query())?;
        let found = contracts
            .find(head.method.as_str(), overriding, path)
            .map_err(|miss| Box::new(missed(miss, &head.method)))?;
        let context = Arc::clone(RequestContext::of(&head.extensions));
        context.matched.learn(matched(found, &head));
        Ok(Routed {
            head: Box::new(head),
            body,
            query,
            context,
        })
    })
}

fn matched(found: Found<'_>, head: &Parts) -> Matched {
    let if_match = match found.operation.effect {
        Effect::Delete => head.headers.get(IF_MATCH).map(header_text),
        _ => None,
    };
    Matched {
        account: found.account.to_owned(),
        user: found.user.map(str::to_owned),
        operation: found.operation,
        if_match,
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
