//! hyper's timer for a head, without a tokio timer per request.
//!
//! hyper makes a timer for every head and drops it when the head has come. This one only notes the deadline; the
//! connection, whose task polls hyper, watches the deadline with one [`Alarm`] for all requests.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

use crate::alarm::Alarm;

/// The timer of one connection; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct HeadTimer(Arc<Times>);

#[derive(Debug)]
struct Times {
    created: Instant,
    /// Microseconds from `created` to the deadline, or [`NEVER`].
    noted: AtomicU64,
    /// Microseconds from `created` that have certainly passed.
    passed: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl HeadTimer {
    pub(super) fn new() -> Self {
        Self(Arc::new(Times {
            created: Instant::now(),
            noted: AtomicU64::new(NEVER),
            passed: AtomicU64::new(0),
        }))
    }

    /// Whether the deadline has passed; poll hyper again if so. Call this after every poll of hyper.
    pub(super) fn has_come(&self, alarm: &mut Alarm, cx: &mut Context<'_>) -> bool {
        let noted = self.0.noted.load(Ordering::Relaxed);
        if noted == NEVER {
            return false;
        }
        let at = self.0.created + Duration::from_micros(noted);
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
        let after = deadline.saturating_duration_since(self.0.created);
        // Rounds up: the deadline must not pass early.
        let noted = u64::try_from(after.as_micros()).unwrap_or(NEVER - 2) + 1;
        self.0.noted.store(noted, Ordering::Relaxed);
        Box::pin(Noted {
            times: Arc::clone(&self.0),
            noted,
        })
    }
}

/// A deadline that hyper waits for; one at a time.
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
            // The connection polls its alarm in the same task, and the alarm wakes it.
            Poll::Pending
        }
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        // hyper may have noted the next deadline already.
        let _ = self.times.noted.compare_exchange(
            self.noted,
            NEVER,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }
}
