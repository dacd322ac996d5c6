//! The contracts in force as one table that finds the operation of a request.

use std::sync::Arc;

use super::operation::Operation;
use super::template::{Parts, Template};

/// One contract, from one TOML file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// The name, for example `liveperson-users-4.0`.
    pub name: String,
    /// The complete text of the file, from which the hash is computed.
    pub source: String,
    pub(super) routes: Vec<Route>,
    pub(super) closed: Vec<Closed>,
}

/// An operation and its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) template: Template,
    pub(super) operation: Arc<Operation>,
    /// Why the operation is off; `None` if it is on.
    pub(super) off: Option<String>,
}

/// A path that the gateway refuses for every method, before it looks for an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    pub(super) template: Template,
    pub(super) reason: String,
}

/// All contracts in force.
#[derive(Clone, Debug)]
pub struct Contracts {
    contracts: Vec<Contract>,
}

/// The operation of a request and the ids in its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'p> {
    /// The operation.
    pub operation: Arc<Operation>,
    /// The account segment of the path, unchecked.
    pub account: &'p str,
    /// The user id segment of the path, unchecked; `None` if the operation's path has no user id.
    pub user: Option<&'p str>,
}

/// Why a request matches no operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// No operation has this path, the path is closed, or its operation is off.
    Unknown {
        /// The reason that the caller receives. The contract file can provide it.
        reason: String,
    },
    /// An operation has this path, but with another method.
    Method {
        /// The value of `Allow` (RFC 9110 §10.2.1): the methods of the path's operations that are
        /// on. A method that only carries an override is not included.
        allow: String,
    },
    /// The contract does not list this combination of method and override.
    Override,
}

impl Contract {
    /// The operations in the order of the file. If an operation is off, the second field is the
    /// reason.
    pub fn operations(&self) -> impl Iterator<Item = (&Operation, Option<&str>)> {
        self.routes
            .iter()
            .map(|route| (&*route.operation, route.off.as_deref()))
    }
}

impl Contracts {
    /// Joins these contracts.
    ///
    /// # Errors
    /// Returns a message if two contracts have the same name, if two operations have the same name
    /// or match the same request, or if one contract closes the path of another's operation.
    pub fn new(contracts: Vec<Contract>) -> Result<Self, String> {
        for (at, contract) in contracts.iter().enumerate() {
            for earlier in contracts.iter().take(at) {
                conflict(earlier, contract)?;
            }
        }
        Ok(Self { contracts })
    }

    /// The contracts in their order.
    #[must_use]
    pub fn all(&self) -> &[Contract] {
        &self.contracts
    }

    /// Finds the operation of a request. `path` has passed [`super::path::check`]. `overriding` is
    /// the value of `X-HTTP-Method-Override`, which the request has at most once.
    ///
    /// # Errors
    /// Returns why no operation matches.
    pub fn find<'p>(
        &self,
        method: &str,
        overriding: Option<&str>,
        path: &'p str,
    ) -> Result<Found<'p>, Miss> {
        let mut closed = self.contracts.iter().flat_map(|contract| &contract.closed);
        if let Some(closed) = closed.find(|closed| closed.template.matches(path).is_some()) {
            return Err(Miss::Unknown {
                reason: closed.reason.clone(),
            });
        }
        let effective = overriding.unwrap_or(method);
        for route in self.routes() {
            if route.operation.method == effective
                && let Some(parts) = route.template.matches(path)
            {
                return route.answer(method, overriding, parts);
            }
        }
        Err(self.miss(overriding, path))
    }

    fn routes(&self) -> impl Iterator<Item = &Route> {
        self.contracts.iter().flat_map(|contract| &contract.routes)
    }

    /// Explains why no operation has this path and the effective method.
    fn miss(&self, overriding: Option<&str>, path: &str) -> Miss {
        let mut methods: Vec<&str> = Vec::new();
        let mut off = None;
        for route in self
            .routes()
            .filter(|route| route.template.matches(path).is_some())
        {
            match &route.off {
                Some(reason) => off = off.or(Some(reason)),
                None => methods.push(&route.operation.method),
            }
        }
        methods.sort_unstable();
        methods.dedup();
        match (methods.is_empty(), off, overriding) {
            (true, Some(reason), _) => Miss::Unknown {
                reason: reason.clone(),
            },
            (true, None, _) => Miss::Unknown {
                reason: "No operation of the contract has this path. Check it: upper and lower case count.".to_owned(),
            },
            (false, _, Some(_)) => Miss::Override,
            (false, _, None) => Miss::Method {
                allow: methods.join(", "),
            },
        }
    }
}

impl Route {
    fn answer<'p>(
        &self,
        method: &str,
        overriding: Option<&str>,
        parts: Parts<'p>,
    ) -> Result<Found<'p>, Miss> {
        if let Some(reason) = &self.off {
            return Err(Miss::Unknown {
                reason: reason.clone(),
            });
        }
        if overriding.is_some()
            && !self
                .operation
                .carriers
                .iter()
                .any(|carrier| carrier == method)
        {
            return Err(Miss::Override);
        }
        Ok(Found {
            operation: Arc::clone(&self.operation),
            // Every operation's path has an account. The gateway would refuse an empty account as
            // invalid.
            account: parts.account.unwrap_or_default(),
            user: parts.user,
        })
    }

    /// Whether a request exists that matches both routes.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.operation.method == other.operation.method && self.template.overlaps(&other.template)
    }
}

fn conflict(earlier: &Contract, later: &Contract) -> Result<(), String> {
    if earlier.name == later.name {
        return Err(format!(
            "two contracts are called `{}`: rename one",
            later.name
        ));
    }
    for mine in &earlier.routes {
        for theirs in &later.routes {
            let (first, second) = (&mine.operation.name, &theirs.operation.name);
            if first == second {
                return Err(format!(
                    "`{first}` is an operation of both `{}` and `{}`: rename one, since the trail tells operations by name",
                    earlier.name, later.name
                ));
            }
            if mine.overlaps(theirs) {
                return Err(format!(
                    "`{first}` of `{}` and `{second}` of `{}` claim the same path and method: remove one",
                    earlier.name, later.name
                ));
            }
        }
    }
    hides(earlier, later).and_then(|()| hides(later, earlier))
}

fn hides(closing: &Contract, other: &Contract) -> Result<(), String> {
    let hidden = other.routes.iter().find(|route| {
        closing
            .closed
            .iter()
            .any(|closed| closed.template.covers(&route.template))
    });
    match hidden {
        None => Ok(()),
        Some(route) => Err(format!(
            "`{}` closes the path of `{}` in `{}`: it could never be reached",
            closing.name, route.operation.name, other.name
        )),
    }
}

#[cfg(test)]
mod tests;
