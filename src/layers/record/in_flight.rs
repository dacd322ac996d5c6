//! The deletions in flight: limits their number, tracks their tasks, and ends them when the gateway stops.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::places;
use crate::refusal::{Checked, Code, Refusal};
use crate::request::Origin;

/// The deletions in flight. A reload keeps them, and all clones share them.
#[derive(Clone, Debug)]
pub struct Deletions {
    pub(super) tasks: TaskTracker,
    pub(super) aborted: CancellationToken,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    /// The most deletions in flight at once.
    slots: usize,
    all: usize,
    by_origin: HashMap<Arc<Origin>, usize>,
}

impl Deletions {
    /// Starts with this many slots, all free.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self {
            tasks: TaskTracker::new(),
            aborted: CancellationToken::new(),
            held: Arc::new(Mutex::new(Held {
                slots,
                ..Held::default()
            })),
        }
    }

    /// Changes the number of slots. If more deletions than that are in flight, they continue, and the gateway
    /// refuses new ones until enough of them have ended.
    pub fn set_slots(&self, slots: usize) {
        lock(&self.held).slots = slots;
    }

    /// From now on, refuses new deletions with `draining`.
    pub fn drain(&self) {
        self.tasks.close();
    }

    /// Waits until no deletion is in flight. Call [`Self::drain`] first.
    pub async fn finished(&self) {
        self.tasks.wait().await;
    }

    /// Aborts all deletions in flight. Each still records its outcome: `unknown`, with the reason `drain`.
    pub fn abort(&self) {
        self.aborted.cancel();
    }

    /// Takes a slot for one deletion to this origin. If `shared`, each origin gets at most a quarter of the
    /// slots.
    pub(super) fn slot(&self, origin: &Arc<Origin>, shared: bool) -> Checked<Slot> {
        if self.tasks.is_closed() {
            return Refusal::new(
                Code::Draining,
                "The gateway is stopping and accepts no more deletions.",
            )
            .refuse();
        }
        let mut held = lock(&self.held);
        let slots = held.slots;
        let most_here = match shared {
            true => places::slots_of_one_origin(slots),
            false => slots,
        };
        let here = held.by_origin.get(origin).copied().unwrap_or_default();
        if held.all >= slots || here >= most_here {
            return Refusal::new(
                Code::Overloaded,
                "Too many deletions are in flight ([limits] max_deletions). Send fewer at once.",
            )
            .refuse();
        }
        held.all += 1;
        held.by_origin.insert(Arc::clone(origin), here + 1);
        Ok(Slot {
            held: Arc::clone(&self.held),
            origin: Arc::clone(origin),
        })
    }
}

/// The slot of one deletion. A drop frees the slot.
#[derive(Debug)]
pub(super) struct Slot {
    held: Arc<Mutex<Held>>,
    origin: Arc<Origin>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        held.all = held.all.saturating_sub(1);
        if let Some(here) = held.by_origin.get_mut(&self.origin) {
            *here -= 1;
            if *here == 0 {
                held.by_origin.remove(&self.origin);
            }
        }
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(host: &str) -> Arc<Origin> {
        Arc::new(Origin::parse(&format!("http://{host}")).unwrap())
    }

    #[test]
    fn slots_are_bounded_and_given_back() {
        let deletions = Deletions::new(2);
        let a = origin("a");
        let first = deletions.slot(&a, false).unwrap();
        let _second = deletions.slot(&a, false).unwrap();
        let refused = deletions.slot(&a, false).unwrap_err();
        assert_eq!(refused.code, Code::Overloaded);
        drop(first);
        assert!(deletions.slot(&a, false).is_ok());
    }

    #[test]
    fn no_origin_holds_more_than_a_quarter_where_there_are_several() {
        let deletions = Deletions::new(8);
        let a = origin("a");
        let _held = [
            deletions.slot(&a, true).unwrap(),
            deletions.slot(&a, true).unwrap(),
        ];
        assert!(deletions.slot(&a, true).is_err());
        assert!(deletions.slot(&origin("b"), true).is_ok());
    }

    #[test]
    fn p14_a_reload_may_change_how_many_slots_there_are() {
        let deletions = Deletions::new(2);
        let a = origin("a");
        let first = deletions.slot(&a, false).unwrap();
        let _second = deletions.slot(&a, false).unwrap();
        deletions.set_slots(1);
        drop(first);
        assert!(deletions.slot(&a, false).is_err());
        deletions.set_slots(2);
        assert!(deletions.slot(&a, false).is_ok());
    }

    #[test]
    fn p14_a_draining_gateway_takes_no_deletion() {
        let deletions = Deletions::new(1);
        deletions.drain();
        let refused = deletions.slot(&origin("a"), false).unwrap_err();
        assert_eq!(refused.code, Code::Draining);
        assert_eq!(refused.retry_after, Some(1));
    }
}
