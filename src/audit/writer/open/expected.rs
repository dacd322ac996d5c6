//! The requirements on the log when the writer opens it again after an outage.

use crate::audit::integrity::Integrity;
use crate::audit::journal::batch::{Batch, Link};
use crate::audit::journal::spare::Spares;
use crate::audit::journal::{Place, segment};
use crate::audit::status::{Cause, Unavailable, closed};

/// The facts that this process knows about its log. The caller of the opening keeps the open intents and
/// the outcomes that are not written yet.
#[derive(Debug)]
pub(crate) struct Expected<'h> {
    /// The last batch that the writer answered for.
    pub(crate) last: Link,
    /// The entries that no accepted batch holds. Batches of these entries may follow `last`: this
    /// process wrote such batches and did not accept them.
    pub(crate) kept: &'h [Vec<u8>],
    /// The segment numbers and the spare. `None` unless every file at the path is still the one that
    /// this process wrote.
    pub(crate) spares: &'h mut Option<Spares>,
    /// The highest segment number that this process assigned.
    pub(crate) highest: u64,
    /// The files that this process holds. If the log at the path has the same lock file, the lock stays
    /// held.
    pub(crate) held: &'h mut Integrity,
}

impl Expected<'_> {
    /// Fails if the chain ends before the last batch that the writer answered for.
    pub(super) fn is_reached(&self, end: &Link) -> Result<(), Unavailable> {
        if *end == self.last {
            return Ok(());
        }
        let what = format!(
            "{}: the last record that was answered for is missing",
            shown(self.last.place)
        );
        Err(closed(Cause::Altered, what))
    }

    /// Fails if a batch after `last` holds entries that are not in `kept`.
    pub(super) fn is_kept(&self, batch: &Batch) -> Result<(), Unavailable> {
        let first = batch.before.next_index;
        let first = first.checked_sub(self.last.next_index);
        let first = first.and_then(|first| usize::try_from(first).ok());
        let kept = first.and_then(|first| self.kept.get(first..));
        if kept.is_some_and(|kept| kept.starts_with(&batch.entries)) {
            return Ok(());
        }
        let what = format!("{}: another process wrote here", shown(batch.link.place));
        Err(closed(Cause::SecondWriter, what))
    }
}

fn shown(place: Place) -> String {
    format!(
        "segment {}, offset {}",
        segment::name(place.segment),
        place.offset
    )
}
