//! Lets a test run the trail's background work in the test's own thread, independent of the clock.

use std::cell::Cell;

thread_local! {
    static WANTED: Cell<bool> = const { Cell::new(false) };
}

/// From now on, a publisher that this thread creates starts no thread, and a cached integrity
/// check does not expire.
pub(crate) fn want() {
    WANTED.set(true);
}

pub(crate) fn is_wanted() -> bool {
    WANTED.get()
}
