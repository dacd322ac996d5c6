//! Joins entries into deletions, as `audit list --json` prints them.
//!
//! A deletion is an intent (all of its parts) with its closing entry, or one `refused` entry.
//! [`Joiner`] builds deletions from entries in log order. `Filter` selects deletions. `pick` does both
//! on a log, and reads only the necessary part of the log.

mod pick;
mod search;
mod unresolved;

pub(crate) use pick::{Follower, Searched, pick};
pub(crate) use search::{Filter, entries_of, first_of};
pub use unresolved::ReadBack;
pub(crate) use unresolved::{InDoubt, Pending, ReadBacks, in_doubt};

use std::collections::{BTreeMap, HashMap};

use serde::{Serialize, Serializer};

use super::MissingRange;
use crate::audit::entry::{Caller, Entry, Intent, Kind, Outcome, Reason, Refused, Sent, Verdict};

/// The gateway's decision on a deletion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    #[default]
    /// The log has the deletion's intent. Even so, the gateway may have sent nothing in the end.
    Forwarded,
    /// The gateway refused the deletion.
    Refused,
}

/// The progress of a deletion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// The gateway refused the deletion. A refused deletion has no outcome.
    Refused,
    #[default]
    /// The deletion has no closing entry in the part of the trail that was read.
    Open,
    /// The deletion has a closing entry with this verdict.
    Closed(Verdict),
}

/// The serialized form is `null` for a refusal, `"open"`, or the verdict.
impl Serialize for Progress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Refused => serializer.serialize_none(),
            Self::Open => serializer.serialize_str("open"),
            Self::Closed(verdict) => verdict.serialize(serializer),
        }
    }
}

/// One deletion. The fields and their order are those of `audit list --json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Deletion {
    /// The index of the (first) intent, or of the `refused` entry.
    pub index: u64,
    /// The time of the entry at `index`, in RFC 3339 form.
    pub time: String,
    /// The request's id.
    pub request_id: String,
    /// The contract's name for the operation.
    pub operation: String,
    /// The account in the request's path.
    pub account: String,
    /// The users that the deletion names. A refused deletion lists at most
    /// [`MAX_REFUSED_USERS`](crate::audit::entry::MAX_REFUSED_USERS) of them.
    pub users: Vec<String>,
    /// The caller that requested the deletion.
    pub caller: Caller,
    /// The token's `jti`. If the token has none, the SHA-256 of its `header.payload` in hexadecimal.
    pub token_id: String,
    /// The value of `If-Match` as received.
    pub if_match: Option<String>,
    /// The gateway's decision.
    pub decision: Decision,
    /// The code of the refusal, if the gateway refused the deletion.
    pub code: Option<String>,
    /// How the deletion ended, or that it has not ended yet.
    pub outcome: Progress,
    /// The reason why the outcome is unknown.
    pub reason: Option<Reason>,
    /// Whether the gateway sent anything; `None` if the deletion is open.
    pub sent: Option<Sent>,
    /// The HTTP status of upstream's answer.
    pub status: Option<u16>,
    /// The `ac-revision` header of upstream's answer.
    pub revision: Option<String>,
    /// The upstream origin for the request.
    pub domain: Option<String>,
    /// The number of connections that the gateway tried; 0 if the deletion is open.
    pub attempts: u32,
    /// The caller's IP address.
    pub client_ip: String,
    /// The hash of the config that was in force.
    pub config: String,
    /// The index of the closing entry.
    pub closing_index: Option<u64>,
    /// The common id of the parts of a split deletion.
    pub group: Option<String>,
    /// The rule that allowed or denied the deletion.
    pub rule: Option<String>,
    /// The result of a read-back. [`ReadBacks`] provides it, because the read-back's entry comes after
    /// the closing entry.
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

    /// Whether the deletion is closed but [may or may not have happened](Verdict::leaves_doubt).
    pub(crate) fn is_in_doubt(&self) -> bool {
        match (self.outcome, self.sent) {
            (Progress::Closed(verdict), Some(sent)) => verdict.leaves_doubt(sent),
            _ => false,
        }
    }
}

/// Takes entries in log order and returns deletions in the order of their indexes.
///
/// Holds the oldest open deletion and all later deletions. This costs little memory, because the
/// gateway limits how long a deletion stays open, and recovery closes the deletions that a crash left
/// open. A deletion whose closing entry is in a missing range stays open in the joiner. For this
/// reason, the joiner stops waiting for a deletion before a missing range if it holds more than
/// [`MOST_HELD`] deletions.
#[derive(Clone, Debug, Default)]
pub struct Joiner {
    held: BTreeMap<u64, Deletion>,
    /// The end of the newest missing range: it can hide the closing entry only of an earlier intent.
    gap: u64,
    /// For each open group, the index of its (first) intent.
    groups: HashMap<String, u64>,
    strays: u64,
}

/// See [`Joiner`].
const MOST_HELD: usize = 65_536;

impl Joiner {
    /// Notes that a range of entries is missing here.
    pub(crate) fn skip(&mut self, range: &MissingRange) {
        if let Some(first) = range.index {
            self.gap = self.gap.max(range.end.unwrap_or(first));
        }
    }

    /// Takes the next entry. Ignores all kinds except intents, outcomes and refusals.
    pub fn push(&mut self, index: u64, entry: Entry) {
        match entry.kind {
            Kind::Intent(intent) => {
                if let Some(group) = &intent.group {
                    let known = self.groups.get(group);
                    if let Some(deletion) = known.and_then(|first| self.held.get_mut(first)) {
                        deletion.users.extend(intent.users);
                        return;
                    }
                    // The first part is before the range that is read, so ignore the later parts.
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

    /// Removes and returns the oldest deletion if it is closed. Also removes the oldest deletion if it is
    /// open before a missing range and the joiner holds too many deletions.
    pub fn next_closed(&mut self) -> Option<Deletion> {
        let (oldest, _) = self.held.first_key_value()?;
        let oldest = *oldest;
        if oldest < self.gap && self.held.len() > MOST_HELD {
            let given_up = self.held.remove(&oldest)?;
            if let Some(group) = &given_up.group {
                self.groups.remove(group);
            }
            return Some(given_up);
        }
        self.take_closed(oldest)
    }

    /// Removes and returns this deletion if it is closed.
    fn take_closed(&mut self, index: u64) -> Option<Deletion> {
        let is_closed = self.held.get(&index)?.outcome != Progress::Open;
        is_closed.then(|| self.held.remove(&index))?
    }

    /// Returns all remaining deletions at the end of the trail, oldest first, including the open ones.
    pub fn rest(self) -> impl Iterator<Item = Deletion> {
        self.held.into_values()
    }

    /// The number of closing entries that named no open intent; 0 in an intact trail.
    #[must_use]
    pub fn strays(&self) -> u64 {
        self.strays
    }
}

#[cfg(test)]
pub(crate) mod tests;
