//! Composes entries: gives each entry an index and a time, and keeps the entry until it is synced.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::open_intents::{IntentParts, OpenIntents};
use crate::audit::entry::{Ending, EntryHead, Kind, Outcome, Reason, Trouble, compose, unknown};
use crate::audit::journal::append::PendingEntries;
use crate::audit::log::merkle::{Hash, leaf};
use crate::clock::{Clock, Time};

/// If the clock steps back by at most this, entries keep the last time until the clock has caught up.
/// The composer records a longer step, back or forward, in an entry.
const STILL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Composer {
    clock: Clock,
    last_time: Time,
    /// The last reading of the clock, and the reading of the monotonic clock at the same moment.
    asked: Option<(Time, Duration)>,
    next_index: u64,
    open: OpenIntents,
    pub(crate) pending: PendingEntries,
}

impl Composer {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            last_time: Time(i64::MIN),
            asked: None,
            next_index: 0,
            open: OpenIntents::default(),
            pending: PendingEntries::default(),
        }
    }

    pub(crate) fn next_index(&self) -> u64 {
        self.next_index
    }

    pub(crate) fn open_intents(&self) -> usize {
        self.open.len()
    }

    /// Starts at this index, before a replay. All intents before this index are closed.
    pub(crate) fn begin(&mut self, index: u64) {
        self.open.begin(index);
        self.next_index = index;
    }

    /// Returns an index. Each intent before that index has an outcome before the index `durable`.
    pub(crate) fn settled(&mut self, durable: u64) -> u64 {
        self.open.settled(durable)
    }

    /// Replays an entry of the journal.
    pub(crate) fn replay(&mut self, bytes: &[u8]) -> Result<(), String> {
        let index = self.next_index;
        let head = EntryHead::decode(bytes)
            .map_err(|error| format!("entry {index} cannot be read: {error}"))?;
        let time = Time::parse(&head.time).ok_or_else(|| format!("entry {index} has no time"))?;
        self.open.replay(index, head.summary, bytes)?;
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
        self.open.open(first, IntentParts { request_id, leaves });
        (first, leaf)
    }

    /// Composes consecutive entries. Returns the first index and the leaf hashes.
    pub(crate) fn row(&mut self, bodies: &[Vec<u8>]) -> (u64, Vec<Hash>) {
        // Reads the clock once: an entry about a clock step must not come between these entries.
        let time = self.time();
        let first = self.next_index;
        let parts = bodies.iter().enumerate();
        let leaves = parts.map(|(part, body)| self.push_at(time, body, part > 0).1);
        (first, leaves.collect())
    }

    /// Composes the outcome of an open intent. `None` if the intent is not open.
    pub(crate) fn close(&mut self, intent: u64, mut ending: Ending) -> Option<(u64, Hash)> {
        let open = self.open.close(intent)?;
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
        self.open.closed_by(index, intent);
        Some((index, leaf))
    }

    /// Closes the intents that a crash left open. Returns their number.
    pub(crate) fn close_after_crash(&mut self) -> u64 {
        let open = self.open.indexes();
        for intent in &open {
            self.close(*intent, unknown(Reason::Crash));
        }
        open.len() as u64
    }

    /// Notes a clock step that came since the last entry, so that an idle trail records it at once.
    pub(crate) fn watch_clock(&mut self) {
        let before = self.next_index;
        let now = self.time();
        if self.next_index > before {
            self.last_time = now;
        }
    }

    /// Returns the time of the next entry. If this time is before the last entry's time, first composes
    /// an entry about the clock step.
    fn time(&mut self) -> Time {
        let (now, passed) = self.clock.both();
        let since_entry = now.0.saturating_sub(self.last_time.0);
        let is_long = |step: &i64| u128::from(step.unsigned_abs()) > STILL.as_micros();
        // At a start, and after many short steps back, only the last entry's time tells of the step.
        let step = self
            .step(now, passed)
            .filter(is_long)
            .unwrap_or(since_entry.min(0));
        if is_long(&step) {
            let way = if step < 0 { "back" } else { "forward" };
            let by = Duration::from_millis(step.unsigned_abs() / 1_000);
            let what = format!("the clock went {way} by {by:?}, to {now}");
            self.note_step(now.max(self.last_time), now, &what);
            return now;
        }
        now.max(self.last_time)
    }

    /// How many microseconds the clock advanced further than the monotonic clock since the last call;
    /// negative if the clock was set back.
    fn step(&mut self, now: Time, passed: Duration) -> Option<i64> {
        let (then, before) = self.asked.replace((now, passed))?;
        let passed = i64::try_from(passed.saturating_sub(before).as_micros()).ok()?;
        Some(now.0.saturating_sub(then.0).saturating_sub(passed))
    }

    fn note_step(&mut self, at: Time, now: Time, what: &str) {
        let trouble = Trouble {
            cause: "clock".into(),
            state: "noted".into(),
            since: now.to_string(),
            refused: 0,
            detail: what.to_owned(),
        };
        let remedy =
            "compare it with a clock that you trust, and set it (docs/operations.md, \"Clock\")";
        tracing::warn!(detail = what, remedy, "the clock was set");
        self.push_at(at, &compose::body(&Kind::Trouble(trouble)), false);
    }

    /// If `joined`, the entry must be in the same batch as the entry before it.
    fn push_at(&mut self, time: Time, body: &[u8], joined: bool) -> (u64, Hash) {
        let entry = compose::stamp(&time.to_string(), body);
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

    fn composer(start: i64) -> (Composer, Clock) {
        let clock = Clock::manual(Time(start));
        (Composer::new(clock.clone()), clock)
    }

    fn times(composer: &Composer) -> Vec<(i64, bool)> {
        let read = |bytes: &Vec<u8>| {
            let entry: Entry = serde_json::from_slice(bytes).unwrap();
            let is_note = matches!(&entry.kind, Kind::Trouble(t) if t.cause == "clock");
            (Time::parse(&entry.time).unwrap().0, is_note)
        };
        composer.pending.iter().map(read).collect()
    }

    #[test]
    fn time_stands_over_a_small_step_back_and_a_large_one_is_noted() {
        let (mut composer, clock) = composer(10_000_000);
        composer.note(&Kind::Alive {});
        clock.set(Time(9_500_000));
        composer.note(&Kind::Alive {});
        clock.set(Time(2_000_000));
        composer.note(&Kind::Alive {});
        composer.note(&Kind::Alive {});
        let (high, low) = (10_000_000, 2_000_000);
        let expected = [
            (high, false),
            (high, false),
            (high, true),
            (low, false),
            (low, false),
        ];
        assert_eq!(times(&composer), expected);
    }

    #[test]
    fn a_step_forward_is_noted_and_time_that_passes_is_not() {
        let (mut composer, clock) = composer(1);
        composer.note(&Kind::Alive {});
        clock.advance(Duration::from_secs(86_400));
        composer.note(&Kind::Alive {});
        let day = 86_400_000_001;
        clock.set(Time(2 * day));
        composer.note(&Kind::Alive {});
        let expected = [(1, false), (day, false), (2 * day, true), (2 * day, false)];
        assert_eq!(times(&composer), expected);
    }

    #[test]
    fn a_step_back_within_idle_time_is_noted_with_its_size() {
        let (mut composer, clock) = composer(1);
        composer.note(&Kind::Alive {});
        clock.advance(Duration::from_secs(100));
        clock.set(Time(70_000_001));
        composer.note(&Kind::Alive {});
        let expected = [(1, false), (70_000_001, true), (70_000_001, false)];
        assert_eq!(times(&composer), expected);
        let noted = composer.pending.get(1).unwrap();
        let noted = String::from_utf8(noted.clone()).unwrap();
        assert!(
            noted.contains("the clock went back by 30s, to 1970-01-01T00:01:10"),
            "{noted}"
        );
    }

    #[test]
    fn an_idle_trail_notes_a_step_once() {
        let (mut composer, clock) = composer(100_000_000);
        composer.note(&Kind::Alive {});
        for to in [70_000_000, 130_000_000] {
            clock.set(Time(to));
            composer.watch_clock();
            composer.watch_clock();
            clock.advance(Duration::from_secs(5));
            composer.watch_clock();
        }
        composer.note(&Kind::Alive {});
        let expected = [
            (100_000_000, false),
            (100_000_000, true),
            (130_000_000, true),
            (135_000_000, false),
        ];
        assert_eq!(times(&composer), expected);
    }

    #[test]
    fn many_short_steps_back_are_noted_together() {
        let (mut composer, clock) = composer(10_000_000);
        composer.note(&Kind::Alive {});
        for step in 1..=3 {
            clock.set(Time(10_000_000 - step * 600_000));
            composer.note(&Kind::Alive {});
        }
        let last = times(&composer).split_off(1);
        assert_eq!(last[0], (10_000_000, false));
        assert_eq!(last[1], (10_000_000, true));
        assert_eq!(last[2], (8_800_000, false));
    }

    #[test]
    fn the_parts_of_an_intent_stay_together_when_the_clock_steps() {
        let (mut composer, clock) = composer(10_000_000);
        composer.note(&Kind::Alive {});
        clock.set(Time(0));
        let body = br#"{"kind":"alive"}"#.to_vec();
        let (first, _) = composer.intent("r".into(), &[body.clone(), body]);
        assert_eq!((first, composer.next_index()), (2, 4));
    }

    #[test]
    fn p2_an_intent_is_closed_once() {
        let (mut composer, _) = composer(0);
        let (first, _) = composer.intent("r".into(), &[br#"{"kind":"alive"}"#.to_vec()]);
        assert!(composer.close(first, not_sent()).is_some());
        assert!(composer.close(first, not_sent()).is_none());
        assert_eq!(composer.open_intents(), 0);
    }

    #[test]
    fn p2_a_journal_that_closes_an_intent_twice_is_not_taken() {
        let (mut written, clock) = composer(0);
        let intent = test_intent(1);
        let (first, _) = written.intent("r".into(), &[compose::body(&Kind::Intent(intent))]);
        written.close(first, not_sent());
        let mut read = Composer::new(clock);
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
        let (mut composer, _) = composer(0);
        let (first, _) = composer.intent("r".into(), &[br#"{"kind":"alive"}"#.to_vec()]);
        let revision = Some("x".repeat(1_000));
        composer.close(
            first,
            Ending {
                revision,
                ..not_sent()
            },
        );
        let entry: Entry = serde_json::from_slice(&composer.pending[1]).unwrap();
        let Kind::Outcome(outcome) = entry.kind else {
            panic!("no outcome")
        };
        assert_eq!(outcome.ending.revision.unwrap().len(), 256);
        assert_eq!(outcome.cut["revision"].bytes, 1_000);
    }
}
