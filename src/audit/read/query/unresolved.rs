//! Finds the deletions in doubt: closed deletions that may or may not have happened. Also finds their
//! read-backs.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use memchr::memmem;
use serde::Serialize;

use super::search::each_entry;
use super::{Deletion, Joiner};
use crate::audit::entry::{Actor, Entry, Found, Kind, Spelled};
use crate::audit::read::{Log, Missing};
use crate::clock::Time;

/// A deletion in doubt. The deletion is unresolved while its field `reconciled` is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) deletion: Deletion,
    /// The time of the deletion's closing entry.
    pub(crate) closed: Time,
}

/// All deletions in doubt in a log.
#[derive(Debug)]
pub(crate) struct InDoubt {
    /// The deletions, oldest first, including those with a read-back.
    pub(crate) all: Vec<Pending>,
    /// The index after the last entry that was searched.
    pub(crate) end: u64,
    /// The ranges that could not be read. They may hold further deletions in doubt or read-backs.
    pub(crate) missing: Missing,
}

/// Finds all deletions in doubt in a log. Opens the log twice.
pub(crate) fn in_doubt<E>(open: impl Fn() -> Result<Log, E>) -> Result<InDoubt, E> {
    // The first pass finds the outcomes that may leave doubt. The second pass reads their intents. This
    // way, few entries of a large trail are decoded.
    let mut intents = BTreeSet::new();
    let (end, mut missing) = each_entry(&mut open()?, 0, may_be_in_doubt, |_, entry| {
        if let Kind::Outcome(outcome) = entry.kind {
            let parts = outcome.leaves.len() as u64;
            intents.extend(outcome.intent..outcome.intent.saturating_add(parts));
        }
        Ok::<_, E>(())
    })?;
    let mut unresolved = Unresolved::default();
    // The gateway may have written more entries between the two passes. The first pass did not see their
    // intents, so they are not part of the answer.
    let is_wanted = |index: u64, bytes: &[u8]| {
        let is_known = intents.contains(&index) || may_be_in_doubt(index, bytes);
        index < end && is_known || may_be_read_back(index, bytes)
    };
    let (_, unread) = each_entry(&mut open()?, 0, is_wanted, |index, entry| {
        unresolved.push(index, entry);
        Ok::<_, E>(())
    })?;
    // A part that could be read only once is missing too: the answer needs both passes.
    missing.append(unread);
    Ok(InDoubt {
        all: unresolved.finish(),
        end,
        missing,
    })
}

#[derive(Debug, Default)]
struct Unresolved {
    joiner: Joiner,
    read_backs: ReadBacks,
    /// The deletions in doubt, by the index of the (first) intent.
    in_doubt: BTreeMap<u64, Pending>,
}

impl Unresolved {
    fn push(&mut self, index: u64, entry: Entry) {
        self.read_backs.push(index, &entry);
        let closes = match &entry.kind {
            Kind::Outcome(outcome) => Time::parse(&entry.time).map(|time| (outcome.intent, time)),
            _ => None,
        };
        self.joiner.push(index, entry);
        if let Some((intent, closed)) = closes
            && let Some(deletion) = self.joiner.take_closed(intent)
            && deletion.is_in_doubt()
        {
            self.in_doubt.insert(intent, Pending { deletion, closed });
        }
    }

    fn finish(mut self) -> Vec<Pending> {
        for (intent, pending) in &mut self.in_doubt {
            pending.deletion.reconciled = self.read_backs.get(*intent);
        }
        self.in_doubt.into_values().collect()
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
    /// The worst of the results for the deletion's users.
    pub result: Found,
    /// The index of the read-back's (first) entry.
    pub index: u64,
    /// The operator who ran `audit reconcile`.
    pub actor: Actor,
}

/// Collects read-backs from entries in log order. Keeps the newest read-back of each deletion.
#[derive(Debug, Default)]
pub(crate) struct ReadBacks {
    /// The complete read-backs, by the index of the deletion's (first) intent.
    whole: BTreeMap<u64, ReadBack>,
    /// A split read-back whose last part is not read yet: the index of the intent, the index of the
    /// read-back's first part, and the number of the next part.
    begun: Option<(u64, u64, u32)>,
}

impl ReadBacks {
    /// The read-backs from an index on, and the ranges that could not be read.
    pub(crate) fn of(log: &mut Log, from: u64) -> (Self, Missing) {
        let mut read_backs = Self::default();
        let Ok((_, missing)) = each_entry(log, from, may_be_read_back, |index, entry| {
            read_backs.push(index, &entry);
            Ok::<_, Infallible>(())
        });
        (read_backs, missing)
    }

    /// Takes the next entry. Ignores a split read-back unless its parts follow each other directly, from
    /// first to last. After a crash, parts can be missing.
    fn push(&mut self, index: u64, entry: &Entry) {
        let Kind::Reconciled(entry) = &entry.kind else {
            return;
        };
        let begun = self.begun.take();
        let (part, parts) = match (entry.part, entry.parts) {
            (None, None) => (1, 1),
            (Some(part), Some(parts)) if parts > 1 && part <= parts => (part, parts),
            _ => return,
        };
        let first = match begun {
            _ if part == 1 => index,
            Some((intent, first, next))
                if (intent, next) == (entry.intent, part)
                    && first + u64::from(part) == index + 1 =>
            {
                first
            }
            _ => return,
        };
        if part < parts {
            self.begun = Some((entry.intent, first, part + 1));
            return;
        }
        let read_back = ReadBack {
            result: entry.result,
            index: first,
            actor: entry.actor,
        };
        self.whole.insert(entry.intent, read_back);
    }

    /// The newest read-back of the deletion with this (first) intent.
    pub(crate) fn get(&self, intent: u64) -> Option<ReadBack> {
        self.whole.get(&intent).copied()
    }
}

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
