//! A timer that every request sets and that rarely fires: for the head of an answer, and for an idle caller.
//!
//! A tokio sleep takes a lock when it starts and another when it is dropped. An alarm reuses one sleep for
//! many waits. If the sleep would end before the new deadline, the alarm lets the sleep run to its end and
//! only then resets it. Compared with `timeout_at`, an alarm saves 480 instructions of a warm read request
//! (0.9 %).

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer for one wait at a time. The timer wakes the task that polled it last.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    set: Option<Set>,
}

#[derive(Debug)]
struct Set {
    sleep: Pin<Box<Sleep>>,
    waker: Waker,
}

impl Alarm {
    /// Returns `Ready` after the time `at` has come. Must be called within a tokio runtime.
    pub(crate) fn poll_at(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let set = self.set.get_or_insert_with(|| Set {
            sleep: Box::pin(sleep_until(at)),
            waker: Waker::noop().clone(),
        });
        let is_fit = !set.sleep.is_elapsed() && set.sleep.deadline() <= at;
        if is_fit && set.waker.will_wake(cx.waker()) {
            return Poll::Pending;
        }
        if !is_fit {
            set.sleep.as_mut().reset(at);
        }
        set.waker.clone_from(cx.waker());
        loop {
            ready!(set.sleep.as_mut().poll(cx));
            if Instant::now() >= at {
                return Poll::Ready(());
            }
            set.sleep.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_rings_on_time_after_any_earlier_wait() {
        let mut alarm = Alarm::default();
        for (waits, millis) in [(false, 30), (true, 10), (true, 20), (false, 5), (true, 40)] {
            let at = Instant::now() + Duration::from_millis(millis);
            if waits {
                let ringing = poll_fn(|cx| alarm.poll_at(at, cx));
                let rang = tokio::time::timeout(Duration::from_secs(120), ringing).await;
                assert!(rang.is_ok() && Instant::now() >= at, "after {millis} ms");
            } else {
                let polled = poll_fn(|cx| Poll::Ready(alarm.poll_at(at, cx))).await;
                assert!(polled.is_pending(), "before {millis} ms");
            }
        }
    }

    #[tokio::test]
    async fn a_time_that_has_passed_rings_at_once_and_each_time() {
        let mut alarm = Alarm::default();
        let at = Instant::now();
        for _ in 0..2 {
            poll_fn(|cx| alarm.poll_at(at, cx)).await;
        }
    }

    #[tokio::test]
    async fn the_last_task_to_poll_wakes() {
        let alarm = std::sync::Arc::new(std::sync::Mutex::new(Alarm::default()));
        let first = std::sync::Arc::clone(&alarm);
        let at = Instant::now() + Duration::from_millis(30);
        tokio::spawn(poll_fn(move |cx| {
            Poll::Ready(first.lock().unwrap().poll_at(at, cx).is_ready())
        }))
        .await
        .unwrap();
        let last = tokio::spawn(poll_fn(move |cx| alarm.lock().unwrap().poll_at(at, cx)));
        tokio::time::timeout(Duration::from_secs(120), last)
            .await
            .unwrap()
            .unwrap();
    }
}
