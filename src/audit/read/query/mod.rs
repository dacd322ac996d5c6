//! Joins entries into deletions, as `audit list --json` prints them.
//!
//! A deletion is an intent (all of its parts) with its closing entry, or one `refused` entry.
//! [`Joiner`] builds deletions from entries in order, and `Filter` selects some of them; `pick` does
//! both on a log, and reads no more of it than necessary.

mod filter;
mod follow;
mod join;
mod pick;
mod search;
mod unresolved;

pub(crate) use filter::Filter;
pub(crate) use follow::Follower;
pub use join::Joiner;
pub(crate) use pick::{Searched, pick};
pub(crate) use search::{Raw, entries_of, first_of};
pub use unresolved::ReadBack;
pub(crate) use unresolved::{Pending, ReadBacks, Unresolved};

use serde::{Serialize, Serializer};

use crate::audit::entry::{Caller, Intent, Outcome, Reason, Refused, Sent, Verdict};

/// The gateway's decision on a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Its intent is on record, even if the gateway sent nothing in the end.
    Forwarded,
    /// The gateway refused it.
    Refused,
}

/// The progress of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The gateway refused it, so it has no outcome.
    Refused,
    /// The part of the trail that was read has no closing entry for it.
    Open,
    /// A closing entry with this verdict.
    Closed(Verdict),
}

/// `null`, `"open"` or the verdict.
impl Serialize for Progress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Refused => serializer.serialize_none(),
            Self::Open => serializer.serialize_str("open"),
            Self::Closed(verdict) => verdict.serialize(serializer),
        }
    }
}

/// One deletion, with the fields of `audit list --json` in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deletion {
    /// The index of the (first) intent, or of the `refused` entry.
    pub index: u64,
    /// That entry's time, RFC 3339.
    pub time: String,
    /// The request's id.
    pub request_id: String,
    /// The contract's name for the operation.
    pub operation: String,
    /// The account in the path.
    pub account: String,
    /// The users: all of them, or at most
    /// [`MAX_REFUSED_USERS`](crate::audit::entry::MAX_REFUSED_USERS) of a refused deletion.
    pub users: Vec<String>,
    /// Who asked.
    pub caller: Caller,
    /// `jti`, or SHA-256 of the token's `header.payload` in hexadecimal if it has none.
    pub token_id: String,
    /// The value of `If-Match` as received.
    pub if_match: Option<String>,
    /// The gateway's decision.
    pub decision: Decision,
    /// The refusal's code.
    pub code: Option<String>,
    /// How it ended.
    pub outcome: Progress,
    /// The reason of an unknown outcome.
    pub reason: Option<Reason>,
    /// Whether the gateway sent anything; `None` if the deletion is open.
    pub sent: Option<Sent>,
    /// Upstream's status.
    pub status: Option<u16>,
    /// Upstream's `ac-revision`.
    pub revision: Option<String>,
    /// The origin.
    pub domain: Option<String>,
    /// On how many connections the gateway tried; 0 if the deletion is open.
    pub attempts: u32,
    /// The caller's address.
    pub client_ip: String,
    /// Hash of the config in force.
    pub config: String,
    /// The index of the closing entry.
    pub closing_index: Option<u64>,
    /// The common id of the parts of a split deletion.
    pub group: Option<String>,
    /// The rule that allowed or denied it.
    pub rule: Option<String>,
    /// The result of a read-back. Its entry comes later, so [`ReadBacks`] provides it.
    pub reconciled: Option<ReadBack>,
}

impl Deletion {
    /// The deletion of an intent; open until [`Self::close`].
    pub(crate) fn of_intent(index: u64, time: String, intent: Intent) -> Self {
        Self {
            index,
            time,
            request_id: intent.request_id,
            operation: intent.operation,
            account: intent.account,
            users: intent.users,
            caller: intent.caller,
            token_id: intent.token_id,
            if_match: intent.if_match,
            decision: Decision::Forwarded,
            code: None,
            outcome: Progress::Open,
            reason: None,
            sent: None,
            status: None,
            revision: None,
            domain: Some(intent.domain),
            attempts: 0,
            client_ip: intent.client_ip,
            config: intent.config,
            closing_index: None,
            group: intent.group,
            rule: intent.rule,
            reconciled: None,
        }
    }

    /// The deletion of a `refused` entry.
    fn of_refused(index: u64, time: String, refused: Refused) -> Self {
        Self {
            index,
            time,
            request_id: refused.request_id,
            operation: refused.operation,
            account: refused.account,
            users: refused.users,
            caller: refused.caller,
            token_id: refused.token_id,
            if_match: refused.if_match,
            decision: Decision::Refused,
            code: Some(refused.code),
            outcome: Progress::Refused,
            reason: None,
            sent: Some(Sent::No),
            status: None,
            revision: None,
            domain: refused.domain,
            attempts: 0,
            client_ip: refused.client_ip,
            config: refused.config,
            closing_index: None,
            group: None,
            rule: refused.rule,
            reconciled: None,
        }
    }

    /// Adds the fields of the closing entry.
    fn close(&mut self, index: u64, outcome: Outcome) {
        self.outcome = Progress::Closed(outcome.ending.outcome);
        self.reason = outcome.ending.reason;
        self.sent = Some(outcome.ending.sent);
        self.status = outcome.ending.status;
        self.revision = outcome.ending.revision;
        self.attempts = outcome.ending.attempts;
        self.closing_index = Some(index);
    }

    /// Whether it is closed and [may or may not have happened](Verdict::leaves_doubt).
    pub(crate) fn is_in_doubt(&self) -> bool {
        match (self.outcome, self.sent) {
            (Progress::Closed(verdict), Some(sent)) => verdict.leaves_doubt(sent),
            _ => false,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
