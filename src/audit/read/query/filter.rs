//! Selects deletions.

use super::{Deletion, Progress};
use crate::audit::entry::Verdict;
use crate::clock::Time;

/// The result of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Closed with this verdict.
    Closed(Verdict),
    /// Not closed.
    Open,
    /// Refused by the gateway.
    Refused,
}

/// The conditions that a deletion must meet, all at once; `None` admits any.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// On this account.
    pub account: Option<String>,
    /// Naming this user.
    pub user: Option<String>,
    /// By this subject, client or issuer.
    pub caller: Option<String>,
    /// By this operation.
    pub operation: Option<String>,
    /// Refused with this code.
    pub code: Option<String>,
    /// With this result.
    pub result: Option<Ended>,
    /// Asked at this time or later.
    pub since: Option<Time>,
    /// Asked before this time.
    pub until: Option<Time>,
}

impl Filter {
    /// Whether a deletion is wanted.
    #[must_use]
    pub fn admits(&self, deletion: &Deletion) -> bool {
        let same = |wanted: &Option<String>, has: &str| wanted.as_deref().is_none_or(|w| w == has);
        same(&self.account, &deletion.account)
            && same(&self.operation, &deletion.operation)
            && self
                .code
                .as_ref()
                .is_none_or(|code| deletion.code.as_ref() == Some(code))
            && self
                .user
                .as_ref()
                .is_none_or(|user| deletion.users.contains(user))
            && self
                .caller
                .as_deref()
                .is_none_or(|caller| is_caller(deletion, caller))
            && self.result.is_none_or(|result| ended(deletion, result))
            && self.is_in_time(deletion)
    }

    /// A deletion with an invalid time is in no range.
    fn is_in_time(&self, deletion: &Deletion) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        Time::parse(&deletion.time).is_some_and(|time| {
            self.since.is_none_or(|since| time >= since)
                && self.until.is_none_or(|until| time < until)
        })
    }
}

fn is_caller(deletion: &Deletion, name: &str) -> bool {
    let caller = &deletion.caller;
    caller.subject == name || caller.client.as_deref() == Some(name) || caller.issuer == name
}

fn ended(deletion: &Deletion, wanted: Ended) -> bool {
    match wanted {
        Ended::Refused => deletion.outcome == Progress::Refused,
        Ended::Open => deletion.outcome == Progress::Open,
        Ended::Closed(verdict) => deletion.outcome == Progress::Closed(verdict),
    }
}
