//! Why deletions are refused while the trail is open, since when, and when the writer tries again.

use std::time::{Duration, Instant};

use crate::audit::entry::{Kind, Trouble};
use crate::audit::status::{Cause, Unavailable};
use crate::clock::Time;

pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// A trouble that keeps the gate closed, and when it is tried again.
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

    /// It is tried again at once.
    #[cfg(test)]
    pub(super) fn hurry(&mut self) {
        self.again = Instant::now();
    }

    /// It is tried again later; what judging took it rests, so that a long log is read half of the time.
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
