//! The deletions in doubt, and their read-backs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use memchr::memmem;
use serde::Serialize;

use super::pick::Searched;
use super::search::each_entry;
use super::{Deletion, Joiner};
use crate::audit::entry::{Actor, Entry, Found, Kind, Reconciled, Spelled};
use crate::audit::read::{Log, MissingRange};
use crate::clock::Time;

/// A deletion in doubt; unresolved while its `reconciled` is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) deletion: Deletion,
    /// The time of its closing entry.
    pub(crate) closed: Time,
}

/// Collects deletions in doubt from all entries of a log, in order. Holds these and the content of
/// a [`Joiner`], no more.
#[derive(Debug, Default)]
pub(crate) struct Unresolved {
    joiner: Joiner,
    read_backs: ReadBacks,
    /// When each intent that the joiner still holds was closed.
    closings: HashMap<u64, Time>,
    /// Oldest first.
    in_doubt: Vec<Pending>,
}

impl Unresolved {
    /// All deletions in doubt of the trail in this folder; see [`Self::finish`]. Takes no lock. If a
    /// part of the log is missing, the answer would be incomplete, so this is an error.
    pub(crate) fn of_folder(directory: &Path) -> Result<Vec<Pending>, MissingRange> {
        let (all, _) = Self::of(|| Log::folder(directory, None))?;
        Ok(all)
    }

    /// [`Self::of_folder`] for a log that this opens twice; also returns the range of the search.
    pub(crate) fn of<E: From<MissingRange>>(
        open: impl Fn() -> Result<Log, E>,
    ) -> Result<(Vec<Pending>, Searched), E> {
        // Finds the deletions in doubt first and their intents second, to decode few entries of a
        // large trail.
        let mut intents = BTreeSet::new();
        each_entry(&mut open()?, 0, may_be_in_doubt, |_, entry| {
            if let Kind::Outcome(outcome) = entry.kind {
                let parts = outcome.leaves.len() as u64;
                intents.extend(outcome.intent..outcome.intent.saturating_add(parts));
            }
            Ok::<_, E>(())
        })?;
        let mut unresolved = Self::default();
        let is_wanted = |index: u64, bytes: &[u8]| {
            intents.contains(&index)
                || may_be_in_doubt(index, bytes)
                || may_be_read_back(index, bytes)
        };
        let end = each_entry(&mut open()?, 0, is_wanted, |index, entry| {
            unresolved.push(index, entry);
            Ok::<_, E>(())
        })?;
        Ok((unresolved.finish(), Searched { first: 0, end }))
    }

    /// Takes the next entry.
    fn push(&mut self, index: u64, entry: Entry) {
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
    fn finish(mut self) -> Vec<Pending> {
        for deletion in std::mem::take(&mut self.joiner).rest() {
            self.take(deletion);
        }
        for pending in &mut self.in_doubt {
            pending.deletion.reconciled = self.read_backs.get(pending.deletion.index);
        }
        self.in_doubt
    }

    fn take(&mut self, deletion: Deletion) {
        let closed = self.closings.remove(&deletion.index);
        if let Some(closed) = closed.filter(|_| deletion.is_in_doubt()) {
            self.in_doubt.push(Pending { deletion, closed });
        }
    }
}

/// Whether an entry may be an outcome that leaves a deletion in doubt.
fn may_be_in_doubt(_: u64, bytes: &[u8]) -> bool {
    let has = |text: &str| memmem::find(bytes, text.as_bytes()).is_some();
    Spelled::of(bytes).is_none_or(|spelled| {
        spelled.kind == b"outcome"
            && (has("\"outcome\":\"unknown\"") || has("\"outcome\":\"failed\""))
    })
}

/// The result of a deletion's read-back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ReadBack {
    /// The worst of its users' results.
    pub result: Found,
    /// The index of its (first) entry.
    pub index: u64,
    /// Who gave the command.
    pub actor: Actor,
}

/// Collects read-backs from entries in order; keeps the newest of each deletion.
#[derive(Debug, Default)]
pub(crate) struct ReadBacks {
    /// By the index of the (first) intent.
    whole: BTreeMap<u64, ReadBack>,
    /// A read-back whose parts are not complete yet: the intent, the first part's index, and the
    /// count of parts so far.
    begun: Option<(u64, u64, u32)>,
}

impl ReadBacks {
    /// The read-backs of a log, from an entry on.
    pub(crate) fn of(log: &mut Log, from: u64) -> Result<Self, MissingRange> {
        let mut read_backs = Self::default();
        each_entry(log, from, may_be_read_back, |index, entry| {
            read_backs.push(index, &entry);
            Ok::<_, MissingRange>(())
        })?;
        Ok(read_backs)
    }

    /// Takes the next entry; ignores all kinds except read-backs.
    fn push(&mut self, index: u64, entry: &Entry) {
        let Kind::Reconciled(entry) = &entry.kind else {
            return;
        };
        let begun = self.begun.take();
        let first = match (entry.part, entry.parts) {
            (None, None) => Some(index),
            (Some(1), Some(_)) => {
                self.begun = Some((entry.intent, index, 1));
                None
            }
            (Some(part), Some(parts)) => self.follow(begun, index, entry, part, parts),
            _ => None,
        };
        if let Some(index) = first {
            let read_back = ReadBack {
                result: entry.result,
                index,
                actor: entry.actor,
            };
            self.whole.insert(entry.intent, read_back);
        }
    }

    /// The newest read-back of the deletion with this (first) intent.
    pub(crate) fn get(&self, intent: u64) -> Option<ReadBack> {
        self.whole.get(&intent).copied()
    }

    /// The first part's index, if this part is the last one. After a crash the other parts may be
    /// missing.
    fn follow(
        &mut self,
        begun: Option<(u64, u64, u32)>,
        index: u64,
        entry: &Reconciled,
        part: u32,
        parts: u32,
    ) -> Option<u64> {
        let (intent, first, there) = begun?;
        let is_next = there.checked_add(1) == Some(part) && index == first + u64::from(there);
        if intent != entry.intent || !is_next {
            return None;
        }
        if part == parts {
            return Some(first);
        }
        self.begun = Some((intent, first, part));
        None
    }
}

/// False if the bytes show that the entry is no read-back; true also if only the decoder can tell.
fn may_be_read_back(_: u64, bytes: &[u8]) -> bool {
    Spelled::of(bytes).is_none_or(|spelled| spelled.kind == b"reconciled")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::entry::compose::{self, test_closing, test_reconciled};
    use crate::audit::entry::{Sent, Verdict};
    use crate::audit::read::query::tests::intent;

    fn entry(kind: Kind) -> Entry {
        Entry {
            time: "2026-11-24T12:00:00.000000Z".into(),
            kind,
        }
    }

    fn read(kinds: impl IntoIterator<Item = Kind>) -> ReadBacks {
        let mut read_backs = ReadBacks::default();
        for (index, kind) in (10..).zip(kinds) {
            read_backs.push(index, &entry(kind));
        }
        read_backs
    }

    fn parts() -> Vec<Kind> {
        let parts = compose::reconciled(test_reconciled(4, 5_000));
        assert!(parts.len() > 2);
        parts.into_iter().map(Kind::Reconciled).collect()
    }

    #[test]
    fn the_newest_read_back_counts() {
        let mut second = test_reconciled(4, 1);
        second.result = Found::StillThere;
        let kinds = [test_reconciled(4, 1), second, test_reconciled(5, 1)];
        let read_backs = read(kinds.map(Kind::Reconciled));
        let of = read_backs.get(4).unwrap();
        assert_eq!((of.result, of.index), (Found::StillThere, 11));
        assert_eq!(read_backs.get(6), None);
    }

    #[test]
    fn parts_count_once_all_follow_each_other() {
        assert_eq!(read(parts()).get(4).unwrap().index, 10);
        let last = parts().len() - 1;
        assert_eq!(read(parts().into_iter().take(last)).get(4), None);
        assert_eq!(read(parts().into_iter().skip(1)).get(4), None);
        let mut parted = parts();
        parted.insert(1, Kind::Alive {});
        assert_eq!(read(parted).get(4), None);
    }

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
