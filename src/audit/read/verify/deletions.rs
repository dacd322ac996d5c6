//! Verifies the entries of one deletion. At most one outcome closes each intent, and it names the
//! bytes of all parts. A read-back belongs to a deletion in doubt, and gives the worst of its users'
//! results.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Failure;
use crate::audit::entry::{Found, IntentSummary, OutcomeSummary, Reconciled};
use crate::audit::log::merkle::Hash;

/// The deletions that later entries may belong to, by the index of their (first) intent.
#[derive(Debug, Default)]
pub(super) struct Deletions {
    open: BTreeMap<u64, Open>,
    /// The index of the first part, for groups with parts that have not come yet.
    incomplete: HashMap<String, u64>,
    in_doubt: BTreeSet<u64>,
    /// The next part of a read-back, and the worst result of the parts before it.
    next_part: Option<(Part, Found)>,
}

#[derive(Debug)]
struct Open {
    request_id: String,
    /// 1 if the deletion was not split.
    parts: u32,
    /// The leaf hashes of the parts so far, in the spelling of an outcome (base64).
    leaves: Vec<String>,
}

/// The place of a read-back's part.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    index: u64,
    intent: u64,
    part: u32,
    parts: u32,
}

impl Deletions {
    /// Takes an intent or a part of one.
    pub(super) fn begin(
        &mut self,
        index: u64,
        intent: &IntentSummary<'_>,
        leaf: &Hash,
    ) -> Result<(), String> {
        let leaf = STANDARD.encode(leaf);
        let (part, parts) = match (&intent.group, intent.part, intent.parts) {
            (None, None, None) => (1, 1),
            (Some(_), Some(part), Some(parts)) if (1..=parts).contains(&part) => (part, parts),
            _ => return Err("`group`, `part` and `parts` do not go together".into()),
        };
        let group = intent.group.as_ref();
        let first = group.and_then(|group| self.incomplete.get(group));
        match first.and_then(|first| self.open.get_mut(first)) {
            Some(open) if open.parts == parts && open.leaves.len() + 1 == part as usize => {
                if open.request_id != intent.request_id {
                    return Err("a part of another request's group".into());
                }
                open.leaves.push(leaf);
            }
            None if part == 1 => {
                let open = Open {
                    request_id: intent.request_id.clone().into_owned(),
                    parts,
                    leaves: vec![leaf],
                };
                self.open.insert(index, open);
                self.incomplete
                    .extend(group.map(|group| (group.clone(), index)));
            }
            _ => return Err(format!("part {part} of {parts} is out of order")),
        }
        if let Some(group) = group.filter(|_| part == parts) {
            self.incomplete.remove(group);
        }
        Ok(())
    }

    /// Checks that the deletion of this intent, if it is open, lacks no part.
    pub(super) fn must_be_whole(&self, first: u64) -> Result<(), Failure> {
        let Some(open) = self.open.get(&first) else {
            return Ok(());
        };
        let (there, parts) = (open.leaves.len(), open.parts);
        if there == parts as usize {
            return Ok(());
        }
        Err(Failure::damaged(format!("it has only {there} of its {parts} parts")).at(first))
    }

    /// Takes the outcome of a whole deletion.
    pub(super) fn close(&mut self, outcome: &OutcomeSummary<'_>) -> Result<(), String> {
        let first = outcome.intent;
        let wrong = |what| Err(format!("closes entry {first}{what}"));
        let Some(open) = self.open.remove(&first) else {
            return wrong(", which is not an intent, or was closed before");
        };
        if open.leaves != outcome.leaves {
            return wrong(" by a leaf hash that is not that entry's");
        }
        if open.request_id != outcome.request_id {
            return wrong(", which is another request's");
        }
        if outcome.verdict.leaves_doubt(outcome.sent) {
            self.in_doubt.insert(first);
        }
        Ok(())
    }

    /// Takes a read-back or a part of one. Its parts are consecutive entries.
    pub(super) fn read_back(&mut self, index: u64, entry: &Reconciled) -> Result<(), String> {
        let intent = entry.intent;
        if !self.in_doubt.contains(&intent) {
            let what = format!("reads back entry {intent}, which is no deletion in doubt");
            return Err(what);
        }
        let worst = entry.users.iter().map(|user| user.result).max();
        let worst = worst.ok_or("reads back no user")?;
        let (part, parts) = match (entry.part, entry.parts) {
            (None, None) => (1, 1),
            (Some(part), Some(parts)) if parts > 1 && (1..=parts).contains(&part) => (part, parts),
            _ => return Err("`part` and `parts` do not go together".into()),
        };
        let here = Part {
            index,
            intent,
            part,
            parts,
        };
        let worst = match self.next_part.take() {
            _ if part == 1 => worst,
            Some((next, before)) if next == here => worst.max(before),
            _ => return Err(format!("part {part} of {parts} is out of order")),
        };
        if worst > entry.result || (part == parts && worst != entry.result) {
            return Err("its result is not the worst of its users'".into());
        }
        if part < parts {
            let next = Part {
                index: index + 1,
                part: part + 1,
                ..here
            };
            self.next_part = Some((next, worst));
        }
        Ok(())
    }

    /// How many intents are open at the end of the trail. A split deletion with missing parts is an
    /// error.
    pub(super) fn finish(&self) -> Result<u64, Failure> {
        if let Some(first) = self.incomplete.values().min() {
            self.must_be_whole(*first)?;
        }
        Ok(self.open.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::entry::compose;
    use crate::audit::entry::compose::{test_closing, test_reconciled};
    use crate::audit::entry::{Entry, EntryHead, EntrySummary, Kind, Sent, Verdict};

    fn push(deletions: &mut Deletions, index: u64, kind: Kind) -> Result<(), String> {
        let time = "2026-11-24T12:00:00.000000Z".to_owned();
        let bytes = Entry { time, kind }.to_bytes();
        match EntryHead::decode(&bytes).unwrap().summary {
            EntrySummary::Outcome(outcome) => {
                // `test_closing` names no leaf.
                let open = Open {
                    request_id: outcome.request_id.clone().into_owned(),
                    parts: 0,
                    leaves: vec![],
                };
                deletions.open.insert(outcome.intent, open);
                deletions.close(&outcome)
            }
            EntrySummary::Reconciled(entry) => deletions.read_back(index, &entry),
            other => panic!("{other:?}"),
        }
    }

    /// The first fault in these entries after an unknown outcome of deletion 4.
    fn judged(kinds: impl IntoIterator<Item = Kind>) -> Option<String> {
        let mut deletions = Deletions::default();
        let unknown = test_closing(4, Verdict::Unknown, Sent::Unknown);
        let kinds = [unknown].into_iter().chain(kinds);
        (10..)
            .zip(kinds)
            .find_map(|(index, kind)| push(&mut deletions, index, kind).err())
    }

    fn parts() -> Vec<Kind> {
        let parts = compose::reconciled(test_reconciled(4, 5_000));
        parts.into_iter().map(Kind::Reconciled).collect()
    }

    #[test]
    fn a_read_back_is_of_a_deletion_in_doubt() {
        let of = |intent| Kind::Reconciled(test_reconciled(intent, 1));
        assert_eq!(judged([of(4), of(4)]), None);
        assert!(judged([of(5)]).unwrap().contains("no deletion in doubt"));
        let sent = test_closing(5, Verdict::Failed, Sent::Yes);
        assert_eq!(judged([sent, of(5)]), None);
        let unsent = test_closing(5, Verdict::Failed, Sent::No);
        assert!(judged([unsent, of(5)]).is_some());
        let deleted = test_closing(5, Verdict::Deleted, Sent::Yes);
        assert!(judged([deleted, of(5)]).is_some());
    }

    #[test]
    fn its_result_is_the_worst_of_its_users() {
        let mut whole = test_reconciled(4, 2);
        whole.users[1].result = Found::StillThere;
        assert!(judged([Kind::Reconciled(whole.clone())]).is_some());
        whole.result = Found::StillThere;
        assert_eq!(judged([Kind::Reconciled(whole.clone())]), None);
        whole.result = Found::CannotTell;
        assert!(judged([Kind::Reconciled(whole.clone())]).is_some());
        whole.users.clear();
        assert!(judged([Kind::Reconciled(whole)]).is_some());
    }

    #[test]
    fn its_parts_follow_each_other() {
        assert!(parts().len() > 2);
        assert_eq!(judged(parts()), None);
        let whole = parts();
        assert_eq!(judged(whole.into_iter().take(1)), None, "a crash cut it");
        assert!(judged(parts().into_iter().skip(1)).is_some());
        let mut swapped = parts();
        swapped.swap(0, 1);
        assert!(judged(swapped).is_some());
        let mut odd = test_reconciled(4, 1);
        odd.part = Some(1);
        assert!(judged([Kind::Reconciled(odd)]).is_some());
    }
}
