//! The results of read-backs, by deletion.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;

use super::search::search;
use crate::audit::entry::{Actor, Entry, Found, Kind, Reconciled, Spelled};
use crate::audit::read::{Log, MissingRange};

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
pub struct ReadBacks {
    /// By the index of the (first) intent.
    whole: BTreeMap<u64, ReadBack>,
    /// A read-back whose parts are not complete yet: the intent, the first part's index, and the
    /// count of parts so far.
    begun: Option<(u64, u64, u32)>,
}

impl ReadBacks {
    /// The read-backs of a log, from an entry on.
    ///
    /// # Errors
    /// If a part of the log is missing.
    pub fn of(log: &mut Log, from: u64) -> Result<Self, MissingRange> {
        let mut read_backs = Self::default();
        let mut broken = Ok(());
        let passes = |_, bytes: &[u8]| may_be_read_back(bytes);
        search(log, from, passes, |raw| match raw.decode() {
            Ok(entry) => {
                read_backs.push(raw.index, &entry);
                ControlFlow::Continue(())
            }
            Err(missing) => {
                broken = Err(missing);
                ControlFlow::Break(())
            }
        })?;
        broken.map(|()| read_backs)
    }

    /// Takes the next entry; ignores all kinds except read-backs.
    pub fn push(&mut self, index: u64, entry: &Entry) {
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
            (Some(part), Some(parts)) => self.follow(begun, index, entry, (part, parts)),
            _ => None,
        };
        if let Some(index) = first {
            let (result, actor) = (entry.result, entry.actor);
            let read_back = ReadBack {
                result,
                index,
                actor,
            };
            self.whole.insert(entry.intent, read_back);
        }
    }

    /// The newest read-back of the deletion with this (first) intent.
    #[must_use]
    pub fn get(&self, intent: u64) -> Option<ReadBack> {
        self.whole.get(&intent).copied()
    }

    /// The first part's index, if this part is the last one. After a crash the other parts may be
    /// missing.
    fn follow(
        &mut self,
        begun: Option<(u64, u64, u32)>,
        index: u64,
        entry: &Reconciled,
        (part, parts): (u32, u32),
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

/// Whether an entry may be a read-back.
pub(super) fn may_be_read_back(bytes: &[u8]) -> bool {
    Spelled::of(bytes).is_none_or(|spelled| spelled.kind == b"reconciled")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::entry::compose;
    use crate::audit::entry::compose::test_reconciled;

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
}
