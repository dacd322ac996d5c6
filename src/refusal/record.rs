//! Records refused deletions in the trail.

use std::sync::atomic::Ordering;

use crate::audit::Trail;
use crate::audit::entry::{Caller, Cuts, MAX_REFUSED_USERS, Refused};
use crate::refusal::Refusal;
use crate::request::{RefusedAs, RequestContext};

/// Notes the refusal in the context. If the request is a deletion, records the refusal in the trail too. Only
/// the first call for a request has an effect. A deletion can have two calls: its task makes the first one in
/// case the caller has hung up, and the layer `refuse` makes the second one.
pub(crate) fn record(trail: &Trail, config: &str, refusal: &Refusal, context: &RequestContext) {
    let detail = refusal.operator_detail.as_ref().unwrap_or(&refusal.detail);
    let is_first = context.refused.learn(RefusedAs {
        code: refusal.code.as_str(),
        detail: detail.clone(),
    });
    if !is_first || !context.is_deletion() || context.recorded.load(Ordering::Relaxed) {
        return;
    }
    match entry(config, refusal, context) {
        Some(entry) => trail.refused(entry),
        None => trail.turned_away(refusal.code.as_str()),
    }
}

/// Makes the entry, if the caller and the operation are known.
fn entry(config: &str, refusal: &Refusal, context: &RequestContext) -> Option<Refused> {
    let (identity, matched) = (context.identity.get()?, context.matched.get()?);
    let users = context.users();
    Some(Refused {
        request_id: context.request_id().to_owned(),
        operation: matched.operation.name.to_string(),
        account: without_token(&matched.account),
        user_count: users.len() as u64,
        users: users
            .iter()
            .take(MAX_REFUSED_USERS)
            .map(|user| without_token(user))
            .collect(),
        body_sha256: context.batch.get().map(|batch| batch.body_sha256.clone()),
        caller: Caller {
            issuer: identity.issuer.clone(),
            subject: identity.subject.clone(),
            client: identity.client.clone(),
        },
        token_id: identity.token_id.clone(),
        if_match: matched.if_match.as_deref().map(without_token),
        domain: context.origin.get().map(ToString::to_string),
        client_ip: context.peer.ip().to_owned(),
        config: config.to_owned(),
        code: refusal.code.as_str().to_owned(),
        rule: None,
        cut: Cuts::new(),
    })
}

/// Withholds a text that may hold a token, because the trail must never record a token (promise P8 in
/// README.md). Every JWT begins with `eyJ`, the base64 of `{"`.
fn without_token(text: &str) -> String {
    if text.contains("eyJ") {
        "(withheld: it looks like a token)".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p8_a_token_in_the_wrong_place_is_not_recorded() {
        assert!(!without_token("eyJhbGciOiJFUzI1NiJ9.e30.c2ln").contains("eyJ"));
        assert_eq!(without_token("700100001"), "700100001");
    }
}
