//! The gateway's state for the admin listener; nothing in it is secret.

use std::fmt;

use crate::audit;
use crate::clock::Time;

/// Gives a view of the running gateway.
pub(crate) trait View: fmt::Debug + Send + Sync {
    /// Reports the present state. A call is cheap.
    fn report(&self) -> Report;
}

#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// `Ok` if the gateway serves reads, or else the reason why not.
    pub reads: Result<(), String>,
    /// `Ok` if the gateway takes deletions, or else the reason why not.
    pub deletions: Result<(), String>,
    /// The parts of the gateway, each with the part's trouble, if any.
    pub parts: Vec<Part>,
    pub started: Time,
    /// The time of this report.
    pub now: Time,
    /// The hash of the config in force.
    pub config: String,
    /// The result of the last reload, if there was one.
    pub reload: Option<Reload>,
    pub trail: audit::State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The part's name, such as `listener` or `keys https://login.example.com/`.
    pub(crate) name: String,
    /// The part's trouble, if any, and the time at which the trouble began.
    pub(crate) trouble: Option<(String, Time)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reload {
    pub(crate) time: Time,
    /// Why the reload was refused; `None` if its config came into force.
    pub(crate) refused: Option<String>,
}
