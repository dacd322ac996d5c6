//! Runs a function at a chosen step, to do what another thread could do at that moment.

use std::cell::RefCell;

type Act = Box<dyn FnOnce()>;

thread_local! {
    static NEXT: RefCell<Option<(usize, Act)>> = const { RefCell::new(None) };
}

/// Runs `outer`, and after `number` steps of `outer`, runs `inner` in the same thread. If `outer` takes
/// fewer steps, `inner` runs at the end.
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
