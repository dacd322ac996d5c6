//! The deletions in doubt, with their read-backs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::path::Path;

use memchr::memmem;

use super::pick::Searched;
use super::read_backs::may_be_read_back;
use super::search::search;
use super::{Deletion, Joiner, ReadBacks};
use crate::audit::entry::{Entry, Kind, Spelled};
use crate::audit::read::{Log, MissingRange};
use crate::clock::Time;

/// A deletion in doubt; unresolved while its `reconciled` is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The deletion.
    pub deletion: Deletion,
    /// The time of its closing entry.
    pub closed: Time,
}

/// Collects deletions in doubt from all entries of a log, in order. Holds these and the content of
/// a [`Joiner`], no more.
#[derive(Debug, Default)]
pub struct Unresolved {
    joiner: Joiner,
    read_backs: ReadBacks,
    /// When each intent that the joiner still holds was closed.
    closings: HashMap<u64, Time>,
    in_doubt: BTreeMap<u64, Pending>,
}

impl Unresolved {
    /// All deletions in doubt of the trail in this folder; see [`Self::finish`]. Takes no lock.
    ///
    /// # Errors
    /// If a part of the log is missing: the answer would be incomplete.
    pub fn of_folder(directory: &Path) -> Result<Vec<Pending>, MissingRange> {
        let (all, _) = Self::of(|| Log::folder(directory, None))?;
        Ok(all)
    }

    /// [`Self::of_folder`] for a log that this opens twice; also returns the range of the search.
    ///
    /// # Errors
    /// Same as [`Self::of_folder`], and the errors of `open`.
    pub fn of<E: From<MissingRange>>(
        open: impl Fn() -> Result<Log, E>,
    ) -> Result<(Vec<Pending>, Searched), E> {
        // Finds the deletions in doubt first and their intents second, to decode few entries of a
        // large trail.
        let mut intents = BTreeSet::new();
        each(&mut open()?, may_be_in_doubt, |_, entry| {
            if let Kind::Outcome(outcome) = entry.kind {
                let parts = outcome.leaves.len() as u64;
                intents.extend(outcome.intent..outcome.intent.saturating_add(parts));
            }
        })?;
        let mut unresolved = Self::default();
        let is_wanted = |index: u64, bytes: &[u8]| {
            intents.contains(&index) || may_be_in_doubt(index, bytes) || may_be_read_back(bytes)
        };
        let end = each(&mut open()?, is_wanted, |index, entry| {
            unresolved.push(index, entry);
        })?;
        Ok((unresolved.finish(), Searched { first: 0, end }))
    }

    /// Takes the next entry.
    pub fn push(&mut self, index: u64, entry: Entry) {
        self.read_backs.push(index, &entry);
        if let Kind::Outcome(outcome) = &entry.kind
            && let Some(time) = Time::parse(&entry.time)
        {
            self.closings.insert(outcome.intent, time);
        }
        self.joiner.push(index, entry);
        while let Some(deletion) = self.joiner.next_closed() {
            self.take(deletion);
        }
    }

    /// All deletions in doubt, oldest first, also those with a read-back.
    #[must_use]
    pub fn finish(mut self) -> Vec<Pending> {
        for deletion in std::mem::take(&mut self.joiner).rest() {
            self.take(deletion);
        }
        let read_backs = self.read_backs;
        let mut all: Vec<Pending> = self.in_doubt.into_values().collect();
        for pending in &mut all {
            pending.deletion.reconciled = read_backs.get(pending.deletion.index);
        }
        all
    }

    fn take(&mut self, deletion: Deletion) {
        let closed = self.closings.remove(&deletion.index);
        if let Some(closed) = closed.filter(|_| deletion.is_in_doubt()) {
            let pending = Pending { deletion, closed };
            self.in_doubt.insert(pending.deletion.index, pending);
        }
    }
}

/// Passes the entries that meet `passes` to `each`, decoded. Returns the index after the last entry
/// that was read.
fn each(
    log: &mut Log,
    passes: impl Fn(u64, &[u8]) -> bool + Sync,
    mut each: impl FnMut(u64, Entry),
) -> Result<u64, MissingRange> {
    let mut broken = Ok(());
    let end = search(log, 0, passes, |raw| match raw.decode() {
        Ok(entry) => {
            each(raw.index, entry);
            ControlFlow::Continue(())
        }
        Err(missing) => {
            broken = Err(missing);
            ControlFlow::Break(())
        }
    })?;
    broken.map(|()| end)
}

/// Whether an entry may be an outcome that leaves a deletion in doubt.
fn may_be_in_doubt(_: u64, bytes: &[u8]) -> bool {
    let has = |text: &str| memmem::find(bytes, text.as_bytes()).is_some();
    Spelled::of(bytes).is_none_or(|spelled| {
        spelled.kind == b"outcome"
            && (has("\"outcome\":\"unknown\"") || has("\"outcome\":\"failed\""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::entry::compose::{test_closing, test_reconciled};
    use crate::audit::entry::{Sent, Verdict};
    use crate::audit::read::query::tests::intent;

    fn collected(kinds: Vec<Kind>) -> Vec<Pending> {
        let mut unresolved = Unresolved::default();
        for (index, kind) in (0..).zip(kinds) {
            let time = Time(1_000_000 * i64::try_from(index).unwrap()).to_string();
            unresolved.push(index, Entry { time, kind });
        }
        unresolved.finish()
    }

    #[test]
    fn p2_only_unknown_and_failed_after_sending_are_in_doubt() {
        let mut kinds: Vec<Kind> = (0..6)
            .map(|n| Kind::Intent(intent(&n.to_string(), &["1"])))
            .collect();
        kinds.push(test_closing(0, Verdict::Unknown, Sent::Unknown));
        kinds.push(test_closing(1, Verdict::Failed, Sent::Yes));
        kinds.push(test_closing(2, Verdict::Failed, Sent::No));
        kinds.push(test_closing(3, Verdict::Deleted, Sent::Yes));
        kinds.push(test_closing(4, Verdict::Rejected, Sent::Yes));
        let found = collected(kinds);
        let shown: Vec<_> = found.iter().map(|p| (p.deletion.index, p.closed)).collect();
        assert_eq!(shown, [(0, Time(6_000_000)), (1, Time(7_000_000))]);
    }

    #[test]
    fn p2_a_deletion_has_its_read_back() {
        let kinds = vec![
            Kind::Intent(intent("a", &["1"])),
            Kind::Intent(intent("b", &["1"])),
            test_closing(0, Verdict::Unknown, Sent::Unknown),
            Kind::Reconciled(test_reconciled(0, 1)),
            test_closing(1, Verdict::Unknown, Sent::Unknown),
        ];
        let found = collected(kinds);
        assert_eq!(found[0].deletion.reconciled.unwrap().index, 3);
        assert_eq!(found[1].deletion.reconciled, None);
    }
}
