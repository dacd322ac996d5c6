//! Whether a test drives the trail's threads by hand, in its own: then nothing goes by the clock.

use std::cell::Cell;

thread_local! {
    static WANTED: Cell<bool> = const { Cell::new(false) };
}

/// From now on what is begun in this thread has no thread of its own.
pub(crate) fn want() {
    WANTED.set(true);
}

pub(crate) fn is_wanted() -> bool {
    WANTED.get()
}
