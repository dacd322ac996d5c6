//! Something else that happens at a step: what another thread would do, at a place that is chosen.

use std::cell::RefCell;

type Act = Box<dyn FnOnce()>;

thread_local! {
    static NEXT: RefCell<Option<(usize, Act)>> = const { RefCell::new(None) };
}

/// While `outer` runs in this thread, `inner` runs before its step of this number, or behind all of
/// them.
pub(crate) fn interrupt<T>(
    outer: impl FnOnce() -> T,
    number: usize,
    inner: impl FnOnce() + 'static,
) -> T {
    NEXT.set(Some((number, Box::new(inner))));
    let result = outer();
    if let Some((_, inner)) = NEXT.take() {
        inner();
    }
    result
}

pub(super) fn step() {
    let due = NEXT.with_borrow_mut(|next| match next {
        Some((0, _)) => next.take(),
        Some((left, _)) => {
            *left -= 1;
            None
        }
        None => None,
    });
    if let Some((_, inner)) = due {
        inner();
    }
}
