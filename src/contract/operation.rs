//! An operation of a contract: its effect and its requirements.

use std::sync::Arc;

/// The effect of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Changes something and deletes no user.
    Write,
    /// Deletes users.
    Delete,
}

impl Effect {
    /// The name in contracts, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
        }
    }
}

/// The body that an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyRule {
    /// No content at all.
    None,
    /// No content, or exactly `{}` or `[]`, which the gateway drops.
    EmptyJson,
    /// Any content, which the gateway forwards unread.
    Pass,
    /// A JSON array of user ids.
    Ids,
}

/// An operation and its requirements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// For example `users.delete`.
    pub name: Arc<str>,
    /// The effective method, in capitals.
    pub method: String,
    /// The operation's effect on users.
    pub effect: Effect,
    /// The required value of `v`, for example `4.0`.
    pub version: String,
    /// Whether `If-Match` is required.
    pub if_match_required: bool,
    /// The body that it takes.
    pub body: BodyRule,
    /// The scope that it requires.
    pub scope: String,
    /// The scope that permits `-1` and `*` as `If-Match`; `None` permits them to every caller.
    pub unconditional_scope: Option<String>,
    /// The wire methods that may carry the operation with `X-HTTP-Method-Override: {method}`.
    pub carriers: Vec<String>,
}
