//! The account's origin: where the request goes, and what its `Host` becomes.

use std::sync::Arc;

use super::check::{Check, CheckLayer};
use super::conform::Conforming;
use crate::domain::Directory;
use crate::refusal::{Checked, Code, Refusal};
use crate::request::Origin;

/// A request whose origin is known.
#[derive(Debug)]
pub struct Addressed {
    conforming: Conforming,
    origin: Arc<Origin>,
}

impl Addressed {
    /// The parts, for the next stage.
    #[must_use]
    pub fn into_parts(self) -> (Conforming, Arc<Origin>) {
        (self.conforming, self.origin)
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
        let routed = conforming.routed();
        // The account asked for is the one that was authorized: P9.
        let Some(origin) = self.domains.origin(routed.account()) else {
            return Refusal::new(
                Code::AccountUnknown,
                "No origin is configured for this account ([domains.accounts]).",
            )
            .refuse();
        };
        let origin = Arc::clone(origin);
        // Set once: only this layer finds it.
        let _ = routed.exchange().origin.set(Arc::clone(&origin));
        Ok(Addressed { conforming, origin })
    }
}
