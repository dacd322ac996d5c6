//! The writer's knowledge of the log: the next index and time, the open intents, the entries that are not synced.

use crate::audit::entry::unknown;
use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::audit::entry::compose;
use crate::audit::entry::{Ending, EntryHead, EntrySummary, Kind, Outcome, Reason, Trouble};
use crate::audit::journal::pending::PendingEntries;
use crate::audit::log::merkle::{Hash, leaf};
use crate::clock::{Clock, Stamp, Time};

/// If the clock steps back by at most this, entries keep the last time until it has caught up. A longer step, and
/// any step forward, becomes an entry.
const STILL: Duration = Duration::from_secs(1);

/// An intent without an outcome.
#[derive(Debug)]
struct Open {
    request_id: String,
    /// One for each part, in order.
    leaves: Vec<Hash>,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    clock: Clock,
    stamp: Stamp,
    last_time: Time,
    /// The last reading of the clock, and of the monotonic clock with it.
    asked: Option<(Time, Duration)>,
    next_index: u64,
    /// The open intents, by the index of the first part.
    open: BTreeMap<u64, Open>,
    /// The index of the first replayed entry. Pruned entries are before it; all their intents are closed.
    begins: u64,
    /// Closings that may not be synced yet: the index of each, and of its intent.
    closing: BTreeMap<u64, u64>,
    pub(crate) pending: PendingEntries,
}

impl Ledger {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            stamp: Stamp::new(),
            last_time: Time(i64::MIN),
            asked: None,
            next_index: 0,
            open: BTreeMap::new(),
            begins: 0,
            closing: BTreeMap::new(),
            pending: PendingEntries::default(),
        }
    }

    pub(crate) fn next_index(&self) -> u64 {
        self.next_index
    }

    pub(crate) fn open_intents(&self) -> usize {
        self.open.len()
    }

    /// Begins at this index. All intents before it are closed.
    pub(crate) fn begin(&mut self, index: u64) {
        self.begins = index;
        self.next_index = index;
    }

    /// The index below which an entry below `durable` closes every intent.
    pub(crate) fn settled(&mut self, durable: u64) -> u64 {
        self.closing = self.closing.split_off(&durable);
        let open = self.open.keys().next();
        let closing = self.closing.values().min();
        [open, closing]
            .into_iter()
            .flatten()
            .fold(durable, |a, b| a.min(*b))
    }

    /// Replays an entry of the journal.
    pub(crate) fn replay(&mut self, bytes: &[u8]) -> Result<(), String> {
        let index = self.next_index;
        let head = EntryHead::decode(bytes)
            .map_err(|error| format!("entry {index} cannot be read: {error}"))?;
        let time = Time::parse(&head.time).ok_or_else(|| format!("entry {index} has no time"))?;
        match head.summary {
            EntrySummary::Intent(intent) => {
                let first = intent.first(index);
                let open = self.open.entry(first).or_insert_with(|| Open {
                    request_id: intent.request_id.into_owned(),
                    leaves: Vec::new(),
                });
                open.leaves.push(leaf(bytes));
            }
            EntrySummary::Outcome(outcome) => {
                let intent = outcome.intent;
                if intent >= self.begins && self.open.remove(&intent).is_none() {
                    return Err(format!("entry {index} closes {intent}, which is not open"));
                }
            }
            _ => {}
        }
        self.last_time = time;
        self.next_index += 1;
        Ok(())
    }

    /// Composes an entry. Returns its index and leaf hash.
    pub(crate) fn push(&mut self, body: &[u8]) -> (u64, Hash) {
        let time = self.time();
        self.push_at(time, body, false)
    }

    pub(crate) fn note(&mut self, kind: &Kind) -> (u64, Hash) {
        self.push(&compose::body(kind))
    }

    /// Composes the parts of an intent. Returns the first part's index and leaf hash.
    pub(crate) fn intent(&mut self, request_id: String, bodies: &[Vec<u8>]) -> (u64, Hash) {
        let (first, leaves) = self.row(bodies);
        let leaf = leaves.first().copied().unwrap_or_default();
        self.open.insert(first, Open { request_id, leaves });
        (first, leaf)
    }

    /// Composes consecutive entries. Returns the first index and the leaf hashes.
    pub(crate) fn row(&mut self, bodies: &[Vec<u8>]) -> (u64, Vec<Hash>) {
        // One reading of the clock for all: an entry about a clock step must not come between them.
        let time = self.time();
        let first = self.next_index;
        let parts = bodies.iter().enumerate();
        let leaves = parts.map(|(part, body)| self.push_at(time, body, part > 0).1);
        (first, leaves.collect())
    }

    /// Composes the outcome of an open intent. `None` if the intent is not open.
    pub(crate) fn close(&mut self, intent: u64, mut ending: Ending) -> Option<(u64, Hash)> {
        let open = self.open.remove(&intent)?;
        let cut = compose::ending(&mut ending);
        let leaves = open.leaves.iter().map(|leaf| STANDARD.encode(leaf));
        let outcome = Outcome {
            intent,
            leaves: leaves.collect(),
            request_id: open.request_id,
            ending,
            cut,
        };
        let (index, leaf) = self.note(&Kind::Outcome(outcome));
        self.closing.insert(index, intent);
        Some((index, leaf))
    }

    /// Closes the intents that a crash left open. Returns their number.
    pub(crate) fn close_after_crash(&mut self) -> u64 {
        let open: Vec<u64> = self.open.keys().copied().collect();
        for intent in &open {
            self.close(*intent, unknown(Reason::Crash));
        }
        open.len() as u64
    }

    /// The time of the next entry. It is before the last entry's time only after an entry about the clock step.
    fn time(&mut self) -> Time {
        let now = self.clock.now();
        self.note_step_forward(now);
        let back = self.last_time.0.saturating_sub(now.0);
        if back <= 0 {
            return now;
        }
        if u128::try_from(back).unwrap_or(0) <= STILL.as_micros() {
            return self.last_time;
        }
        self.note_step(
            self.last_time,
            now,
            &format!("the clock went back by {back} microseconds, to {now}"),
        );
        now
    }

    /// Composes an entry if the clock went further than the monotonic clock.
    fn note_step_forward(&mut self, now: Time) {
        let passed = self.clock.passed();
        let Some((then, before)) = self.asked.replace((now, passed)) else {
            return;
        };
        let passed = passed.saturating_sub(before).as_micros();
        let ahead = i128::from(now.0) - i128::from(then.0) - i128::try_from(passed).unwrap_or(0);
        if ahead > i128::try_from(STILL.as_micros()).unwrap_or(i128::MAX) && now > self.last_time {
            let what = format!("the clock went forward by {ahead} microseconds, to {now}");
            self.note_step(now, now, &what);
        }
    }

    fn note_step(&mut self, at: Time, now: Time, what: &str) {
        let trouble = Trouble {
            cause: "clock".into(),
            state: "noted".into(),
            since: now.to_string(),
            refused: 0,
            detail: what.to_owned(),
        };
        self.push_at(at, &compose::body(&Kind::Trouble(trouble)), false);
    }

    /// `joined`: the entry belongs in the same batch as the one before it.
    fn push_at(&mut self, time: Time, body: &[u8], joined: bool) -> (u64, Hash) {
        let entry = compose::stamp(self.stamp.show(time), body);
        let index = self.next_index;
        let leaf = leaf(&entry);
        self.pending.push(entry, leaf, joined);
        self.last_time = time;
        self.next_index += 1;
        (index, leaf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::entry::Entry;
    use crate::audit::entry::compose::test_intent;
    use crate::audit::entry::not_sent;

    fn ledger(start: i64) -> (Ledger, Clock) {
        let clock = Clock::manual(Time(start));
        (Ledger::new(clock.clone()), clock)
    }

    fn times(ledger: &Ledger) -> Vec<(i64, bool)> {
        let read = |bytes: &Vec<u8>| {
            let entry: Entry = serde_json::from_slice(bytes).unwrap();
            let is_note = matches!(&entry.kind, Kind::Trouble(t) if t.cause == "clock");
            (Time::parse(&entry.time).unwrap().0, is_note)
        };
        ledger.pending.iter().map(read).collect()
    }

    #[test]
    fn time_stands_still_over_a_small_step_back_and_a_large_one_is_noted() {
        let (mut ledger, clock) = ledger(10_000_000);
        ledger.note(&Kind::Alive {});
        clock.set(Time(9_500_000));
        ledger.note(&Kind::Alive {});
        clock.set(Time(2_000_000));
        ledger.note(&Kind::Alive {});
        ledger.note(&Kind::Alive {});
        let (high, low) = (10_000_000, 2_000_000);
        let expected = [
            (high, false),
            (high, false),
            (high, true),
            (low, false),
            (low, false),
        ];
        assert_eq!(times(&ledger), expected);
    }

    #[test]
    fn a_step_forward_is_noted_and_time_that_passes_is_not() {
        let (mut ledger, clock) = ledger(1);
        ledger.note(&Kind::Alive {});
        clock.advance(Duration::from_secs(86_400));
        ledger.note(&Kind::Alive {});
        let day = 86_400_000_001;
        clock.set(Time(2 * day));
        ledger.note(&Kind::Alive {});
        let expected = [(1, false), (day, false), (2 * day, true), (2 * day, false)];
        assert_eq!(times(&ledger), expected);
    }

    #[test]
    fn the_parts_of_an_intent_stand_together_even_when_the_clock_steps() {
        let (mut ledger, clock) = ledger(10_000_000);
        ledger.note(&Kind::Alive {});
        clock.set(Time(0));
        let body = br#"{"kind":"alive"}"#.to_vec();
        let (first, _) = ledger.intent("r".into(), &[body.clone(), body]);
        assert_eq!((first, ledger.next_index()), (2, 4));
    }

    #[test]
    fn p2_an_intent_is_closed_once() {
        let (mut ledger, _) = ledger(0);
        let (first, _) = ledger.intent("r".into(), &[br#"{"kind":"alive"}"#.to_vec()]);
        assert!(ledger.close(first, not_sent()).is_some());
        assert!(ledger.close(first, not_sent()).is_none());
        assert_eq!(ledger.open_intents(), 0);
    }

    #[test]
    fn p2_a_journal_that_closes_an_intent_twice_is_not_taken() {
        let (mut written, clock) = ledger(0);
        let intent = test_intent(1);
        let (first, _) = written.intent("r".into(), &[compose::body(&Kind::Intent(intent))]);
        written.close(first, not_sent());
        let mut read = Ledger::new(clock);
        for entry in &*written.pending {
            read.replay(entry).unwrap();
        }
        assert_eq!((read.open_intents(), read.next_index()), (0, 2));
        assert!(
            read.replay(&written.pending[1])
                .unwrap_err()
                .contains("not open")
        );
        assert!(read.replay(b"{}").is_err());
    }

    #[test]
    fn a_long_revision_of_upstream_is_cut() {
        let (mut ledger, _) = ledger(0);
        let (first, _) = ledger.intent("r".into(), &[br#"{"kind":"alive"}"#.to_vec()]);
        let revision = Some("x".repeat(1_000));
        ledger.close(
            first,
            Ending {
                revision,
                ..not_sent()
            },
        );
        let entry: Entry = serde_json::from_slice(&ledger.pending[1]).unwrap();
        let Kind::Outcome(outcome) = entry.kind else {
            panic!("no outcome")
        };
        assert_eq!(outcome.ending.revision.unwrap().len(), 256);
        assert_eq!(outcome.cut["revision"].bytes, 1_000);
    }
}
