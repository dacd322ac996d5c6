//! An incident: a time in which deletions are refused. The trail records the begin and the end of each
//! incident.

use crate::audit::entry::{Kind, Trouble};
use crate::audit::status::{Unavailable, closed};
use crate::clock::Time;

/// Why deletions are refused, and since when.
#[derive(Debug)]
pub(super) struct Incident {
    pub(super) found: Unavailable,
    since: Time,
}

impl Incident {
    pub(super) fn new(found: Unavailable, since: Time) -> Self {
        Self { found, since }
    }

    pub(super) fn began(&self) -> Kind {
        self.entry("began", 0)
    }

    /// The entry for the end. `refused` counts the deletions that were refused during the incident.
    pub(super) fn ended(&self, refused: u64) -> Kind {
        self.entry("ended", refused)
    }

    /// The error while the incident lasts: the cause of the incident, and why the log cannot be opened.
    pub(super) fn lasts(&self, found: &Unavailable) -> Unavailable {
        if *found == self.found {
            return found.clone();
        }
        let (detail, why) = (&self.found.detail, &found.detail);
        let what = format!("{detail}; the log at the path is not opened: {why}");
        closed(self.found.cause, what)
    }

    fn entry(&self, state: &str, refused: u64) -> Kind {
        Kind::Trouble(Trouble {
            cause: self.found.cause.as_str().into(),
            state: state.into(),
            since: self.since.to_string(),
            refused,
            detail: self.found.detail.clone(),
        })
    }
}
