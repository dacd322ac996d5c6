//! The time that a caller has for a head, as hyper asks for it, without a timer a request.
//!
//! hyper makes a timer for every head and drops it when the head is there. Here it only notes its time;
//! the connection, in whose task hyper is polled, watches it with one [`Alarm`] for all its requests.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

use crate::alarm::Alarm;

/// hyper's timer of one connection; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct HeadTimer(Arc<Times>);

#[derive(Debug)]
struct Times {
    born: Instant,
    /// Microseconds from `born` to what is waited for; [`NEVER`] where nothing is.
    noted: AtomicU64,
    /// Microseconds from `born` that have surely passed.
    passed: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl HeadTimer {
    pub(super) fn new() -> Self {
        Self(Arc::new(Times {
            born: Instant::now(),
            noted: AtomicU64::new(NEVER),
            passed: AtomicU64::new(0),
        }))
    }

    /// Whether a noted time has come: hyper is then to be polled again. To be called whenever hyper
    /// has been polled.
    pub(super) fn has_come(&self, alarm: &mut Alarm, cx: &mut Context<'_>) -> bool {
        let noted = self.0.noted.load(Ordering::Relaxed);
        if noted == NEVER {
            return false;
        }
        let at = self.0.born + Duration::from_micros(noted);
        let has_come = alarm.poll_at(at.into(), cx).is_ready();
        if has_come {
            self.0.passed.store(noted, Ordering::Relaxed);
        }
        has_come
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        let after = deadline.saturating_duration_since(self.0.born);
        // Rounded up: it must not be said to have come before it has.
        let noted = u64::try_from(after.as_micros()).unwrap_or(NEVER - 2) + 1;
        self.0.noted.store(noted, Ordering::Relaxed);
        Box::pin(Noted {
            times: Arc::clone(&self.0),
            noted,
        })
    }
}

/// A time that hyper waits for; one at a time.
struct Noted {
    times: Arc<Times>,
    noted: u64,
}

impl Sleep for Noted {}

impl Future for Noted {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.times.passed.load(Ordering::Relaxed) >= self.noted {
            Poll::Ready(())
        } else {
            // Woken by the connection's alarm, which is polled in the same task.
            Poll::Pending
        }
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        // The next one may have been noted already.
        let _ = self.times.noted.compare_exchange(
            self.noted,
            NEVER,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }
}
