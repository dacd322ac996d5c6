//! Limits the rate of entries for refusals, so that a flood of refusals cannot fill the disk. Beyond the
//! limit, only counts the refusals.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::{Caller, CallerCount, TurnedAway};
use crate::clock::Time;

/// The maximum number of refusals of one caller that get entries of their own in a minute.
const PER_CALLER: u32 = 60;
/// The maximum number of refusals of all callers that get entries of their own in a minute.
const OVERALL: u32 = 600;
/// The maximum numbers of callers and of codes that [`RefusalRateLimit`] counts separately.
const MAX_CALLERS: usize = 1_024;
const MAX_CODES: usize = 128;
const NAMED_CALLERS: usize = 20;
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct RefusalRateLimit {
    /// The start of the current minute; `None` before the first refusal.
    minute: Option<Instant>,
    overall: u32,
    /// For each caller, the number of refusals that got an entry in the current minute. The map holds at
    /// most `OVERALL` callers.
    per_caller: HashMap<Caller, u32>,
    /// The refusals without an entry, counted by code. `callers` counts those of known callers by caller.
    sum: Option<TurnedAway>,
    callers: HashMap<Caller, u64>,
}

impl RefusalRateLimit {
    /// Whether this refusal gets an entry of its own. If not, adds the refusal to the sum.
    pub(crate) fn admits(&mut self, caller: &Caller, code: &str, now: Instant, time: Time) -> bool {
        let is_over = |minute| now.duration_since(minute) >= MINUTE;
        if self.minute.is_none_or(is_over) {
            self.minute = Some(now);
            self.overall = 0;
            self.per_caller.clear();
        }
        let of_caller = self.per_caller.get(caller).copied().unwrap_or(0);
        if self.overall < OVERALL && of_caller < PER_CALLER {
            self.overall += 1;
            self.per_caller.insert(caller.clone(), of_caller + 1);
            return true;
        }
        self.sum_up(caller, code, time);
        false
    }

    /// Adds a refusal of a known caller to the sum, because the refusal gets no entry of its own.
    pub(crate) fn sum_up(&mut self, caller: &Caller, code: &str, time: Time) {
        count(&mut self.sum(time).known_callers, code);
        if let Some(sum) = self.callers.get_mut(caller) {
            *sum += 1;
        } else if self.callers.len() < MAX_CALLERS {
            self.callers.insert(caller.clone(), 1);
        }
    }

    /// Adds a refusal of an unknown caller to the sum.
    pub(crate) fn unknown(&mut self, code: &str, time: Time) {
        count(&mut self.sum(time).unknown_callers, code);
    }

    fn sum(&mut self, time: Time) -> &mut TurnedAway {
        self.sum.get_or_insert_with(|| TurnedAway {
            since: time.to_string(),
            ..TurnedAway::default()
        })
    }

    /// Returns the sum since the last call and resets it. `None` if the sum is empty.
    pub(crate) fn take(&mut self) -> Option<TurnedAway> {
        let mut sum = self.sum.take()?;
        let callers = self.callers.drain();
        let callers = callers.map(|(caller, count)| CallerCount { caller, count });
        sum.callers = callers.collect();
        sum.callers
            .sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.caller.cmp(&b.caller)));
        sum.callers.truncate(NAMED_CALLERS);
        Some(sum)
    }
}

fn count(counts: &mut BTreeMap<String, u64>, code: &str) {
    let is_known = counts.contains_key(code) || counts.len() < MAX_CODES;
    let code = if is_known { code } else { "other" };
    *counts.entry(code.to_owned()).or_insert(0) += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str) -> Caller {
        Caller {
            issuer: "i".into(),
            subject: name.into(),
            client: None,
        }
    }

    #[test]
    fn a_callers_sixty_first_refusal_in_a_minute_is_summed_up() {
        let begin = Instant::now();
        let mut limit = RefusalRateLimit::default();
        let admitted = (0..100)
            .filter(|_| limit.admits(&caller("a"), "x", begin, Time(1)))
            .count();
        assert_eq!(admitted, 60);
        assert!(limit.admits(&caller("b"), "x", begin, Time(2)));
        let sum = limit.take().unwrap();
        assert_eq!(sum.known_callers["x"], 40);
        assert_eq!(
            sum.callers,
            [CallerCount {
                caller: caller("a"),
                count: 40
            }]
        );
        assert!(limit.take().is_none());
        assert!(limit.admits(&caller("a"), "x", begin + MINUTE, Time(3)));
    }

    #[test]
    fn all_callers_together_get_600_entries_a_minute() {
        let begin = Instant::now();
        let mut limit = RefusalRateLimit::default();
        let admitted = (0..5_000)
            .filter(|i| limit.admits(&caller(&i.to_string()), "x", begin, Time(1)))
            .count();
        assert_eq!(admitted, 600);
        assert_eq!(limit.callers.len(), MAX_CALLERS);
        let sum = limit.take().unwrap();
        assert_eq!((sum.known_callers["x"], sum.callers.len()), (4_400, 20));
    }

    #[test]
    fn unknown_callers_are_counted_by_code_in_bounded_memory() {
        let mut limit = RefusalRateLimit::default();
        for i in 0..1_000 {
            limit.unknown(&i.to_string(), Time(7));
        }
        let sum = limit.take().unwrap();
        assert_eq!(sum.unknown_callers.len(), MAX_CODES + 1);
        assert_eq!(sum.unknown_callers.values().sum::<u64>(), 1_000);
        assert_eq!(sum.since, Time(7).to_string());
    }
}
