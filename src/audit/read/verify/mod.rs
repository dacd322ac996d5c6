//! Verifies that a trail is what its checkpoint says, and that its entries are consistent: their
//! format, order and times, and that at most one outcome closes each intent and names its exact
//! bytes.
//!
//! [`check`] verifies a folder; [`Checker`] verifies entries from any source. The journal's reader
//! verifies digests, tags and the chain. A trail of any length needs little memory.

mod commands;
mod deletions;
mod failure;
mod folder;
mod job;
mod listing;
mod others;
mod receipt;
mod source;
mod summary;
mod tree;
mod walk;

pub use failure::Failure;
pub use folder::{VERIFIER, check, folder, own_verifier};
pub use job::Job;
pub use others::Others;
pub use receipt::{Claim, ClaimCheck, Finding, parse_receipt};
pub use summary::Summary;

pub use crate::audit::read::{CHECKPOINT, Trouble};

use commands::Commands;
use deletions::Deletions;

use crate::audit::entry::{EntryHead, EntrySummary};
use crate::clock::Time;

/// A fault in an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {index}: {what}")]
pub struct Fault {
    /// The first faulty entry.
    pub index: u64,
    /// A description of the fault.
    pub what: String,
}

impl Fault {
    fn at(index: u64, what: impl Into<String>) -> Self {
        Self {
            index,
            what: what.into(),
        }
    }
}

/// Takes every entry from the first on, and reports the first fault.
#[derive(Debug, Default)]
pub struct Checker {
    next_index: u64,
    newest: Option<Time>,
    clock_stepped: bool,
    deletions: Deletions,
    commands: Commands,
    summary: Summary,
}

impl Checker {
    /// Verifies the next entry; `leaf` is the RFC 6962 leaf hash of its bytes.
    ///
    /// # Errors
    /// The entry's fault. The checker must not be used after that.
    pub fn push(&mut self, index: u64, bytes: &[u8], leaf: &[u8; 32]) -> Result<(), Fault> {
        if index != self.next_index {
            let expected = self.next_index;
            return Err(Fault::at(index, format!("found where {expected} belongs")));
        }
        self.next_index += 1;
        let head = EntryHead::decode(bytes).map_err(|what| Fault { index, what })?;
        let time = self.check_time(index, &head.time)?;
        match &head.summary {
            EntrySummary::Intent(intent) => self.deletions.begin(index, intent, leaf)?,
            EntrySummary::Outcome(outcome) => self.deletions.close(index, outcome)?,
            EntrySummary::Unknown(kind) => {
                let what = format!("not an entry that this version knows: its kind is `{kind}`");
                return Err(Fault { index, what });
            }
            _ => {}
        }
        self.commands.push(index, &head.summary)?;
        self.summary.count(&head.summary, time);
        self.clock_stepped = matches!(head.summary, EntrySummary::ClockStep);
        Ok(())
    }

    /// The summary of the trail, at its end.
    ///
    /// # Errors
    /// A split deletion with missing parts: the writer writes all of them together.
    pub fn finish(mut self) -> Result<Summary, Fault> {
        self.deletions.finish()?;
        self.summary.open = self.deletions.open();
        Ok(self.summary)
    }

    /// A time may equal the one before. It may be earlier only right after the `trouble` entry that
    /// reports the step.
    fn check_time(&mut self, index: u64, text: &str) -> Result<Time, Fault> {
        let time = Time::parse(text)
            .filter(|time| time.to_string() == text)
            .ok_or_else(|| Fault::at(index, "its time is not RFC 3339 in UTC with microseconds"))?;
        if let Some(before) = self.newest
            && time < before
            && !self.clock_stepped
        {
            return Err(Fault::at(
                index,
                format!(
                    "its time {time} lies before {before} of the entry before it, and no `trouble` entry says that the clock was set back"
                ),
            ));
        }
        self.newest = Some(time);
        Ok(time)
    }
}

#[cfg(test)]
mod damage;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
