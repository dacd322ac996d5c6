//! One operation of a contract: what it does and what it requires.

use std::sync::Arc;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Changes something, deletes nobody.
    Write,
    /// Deletes.
    Delete,
}

impl Effect {
    /// As it stands in contracts, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
        }
    }
}

/// What body an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyRule {
    /// No content at all.
    None,
    /// None, or exactly `{}` or `[]`, which is dropped.
    EmptyJson,
    /// Passed through unread.
    Pass,
    /// A JSON array of user ids.
    Ids,
}

/// One operation and what it requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Such as `users.delete`.
    pub name: Arc<str>,
    /// Effective method, in capitals.
    pub method: String,
    /// What it does.
    pub effect: Effect,
    /// What `v` must be, such as `4.0`.
    pub version: String,
    /// Whether `If-Match` must be there.
    pub if_match_required: bool,
    /// What body it takes.
    pub body: BodyRule,
    /// The scope it needs.
    pub scope: String,
    /// The scope that permits `-1` and `*` as `If-Match`; `None`: they are permitted to all.
    pub unconditional_scope: Option<String>,
    /// Wire methods that may carry it under `X-HTTP-Method-Override: {method}`.
    pub carriers: Vec<String>,
}
