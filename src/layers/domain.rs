//! Finds the origin of the account. `Host` becomes the host of that origin.

use std::sync::Arc;

use super::conform::Conforming;
use crate::check::{Check, CheckLayer};
use crate::domain::Directory;
use crate::refusal::{Checked, Code, Refusal};

/// A request whose origin is known.
#[derive(Debug)]
pub struct Addressed(Conforming);

impl Addressed {
    /// The request, for the next stage; its context holds the origin.
    #[must_use]
    pub fn into_conforming(self) -> Conforming {
        self.0
    }
}

/// The layer.
#[must_use]
pub fn layer(domains: Arc<Directory>) -> CheckLayer<Domain> {
    CheckLayer(Domain { domains })
}

/// See [`layer`].
#[derive(Clone, Debug)]
pub struct Domain {
    domains: Arc<Directory>,
}

impl Check for Domain {
    type In = Conforming;
    type Out = Addressed;

    fn check(&self, conforming: Conforming) -> Checked<Addressed> {
        let context = conforming.context();
        // The account asked for is the one that was authorized: P9.
        let Some(origin) = self.domains.origin(&context.matched.known().account) else {
            return Refusal::new(
                Code::AccountUnknown,
                "No origin is configured for this account ([domains.accounts]).",
            )
            .refuse();
        };
        context.origin.learn(Arc::clone(origin));
        Ok(Addressed(conforming))
    }
}
