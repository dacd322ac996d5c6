//! Joins entries into deletions, as `audit list --json` prints them.
//!
//! A deletion is an intent (all of its parts) with its closing entry, or one `refused` entry.
//! [`Joiner`] builds deletions from entries in order, and `Filter` selects some of them; `pick` does
//! both on a log, and reads no more of it than necessary.

mod pick;
mod search;
mod unresolved;

pub(crate) use pick::{Follower, Searched, pick};
pub(crate) use search::{Filter, entries_of, first_of};
pub use unresolved::ReadBack;
pub(crate) use unresolved::{InDoubt, Pending, ReadBacks, in_doubt};

use std::collections::{BTreeMap, HashMap};

use serde::{Serialize, Serializer};

use crate::audit::entry::{Caller, Entry, Intent, Kind, Outcome, Reason, Refused, Sent, Verdict};

/// The gateway's decision on a deletion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    #[default]
    /// Its intent is on record, even if the gateway sent nothing in the end.
    Forwarded,
    /// The gateway refused it.
    Refused,
}

/// The progress of a deletion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// The gateway refused it, so it has no outcome.
    Refused,
    #[default]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
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
            domain: Some(intent.domain),
            client_ip: intent.client_ip,
            config: intent.config,
            group: intent.group,
            rule: intent.rule,
            ..Self::default()
        }
    }

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
            sent: Some(Sent::No),
            domain: refused.domain,
            client_ip: refused.client_ip,
            config: refused.config,
            rule: refused.rule,
            ..Self::default()
        }
    }

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

/// Takes entries in order and returns deletions in the order of their index.
///
/// Holds only the deletions from the oldest open one on: the gateway limits how long a deletion
/// stays open, and recovery closes the ones that a crash left open. A closing entry in a missing
/// range never comes, so behind one the joiner holds at most [`MOST_HELD`] deletions.
#[derive(Debug, Default)]
pub struct Joiner {
    held: BTreeMap<u64, Deletion>,
    has_gap: bool,
    /// The (first) intent of each group that is open.
    groups: HashMap<String, u64>,
    strays: u64,
}

/// See [`Joiner`].
const MOST_HELD: usize = 65_536;

impl Joiner {
    /// Notes that a range of entries is missing here.
    pub(crate) fn skip(&mut self) {
        self.has_gap = true;
    }

    /// Takes the next entry; ignores kinds that belong to no deletion.
    pub fn push(&mut self, index: u64, entry: Entry) {
        match entry.kind {
            Kind::Intent(intent) => {
                if let Some(group) = &intent.group {
                    let known = self.groups.get(group);
                    if let Some(deletion) = known.and_then(|first| self.held.get_mut(first)) {
                        deletion.users.extend(intent.users);
                        return;
                    }
                    // The first part precedes the part of the log that is read.
                    if intent.part.is_some_and(|part| part > 1) {
                        return;
                    }
                    self.groups.insert(group.clone(), index);
                }
                let deletion = Deletion::of_intent(index, entry.time, intent);
                self.held.insert(index, deletion);
            }
            Kind::Outcome(outcome) => match self.held.get_mut(&outcome.intent) {
                Some(deletion) if deletion.outcome == Progress::Open => {
                    if let Some(group) = &deletion.group {
                        self.groups.remove(group);
                    }
                    deletion.close(index, outcome);
                }
                _ => self.strays += 1,
            },
            Kind::Refused(refused) => {
                let deletion = Deletion::of_refused(index, entry.time, refused);
                self.held.insert(index, deletion);
            }
            _ => {}
        }
    }

    /// Removes the oldest deletion, if it is closed, or if the joiner holds too many behind a gap.
    pub fn next_closed(&mut self) -> Option<Deletion> {
        if self.has_gap && self.held.len() > MOST_HELD {
            return self.held.pop_first().map(|(_, oldest)| oldest);
        }
        let (oldest, _) = self.held.first_key_value()?;
        self.take_closed(*oldest)
    }

    /// Removes this deletion, if it is closed.
    fn take_closed(&mut self, index: u64) -> Option<Deletion> {
        let is_closed = self.held.get(&index)?.outcome != Progress::Open;
        is_closed.then(|| self.held.remove(&index))?
    }

    /// All remaining deletions at the end of the trail, open ones included, oldest first.
    pub fn rest(self) -> impl Iterator<Item = Deletion> {
        self.held.into_values()
    }

    /// How many closing entries named no open intent: none in a sound trail.
    #[must_use]
    pub fn strays(&self) -> u64 {
        self.strays
    }
}

#[cfg(test)]
pub(crate) mod tests;
