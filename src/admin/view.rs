//! The gateway's state for the admin listener; nothing in it is secret.

use std::fmt;

use crate::audit;
use crate::clock::Time;

/// Looks at the running gateway.
pub(crate) trait View: fmt::Debug + Send + Sync {
    /// How it is now; cheap.
    fn report(&self) -> Report;
}

#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// Whether reads can be served, or else why not.
    pub reads: Result<(), String>,
    /// Whether deletions are taken; else why not.
    pub deletions: Result<(), String>,
    /// Its parts, in the order of a request.
    pub parts: Vec<Part>,
    pub started: Time,
    /// When this was looked at.
    pub now: Time,
    /// Hash of the config in force.
    pub config: String,
    /// How the last reload went, if there was one.
    pub reload: Option<Reload>,
    pub trail: audit::State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its name, such as `listener` or `keys https://login.example.com/`.
    pub(crate) name: String,
    /// Its trouble and the start of the trouble, if there is one.
    pub(crate) trouble: Option<(String, Time)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reload {
    pub(crate) time: Time,
    /// Why it was refused; `None` if it is in force.
    pub(crate) refused: Option<String>,
}
