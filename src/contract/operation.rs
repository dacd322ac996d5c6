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

/// The body that an operation accepts.
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
    /// The name, for example `users.delete`.
    pub name: Arc<str>,
    /// The method after any override, in capitals.
    pub method: String,
    /// The operation's effect on users.
    pub effect: Effect,
    /// The required value of the query parameter `v`, for example `4.0`.
    pub version: String,
    /// Whether `If-Match` is required.
    pub if_match_required: bool,
    /// The body that the operation accepts.
    pub body: BodyRule,
    /// The scope that the caller must hold.
    pub scope: String,
    /// The scope that permits `-1` and `*` as `If-Match`; `None` permits them to every caller.
    pub unconditional_scope: Option<String>,
    /// The methods that a request may use on the wire if the request names this operation's
    /// `method` in `X-HTTP-Method-Override`.
    pub carriers: Vec<String>,
}
