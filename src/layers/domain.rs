//! Finds the origin of the account. `outbound` later sets `Host` to the host of this origin.

use std::sync::Arc;

use super::conform::Conforming;
use crate::check::CheckLayer;
use crate::domain::Directory;
use crate::refusal::{Checked, Code, Refusal};

/// A request whose origin is known.
#[derive(Debug)]
pub struct Addressed(Conforming);

impl Addressed {
    /// Returns the request for the next layer. The context of the request holds the origin.
    pub(crate) fn into_conforming(self) -> Conforming {
        self.0
    }
}

/// Makes the layer that finds the origin of the account.
pub(crate) fn layer(
    domains: Arc<Directory>,
) -> CheckLayer<impl Fn(Conforming) -> Checked<Addressed> + Clone> {
    CheckLayer(move |conforming: Conforming| {
        let context = conforming.context();
        // `authorize` has checked the token against this same account (promise P9 in README.md).
        let Some(origin) = domains.origin(&context.matched.known().account) else {
            return Refusal::new(
                Code::AccountUnknown,
                "The gateway knows no upstream for this account ([domains.accounts]). Check the account.",
            )
            .refuse();
        };
        context.origin.learn(Arc::clone(origin));
        Ok(Addressed(conforming))
    })
}
