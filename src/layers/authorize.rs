//! Checks whether the caller may use this operation on this account. The token's accounts and scopes decide.

use std::borrow::Cow;

use super::authenticate::Identified;
use super::route::Routed;
use crate::check::CheckLayer;
use crate::refusal::{Checked, Code, Refusal};
use crate::token::{Accounts, Scopes};

/// A request that the caller is permitted to make.
#[derive(Debug)]
pub(crate) struct Permitted(Routed);

impl Permitted {
    /// Returns the request for the next layer.
    pub(crate) fn into_routed(self) -> Routed {
        self.0
    }
}

/// Makes the layer that checks the token's accounts and scopes.
pub(crate) fn layer() -> CheckLayer<fn(Identified) -> Checked<Permitted>> {
    CheckLayer(check)
}

fn check(identified: Identified) -> Checked<Permitted> {
    let context = identified.routed().context();
    let (identity, matched) = (context.identity.known(), context.matched.known());
    if !identity.covers(&matched.account) {
        let why: Cow<'_, str> = match &identity.accounts {
            Accounts::Missing(claim) => format!(
                "The token has no claim `{claim}`, which names the accounts that it covers. \
                 Ask its issuer for a token with this claim."
            )
            .into(),
            Accounts::All | Accounts::These(_) => {
                "The token does not cover the account in the path. \
                 Check the account, or ask the issuer for a token that covers it."
                    .into()
            }
        };
        return Refusal::new(Code::AccountForbidden, why).refuse();
    }
    let scope = &matched.operation.scope;
    if !identity.holds(scope) {
        let why = match &identity.scopes {
            Scopes::Missing(claim) => format!(
                "The token has no claim `{claim}`, which names its scopes. \
                 Ask its issuer for a token with this claim and the scope {scope}."
            ),
            Scopes::These(_) => format!(
                "The token lacks the scope {scope}. Ask its issuer for a token with this scope."
            ),
        };
        return Refusal::new(Code::ScopeMissing, why)
            .with_scope(scope.clone())
            .refuse();
    }
    Ok(Permitted(identified.into_routed()))
}
