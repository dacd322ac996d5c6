//! Finds the origin of the account. `Host` becomes the host of that origin.

use std::sync::Arc;

use super::conform::Conforming;
use crate::check::CheckLayer;
use crate::domain::Directory;
use crate::refusal::{Checked, Code, Refusal};

/// A request whose origin is known.
#[derive(Debug)]
pub struct Addressed(Conforming);

impl Addressed {
    /// The request, for the next stage; its context holds the origin.
    pub(crate) fn into_conforming(self) -> Conforming {
        self.0
    }
}

/// The layer.
pub(crate) fn layer(
    domains: Arc<Directory>,
) -> CheckLayer<impl Fn(Conforming) -> Checked<Addressed> + Clone> {
    CheckLayer(move |conforming: Conforming| {
        let context = conforming.context();
        // The account asked for is the one that was authorized: P9.
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
