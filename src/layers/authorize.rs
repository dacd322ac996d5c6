//! May this caller do this to this account: the token's accounts and scopes decide.

use std::sync::Arc;

use super::authenticate::Identified;
use super::check::{Check, CheckLayer};
use super::route::Routed;
use crate::refusal::{Checked, Code, Refusal};
use crate::token::Identity;

/// A request that its caller may make.
#[derive(Debug)]
pub struct Permitted {
    routed: Routed,
    identity: Arc<Identity>,
}

impl Permitted {
    /// What `route` found.
    #[must_use]
    pub fn routed(&self) -> &Routed {
        &self.routed
    }

    /// The caller.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The parts, for the next stage.
    #[must_use]
    pub fn into_parts(self) -> (Routed, Arc<Identity>) {
        (self.routed, self.identity)
    }
}

/// The layer.
#[must_use]
pub fn layer() -> CheckLayer<Authorize> {
    CheckLayer(Authorize)
}

/// See [`layer`].
#[derive(Clone, Copy, Debug)]
pub struct Authorize;

impl Check for Authorize {
    type In = Identified;
    type Out = Permitted;

    fn check(&self, identified: Identified) -> Checked<Permitted> {
        let (routed, identity) = identified.into_parts();
        if !identity.covers(routed.account()) {
            return Refusal::new(
                Code::AccountForbidden,
                "The token does not cover the account in the path. Check it, or get a token that does.",
            )
            .refuse();
        }
        let scope = &routed.operation().scope;
        if !identity.holds(scope) {
            return Refusal::new(
                Code::ScopeMissing,
                format!("The token lacks the scope {scope}. Ask its issuer for one with it."),
            )
            .with_scope(scope.clone())
            .refuse();
        }
        Ok(Permitted { routed, identity })
    }
}
