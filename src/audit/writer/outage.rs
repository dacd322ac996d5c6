//! A trouble of the opened trail: its cause, since when, and when the commit loop tries again.

use std::time::{Duration, Instant};

use crate::audit::entry::{Kind, Trouble};
use crate::audit::status::{Cause, Unavailable};
use crate::clock::Time;

pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// A trouble for which the commit loop refuses deletions.
#[derive(Debug)]
pub(super) struct Outage {
    pub(super) found: Unavailable,
    since: Time,
    pub(super) again: Instant,
    pause: Duration,
}

impl Outage {
    pub(super) fn new(found: Unavailable, since: Time, again: Instant) -> Self {
        Self {
            found,
            since,
            again,
            pause: FIRST_PAUSE,
        }
    }

    pub(super) fn cause(&self) -> Cause {
        self.found.cause
    }

    /// Makes the next try due now.
    #[cfg(test)]
    pub(super) fn hurry(&mut self) {
        self.again = Instant::now();
    }

    /// Sets the time of the next try. `judged` is the time that a failed integrity check took; the pause is as
    /// long, so that the writer spends at most half of its time on checks.
    pub(super) fn put_off(
        &mut self,
        found: Unavailable,
        longest: Duration,
        judged: Option<Duration>,
    ) {
        let judged = judged.map(|took| FIRST_PAUSE.max(took));
        self.again = Instant::now() + judged.unwrap_or(self.pause);
        self.pause = (self.pause * 2).min(longest);
        self.found = found;
    }

    pub(super) fn entry(&self, state: &str, refused: u64) -> Kind {
        Kind::Trouble(Trouble {
            cause: self.found.cause.as_str().into(),
            state: state.into(),
            since: self.since.to_string(),
            refused,
            detail: self.found.detail.clone(),
        })
    }
}
