//! The bounded queue in front of the writer.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::audit::entry::{ConfigInForce, Ending, not_sent};
use crate::audit::log::key::Key;
use crate::audit::log::merkle::Hash;
use crate::audit::status::availability::Availability;
use crate::audit::status::{Cause, Unavailable};

/// The maximum number of intents in the queue. It is the greatest value of `[limits] max_deletions`, so
/// callers reach that limit first.
pub(crate) const MAX_INTENTS: usize = 65_536;
/// The maximum number of refusals in the queue. The trail only counts further refusals, in a summary.
const MAX_REFUSED: usize = 1_200;
/// The maximum number of notes in the queue. Commands hand in notes.
const MAX_NOTES: usize = 64;
/// A note counts as at most this many bytes, so that a note of any length fits into a round.
const MAX_NOTE_BYTES: usize = 256 << 10;
/// The maximum number of configs in the queue. If the trail stays closed for long, the queue drops the
/// oldest configs.
const MAX_CONFIGS: usize = 4_096;

/// A deletion to record.
#[derive(Debug)]
pub(crate) struct NewIntent {
    pub(crate) request_id: String,
    /// One entry for each part of the intent, without the time.
    pub(crate) bodies: Vec<Vec<u8>>,
    pub(crate) answer: oneshot::Sender<Result<DurableIntent, Unavailable>>,
}

/// A durable intent. If this value is dropped before its caller takes it, the writer closes the intent
/// as `failed`, `sent: no`.
#[derive(Debug)]
pub(crate) struct DurableIntent {
    pub(crate) index: u64,
    pub(crate) leaf: Hash,
    pub(crate) key: Arc<Key>,
    queue: Arc<WriteQueue>,
    /// The ending that the drop hands in. `None` after the caller has handed in an ending.
    pub(crate) on_drop: Option<Ending>,
}

/// The ending of an intent, for the writer to record.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) intent: u64,
    pub(crate) ending: Ending,
    pub(crate) answer: Option<oneshot::Sender<Result<Hash, Cause>>>,
}

/// Consecutive entries that a command wants to record.
#[derive(Debug)]
pub(crate) struct NewNote {
    /// The entries, without their times.
    pub(crate) bodies: Vec<Vec<u8>>,
    /// Receives the first index once all entries are durable.
    pub(crate) answer: oneshot::Sender<Result<u64, Unavailable>>,
}

/// The work of one round.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) closings: Vec<Closing>,
    pub(crate) configs: Vec<ConfigInForce>,
    pub(crate) intents: Vec<NewIntent>,
    pub(crate) refused: Vec<Vec<u8>>,
    pub(crate) notes: Vec<NewNote>,
    pub(crate) stop: bool,
}

impl Work {
    pub(crate) fn is_empty(&self) -> bool {
        self.closings.is_empty()
            && self.configs.is_empty()
            && self.intents.is_empty()
            && self.refused.is_empty()
            && self.notes.is_empty()
    }

    /// Refuses all work except the closings. Returns the closings.
    pub(crate) fn refuse(self, availability: &Availability, why: &Unavailable) -> Vec<Closing> {
        // An error here means that the waiter is gone and needs no answer.
        for intent in self.intents {
            let _ = intent.answer.send(Err(why.clone()));
        }
        for note in self.notes {
            let _ = note.answer.send(Err(why.clone()));
        }
        for _ in self.refused {
            availability.count_refused();
        }
        self.closings
    }
}

#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// The closings: at most one for each open intent.
    closings: VecDeque<Closing>,
    configs: VecDeque<ConfigInForce>,
    /// The hash of the newest config.
    last_config: Option<String>,
    intents: VecDeque<NewIntent>,
    refused: VecDeque<Vec<u8>>,
    notes: VecDeque<NewNote>,
    stop: bool,
    /// Whether the writer sleeps.
    sleeping: bool,
}

impl WriteQueue {
    /// Adds an intent. Returns `false` if the queue is full or stopped.
    pub(crate) fn intent(&self, intent: NewIntent) -> bool {
        let mut queue = self.lock();
        let fits = queue.intents.len() < MAX_INTENTS && !queue.stop;
        if fits {
            queue.intents.push_back(intent);
            self.wake(queue);
        }
        fits
    }

    pub(crate) fn closing(&self, closing: Closing) {
        let mut queue = self.lock();
        queue.closings.push_back(closing);
        self.wake(queue);
    }

    /// Adds a refusal. Returns `false` if too many refusals wait.
    pub(crate) fn refused(&self, body: Vec<u8>) -> bool {
        let mut queue = self.lock();
        let fits = queue.refused.len() < MAX_REFUSED;
        if fits {
            queue.refused.push_back(body);
            self.wake(queue);
        }
        fits
    }

    /// Adds a note. Returns `false` if too many notes wait or the queue is stopped.
    pub(crate) fn note(&self, note: NewNote) -> bool {
        let mut queue = self.lock();
        let fits = queue.notes.len() < MAX_NOTES && !queue.stop;
        if fits {
            queue.notes.push_back(note);
            self.wake(queue);
        }
        fits
    }

    /// Adds a config, unless it has the same hash as the newest config.
    pub(crate) fn config(&self, config: ConfigInForce) {
        let mut queue = self.lock();
        if queue.last_config.as_ref() == Some(&config.config) {
            return;
        }
        queue.last_config = Some(config.config.clone());
        if queue.configs.len() >= MAX_CONFIGS {
            queue.configs.pop_front();
        }
        queue.configs.push_back(config);
        self.wake(queue);
    }

    /// Refuses new intents and notes from now on. The writer still writes the work that is in the queue.
    pub(crate) fn stop(&self) {
        let mut queue = self.lock();
        queue.stop = true;
        self.wake(queue);
    }

    /// Waits for work, at most for the time `wait`. Then takes at most about `limit` bytes of work.
    pub(crate) fn take(&self, limit: usize, wait: Duration) -> Work {
        let mut queue = self.lock();
        if queue.is_idle() {
            queue.sleeping = true;
            queue = self
                .wake
                .wait_timeout(queue, wait)
                .map_or_else(|e| e.into_inner().0, |(queue, _)| queue);
            queue.sleeping = false;
        }
        queue.take(limit)
    }

    /// Takes all configs.
    pub(crate) fn take_configs(&self) -> Vec<ConfigInForce> {
        self.lock().configs.drain(..).collect()
    }

    /// Takes all work except the configs, without waiting.
    pub(crate) fn take_all_but_configs(&self) -> Work {
        let mut queue = self.lock();
        Work {
            closings: queue.closings.drain(..).collect(),
            configs: Vec::new(),
            intents: queue.intents.drain(..).collect(),
            refused: queue.refused.drain(..).collect(),
            notes: queue.notes.drain(..).collect(),
            stop: queue.stop,
        }
    }

    /// Waits until the time is up or work arrives, and takes nothing. Returns at once if a closing, an
    /// intent or a stop is queued.
    pub(crate) fn pause(&self, wait: Duration) {
        let mut queue = self.lock();
        let nothing_new = queue.intents.is_empty() && queue.closings.is_empty();
        if nothing_new && !queue.stop {
            queue.sleeping = true;
            drop(self.wake.wait_timeout(queue, wait));
            self.lock().sleeping = false;
        }
    }

    fn wake(&self, mut queue: MutexGuard<'_, Queue>) {
        // Notifies only a writer that sleeps, because a notification costs a system call.
        if std::mem::take(&mut queue.sleeping) {
            drop(queue);
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn is_idle(&self) -> bool {
        self.closings.is_empty()
            && self.configs.is_empty()
            && self.intents.is_empty()
            && self.refused.is_empty()
            && self.notes.is_empty()
            && !self.stop
    }

    fn take(&mut self, limit: usize) -> Work {
        let mut left = limit;
        let mut work = Work {
            stop: self.stop,
            ..Work::default()
        };
        take_while(&mut self.closings, &mut work.closings, &mut left, |_| 1_024);
        take_while(&mut self.configs, &mut work.configs, &mut left, |c| {
            256 + c.contracts.len() * 256
        });
        // An intent must come after the config that it names.
        if self.configs.is_empty() {
            take_while(&mut self.intents, &mut work.intents, &mut left, |i| {
                i.bodies.iter().map(|b| b.len() + 64).sum()
            });
        }
        take_while(&mut self.refused, &mut work.refused, &mut left, |b| {
            b.len() + 64
        });
        take_while(&mut self.notes, &mut work.notes, &mut left, |n| {
            let bytes: usize = n.bodies.iter().map(|b| b.len() + 64).sum();
            bytes.min(MAX_NOTE_BYTES)
        });
        work
    }
}

fn take_while<T>(
    from: &mut VecDeque<T>,
    to: &mut Vec<T>,
    left: &mut usize,
    bytes: impl Fn(&T) -> usize,
) {
    while let Some(next) = from.front() {
        let Some(rest) = left.checked_sub(bytes(next)) else {
            *left = 0;
            return;
        };
        *left = rest;
        to.extend(from.pop_front());
    }
}

impl DurableIntent {
    /// Makes an intent that its caller has not taken yet.
    pub(crate) fn new(index: u64, leaf: Hash, key: &Arc<Key>, queue: &Arc<WriteQueue>) -> Self {
        Self {
            index,
            leaf,
            key: Arc::clone(key),
            queue: Arc::clone(queue),
            on_drop: Some(not_sent()),
        }
    }

    pub(crate) fn hand_in(
        &self,
        ending: Ending,
        answer: Option<oneshot::Sender<Result<Hash, Cause>>>,
    ) {
        self.queue.closing(Closing {
            intent: self.index,
            ending,
            answer,
        });
    }
}

impl Drop for DurableIntent {
    fn drop(&mut self) {
        if let Some(ending) = self.on_drop.take() {
            self.hand_in(ending, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(bytes: usize) -> NewIntent {
        let (answer, _) = oneshot::channel();
        NewIntent {
            request_id: "r".into(),
            bodies: vec![vec![0; bytes]],
            answer,
        }
    }

    #[test]
    fn a_full_queue_takes_no_more() {
        let queue = WriteQueue::default();
        for _ in 0..MAX_INTENTS {
            assert!(queue.intent(intent(1)));
        }
        assert!(!queue.intent(intent(1)));
        assert_eq!(
            (0..2_000).filter(|_| queue.refused(vec![])).count(),
            MAX_REFUSED
        );
    }

    #[test]
    fn a_round_takes_no_more_than_its_bytes_and_keeps_the_order() {
        let queue = WriteQueue::default();
        for bytes in [40_000, 40_000, 40_000] {
            assert!(queue.intent(intent(bytes)));
        }
        assert_eq!(queue.take(100_000, Duration::ZERO).intents.len(), 2);
        assert_eq!(queue.take(100_000, Duration::ZERO).intents.len(), 1);
        assert!(queue.take(100_000, Duration::ZERO).is_empty());
    }

    fn config(hash: &str) -> ConfigInForce {
        ConfigInForce {
            config: hash.into(),
            contracts: [].into(),
        }
    }

    #[test]
    fn a_config_that_comes_back_is_in_force_again() {
        let queue = WriteQueue::default();
        for hash in ["a", "b", "b", "a"] {
            queue.config(config(hash));
        }
        let configs = queue.take_configs().into_iter().map(|c| c.config);
        assert_eq!(configs.collect::<Vec<_>>(), ["a", "b", "a"]);
        for number in 0..=MAX_CONFIGS {
            queue.config(config(&number.to_string()));
        }
        assert_eq!(queue.take_configs().len(), MAX_CONFIGS);
    }

    #[test]
    fn a_config_is_handed_in_once_and_before_its_intents() {
        let queue = WriteQueue::default();
        for hash in ["a", "a", "b"] {
            queue.config(config(hash));
        }
        assert!(queue.intent(intent(1)));
        // If the configs do not fit, the intents wait with them.
        let first = queue.take(300, Duration::ZERO);
        assert_eq!((first.configs.len(), first.intents.len()), (1, 0));
        let second = queue.take(1_000, Duration::ZERO);
        assert_eq!((second.configs.len(), second.intents.len()), (1, 1));
    }

    #[test]
    fn nothing_new_is_taken_after_stop() {
        let queue = WriteQueue::default();
        queue.stop();
        assert!(!queue.intent(intent(1)));
        assert!(queue.take(1, Duration::from_secs(60)).stop);
    }
}
