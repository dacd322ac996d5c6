//! What happened to whom: entries joined into deletions, as `audit list --json` prints them.
//!
//! A deletion is an intent (all of its parts) and the entry that closes it, or one `refused`
//! entry. [`Joiner`] makes them from entries in order, [`Filter`] picks some of them; [`pick()`] does
//! both on a log, and reads no more of it than it must.

mod filter;
mod follow;
mod join;
mod locate;
mod newest;
mod pick;
mod prefilter;
mod read_backs;
mod search;
mod unresolved;

pub use filter::{Ended, Filter};
pub use follow::Follower;
pub use join::Joiner;
pub use locate::{entries_of, first_of};
pub use pick::{Searched, pick};
pub use read_backs::{ReadBack, ReadBacks};
pub use search::{Raw, search};
pub use unresolved::{Pending, Unresolved};

use serde::{Serialize, Serializer};

use crate::audit::entry::{Caller, Intent, Outcome, Reason, Refused, Sent, Verdict};

/// What the gateway did with a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Its intent is on record, also where nothing was sent in the end.
    Forwarded,
    /// The gateway said no.
    Refused,
}

/// How far a deletion has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It was refused, so it has no outcome.
    Refused,
    /// No closing entry stands in the part of the trail that was read.
    Open,
    /// It was closed so.
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

/// One deletion; the fields and their order are those of `audit list --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deletion {
    /// Index of the (first) intent, or of the `refused` entry.
    pub index: u64,
    /// That entry's time, RFC 3339.
    pub time: String,
    /// The request's id.
    pub request_id: String,
    /// The contract's name for what was asked.
    pub operation: String,
    /// The account in the path.
    pub account: String,
    /// The users named: all of them, of a refused deletion at most
    /// [`MAX_REFUSED_USERS`](crate::audit::entry::MAX_REFUSED_USERS).
    pub users: Vec<String>,
    /// Who asked.
    pub caller: Caller,
    /// `jti`, or else SHA-256 of the token's `header.payload` in hexadecimal.
    pub token_id: String,
    /// The `If-Match` as it came.
    pub if_match: Option<String>,
    /// What the gateway did.
    pub decision: Decision,
    /// The refusal's code.
    pub code: Option<String>,
    /// How it ended.
    pub outcome: Progress,
    /// Why it is unknown.
    pub reason: Option<Reason>,
    /// Whether anything left; `None` while it is open.
    pub sent: Option<Sent>,
    /// Upstream's status.
    pub status: Option<u16>,
    /// Upstream's `ac-revision`.
    pub revision: Option<String>,
    /// The origin.
    pub domain: Option<String>,
    /// How often it was tried on a connection; 0 while it is open.
    pub attempts: u32,
    /// The caller's address.
    pub client_ip: String,
    /// Hash of the config in force.
    pub config: String,
    /// Index of the entry that closed it.
    pub closing_index: Option<u64>,
    /// What the parts of a split deletion share.
    pub group: Option<String>,
    /// The rule that allowed or denied it.
    pub rule: Option<String>,
    /// What reading its users back said; the entry stands later, so [`ReadBacks`] knows it.
    pub reconciled: Option<ReadBack>,
}

impl Deletion {
    /// Of the (first) intent; open until it is [closed](Self::close).
    #[must_use]
    pub fn of_intent(index: u64, time: String, intent: Intent) -> Self {
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

    /// Of a `refused` entry.
    #[must_use]
    pub fn of_refused(index: u64, time: String, refused: Refused) -> Self {
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

    /// Adds what its closing entry says.
    pub fn close(&mut self, index: u64, outcome: Outcome) {
        self.outcome = Progress::Closed(outcome.ending.outcome);
        self.reason = outcome.ending.reason;
        self.sent = Some(outcome.ending.sent);
        self.status = outcome.ending.status;
        self.revision = outcome.ending.revision;
        self.attempts = outcome.ending.attempts;
        self.closing_index = Some(index);
    }

    /// Whether it is closed and yet [may or may not have happened](Verdict::leaves_doubt).
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        match (self.outcome, self.sent) {
            (Progress::Closed(verdict), Some(sent)) => verdict.leaves_doubt(sent),
            _ => false,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
