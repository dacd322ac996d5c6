//! Which paths are to be judged, when, and what was found wrong twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::judge::Judged;
use crate::audit::Closed;

/// What is wrong, or could not be judged, is judged again so soon.
const AGAIN: Duration = Duration::from_millis(100);
/// What waits for its checkpoint is judged again so soon: there is a new one twice a second.
const LATER: Duration = Duration::from_millis(500);
/// What no checkpoint has come to cover after so many times is no part of the log yet, and the publisher
/// puts its own file there before it becomes one.
const MOST_LATER: u32 = 20;
/// So many paths are kept in mind.
const MOST: usize = 65_536;

/// By path.
#[derive(Debug, Default)]
pub(super) struct Doubts(BTreeMap<String, Doubt>);

#[derive(Debug)]
struct Doubt {
    due: Instant,
    wrong: u32,
    later: u32,
    told: Option<Closed>,
}

impl Doubts {
    /// Puts a path in doubt from now on; false where there is no room for it.
    pub(super) fn add(&mut self, path: String, now: Instant) -> bool {
        if let Some(doubt) = self.0.get_mut(&path) {
            // What was wrong once is given its time to be put right.
            if doubt.wrong == 0 {
                doubt.due = now;
            }
            return true;
        }
        let is_room = self.0.len() < MOST;
        if is_room {
            let doubt = Doubt {
                due: now,
                wrong: 0,
                later: 0,
                told: None,
            };
            self.0.insert(path, doubt);
        }
        is_room
    }

    /// So many of those that are due, the longest waiting first.
    pub(super) fn due(&self, now: Instant, most: usize) -> Vec<String> {
        let due = self.0.iter().filter(|(_, doubt)| doubt.due <= now);
        let mut due: Vec<_> = due.collect();
        due.sort_by_key(|(_, doubt)| doubt.due);
        let due = due.into_iter().take(most);
        due.map(|(path, _)| path.clone()).collect()
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().map(|doubt| doubt.due).min()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether anything below a folder is in doubt.
    pub(super) fn is_any_below(&self, path: &str) -> bool {
        let below = format!("{path}/");
        let next = self.0.range(below.clone()..).next();
        next.is_some_and(|(path, _)| path.starts_with(&below))
    }

    /// Takes what was found at a path; what is wrong twice in a row is told for as long as it is so.
    pub(super) fn judged(&mut self, path: &str, judged: Result<Judged, Closed>, now: Instant) {
        let Some(doubt) = self.0.get_mut(path) else {
            return;
        };
        doubt.due = now + AGAIN;
        match judged {
            Ok(Judged::Right) => {
                self.0.remove(path);
            }
            Ok(Judged::Later) if doubt.later >= MOST_LATER => {
                self.0.remove(path);
            }
            Ok(Judged::Later) => {
                doubt.later += 1;
                doubt.due = now + LATER;
                (doubt.wrong, doubt.told) = (0, None);
            }
            Err(found) if !found.cause.is_custody() => {}
            Err(found) => {
                doubt.wrong += 1;
                doubt.told = Some(found).filter(|_| doubt.wrong > 1);
            }
        }
    }

    /// Judges all of these later: there is nothing to judge them by.
    pub(super) fn put_off(&mut self, now: Instant) {
        for doubt in self.0.values_mut().filter(|doubt| doubt.due <= now) {
            doubt.due = now + AGAIN;
        }
    }

    /// What is wrong now, as far as it was judged.
    pub(super) fn told(&self) -> Option<&Closed> {
        self.0.values().find_map(|doubt| doubt.told.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Cause;
    use crate::audit::integrity::{altered, closed};

    #[test]
    fn what_is_wrong_twice_in_a_row_is_told_until_it_is_right() {
        let (mut doubts, now) = (Doubts::default(), Instant::now());
        let wrong = || Err(altered("tile/0/000", "other"));
        assert!(doubts.add("tile/0/000".into(), now));
        assert_eq!(doubts.due(now, 9), ["tile/0/000"]);
        doubts.judged("tile/0/000", wrong(), now);
        assert_eq!(doubts.told(), None, "once");
        doubts.add("tile/0/000".into(), now);
        assert!(doubts.due(now, 9).is_empty(), "it has time to be put right");
        assert_eq!(doubts.next(), Some(now + AGAIN));
        doubts.judged("tile/0/000", wrong(), now + AGAIN);
        assert_eq!(doubts.told().unwrap().cause, Cause::Altered);
        // That it cannot be read does not put it right.
        let unread = Err(closed(Cause::SyncFailed, "unread"));
        doubts.judged("tile/0/000", unread, now + AGAIN * 2);
        assert!(doubts.told().is_some());
        doubts.judged("tile/0/000", Ok(Judged::Right), now + AGAIN * 3);
        assert_eq!((doubts.told(), doubts.len()), (None, 0));
    }

    #[test]
    fn what_is_right_between_two_wrongs_is_not_told() {
        let (mut doubts, now) = (Doubts::default(), Instant::now());
        for _ in 0..3 {
            doubts.add("tile/0/000".into(), now);
            doubts.judged("tile/0/000", Err(altered("tile/0/000", "other")), now);
            doubts.judged("tile/0/000", Ok(Judged::Right), now);
            assert_eq!(doubts.told(), None);
        }
    }

    #[test]
    fn what_no_checkpoint_comes_to_cover_is_forgotten() {
        let (mut doubts, now) = (Doubts::default(), Instant::now());
        doubts.add("tile/0/500".into(), now);
        for _ in 0..MOST_LATER {
            doubts.judged("tile/0/500", Ok(Judged::Later), now);
            assert_eq!(doubts.len(), 1);
        }
        doubts.judged("tile/0/500", Ok(Judged::Later), now);
        assert_eq!(doubts.len(), 0);
    }

    #[test]
    fn paths_come_in_bounded_parts_and_no_more_are_kept_than_there_is_room_for() {
        let (mut doubts, now) = (Doubts::default(), Instant::now());
        for number in 0..MOST {
            assert!(doubts.add(format!("tile/0/{number}"), now));
        }
        assert!(!doubts.add("tile/1/000".into(), now));
        assert!(doubts.add("tile/0/0".into(), now), "it is kept already");
        assert_eq!(doubts.due(now, 64).len(), 64);
        // None is passed over for ever.
        doubts.judged("tile/0/0", Ok(Judged::Later), now);
        assert!(!doubts.due(now + LATER, 64).contains(&"tile/0/0".to_owned()));
        doubts.put_off(now);
        assert!(doubts.due(now, 64).is_empty());
        assert!(doubts.is_any_below("tile/0"));
        assert!(!doubts.is_any_below("tile/00"));
    }
}
