//! Verifies the entries of commands: a read-back belongs to a deletion in doubt and gives the worst
//! of its users' results; an accepted loss is the first entry of its log.

use std::collections::BTreeSet;

use super::Failure;
use crate::audit::entry::{EntrySummary, Found, Reconciled};

/// The state from earlier entries: eight bytes for each deletion in doubt.
#[derive(Debug, Default)]
pub(super) struct Commands {
    /// The indexes of the (first) intents.
    in_doubt: BTreeSet<u64>,
    /// The part of a read-back in the entry right before.
    before: Option<Part>,
}

#[derive(Debug)]
struct Part {
    intent: u64,
    part: u32,
    parts: u32,
    worst: Found,
}

impl Commands {
    /// Takes the next entry.
    pub(super) fn push(&mut self, index: u64, summary: &EntrySummary<'_>) -> Result<(), Failure> {
        let before = self.before.take();
        match summary {
            EntrySummary::Outcome(outcome) => {
                if outcome.verdict.leaves_doubt(outcome.sent) {
                    self.in_doubt.insert(outcome.intent);
                }
                Ok(())
            }
            EntrySummary::Reconciled(entry) => self.reconciled(index, entry, before),
            EntrySummary::LossAccepted if index > 0 => {
                let what = "an accepted loss that is not the log's first entry";
                Err(Failure::damaged(what).at(index))
            }
            _ => Ok(()),
        }
    }

    fn reconciled(
        &mut self,
        index: u64,
        entry: &Reconciled,
        before: Option<Part>,
    ) -> Result<(), Failure> {
        let intent = entry.intent;
        if !self.in_doubt.contains(&intent) {
            let what = format!("reads back entry {intent}, which is no deletion in doubt");
            return Err(Failure::damaged(what).at(index));
        }
        let Some(worst) = entry.users.iter().map(|user| user.result).max() else {
            return Err(Failure::damaged("reads back no user").at(index));
        };
        let (part, parts) = match (entry.part, entry.parts) {
            (None, None) => (1, 1),
            (Some(part), Some(parts)) if parts > 1 && (1..=parts).contains(&part) => (part, parts),
            _ => return Err(Failure::damaged("`part` and `parts` do not go together").at(index)),
        };
        let worst = match before {
            _ if part == 1 => worst,
            Some(before)
                if (before.intent, before.part + 1, before.parts) == (intent, part, parts) =>
            {
                worst.max(before.worst)
            }
            _ => {
                let what = format!("part {part} of {parts} is out of order");
                return Err(Failure::damaged(what).at(index));
            }
        };
        if worst > entry.result || (part == parts && worst != entry.result) {
            return Err(Failure::damaged("its result is not the worst of its users'").at(index));
        }
        if part < parts {
            self.before = Some(Part {
                intent,
                part,
                parts,
                worst,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::entry::compose;
    use crate::audit::entry::compose::test_closing;
    use crate::audit::entry::compose::test_reconciled;
    use crate::audit::entry::{Actor, Entry, EntryHead, Kind, LossAccepted, Sent, Verdict};

    fn push(commands: &mut Commands, index: u64, kind: Kind) -> Result<(), Failure> {
        let time = "2026-11-24T12:00:00.000000Z".to_owned();
        let bytes = Entry { time, kind }.to_bytes();
        commands.push(index, &EntryHead::decode(&bytes).unwrap().summary)
    }

    /// The first fault in these entries after an unknown outcome of deletion 4.
    fn judged(kinds: impl IntoIterator<Item = Kind>) -> Option<String> {
        let mut commands = Commands::default();
        let unknown = test_closing(4, Verdict::Unknown, Sent::Unknown);
        let kinds = [unknown].into_iter().chain(kinds);
        (10..)
            .zip(kinds)
            .find_map(|(index, kind)| push(&mut commands, index, kind).err())
            .map(|fault| fault.what)
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

    #[test]
    fn an_accepted_loss_begins_its_log() {
        let loss = Kind::LossAccepted(LossAccepted {
            accepted: "2026-11-24T12:00:00.000000Z".into(),
            reason: "r".into(),
            actor: Actor { uid: 0 },
            old_origin: None,
            old_checkpoint: None,
            left_in: "lost".into(),
        });
        assert!(push(&mut Commands::default(), 0, loss.clone()).is_ok());
        assert!(push(&mut Commands::default(), 1, loss).is_err());
    }
}
