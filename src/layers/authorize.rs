//! May this caller do this to this account: the token's accounts and scopes decide.

use super::authenticate::Identified;
use super::route::Routed;
use crate::check::CheckLayer;
use crate::refusal::{Checked, Code, Refusal};

/// A request that its caller may make.
#[derive(Debug)]
pub(crate) struct Permitted(Routed);

impl Permitted {
    /// The request, for the next stage.
    pub(crate) fn into_routed(self) -> Routed {
        self.0
    }
}

/// The layer.
pub(crate) fn layer() -> CheckLayer<fn(Identified) -> Checked<Permitted>> {
    CheckLayer(check)
}

fn check(identified: Identified) -> Checked<Permitted> {
    let context = identified.routed().context();
    let (identity, matched) = (context.identity.known(), context.matched.known());
    if !identity.covers(&matched.account) {
        return Refusal::new(
            Code::AccountForbidden,
            "The token does not cover the account in the path. Check it, or get a token that does.",
        )
        .refuse();
    }
    let scope = &matched.operation.scope;
    if !identity.holds(scope) {
        return Refusal::new(
            Code::ScopeMissing,
            format!("The token lacks the scope {scope}. Ask its issuer for one with it."),
        )
        .with_scope(scope.clone())
        .refuse();
    }
    Ok(Permitted(identified.into_routed()))
}
