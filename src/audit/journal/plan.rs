//! Finds the valid parts of the segments, from the newest segment backwards, and classifies the bytes
//! after the last whole batch: zeros, a torn write, damage, or a newer program's batch.

use super::batch::{BLOCK, Batch, Link, MAX_BATCH};
use super::floor::PruningFloor;
use super::segment::{self, Segment};
use super::{Fault, Place, ReadError};
use crate::audit::disk::Folder;
use crate::audit::log::key::Key;

/// A segment, and the offset of its last valid batch. The offset is `None` for the newest segment,
/// because a writer may still append batches to it.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) segment: Segment,
    pub(super) last: Option<u64>,
}

/// What to read: the spans in reading order. `behind` holds the later segments, which have no valid first
/// batch.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) spans: Vec<Span>,
    pub(super) behind: Vec<Segment>,
    /// The batch that the first batch continues from; the default, unless the journal was pruned.
    pub(super) before: Link,
}

impl Plan {
    /// Makes the plan for the segments in `folder`. If `newest` is given, ignores all segments after it.
    pub(super) fn of(
        folder: &dyn Folder,
        key: Option<&Key>,
        newest: Option<u64>,
    ) -> Result<Self, ReadError> {
        PruningFloor::is_not_newer(folder)?;
        let mut numbers =
            segment::numbers(folder).map_err(|e| ReadError::io(Place::default(), &e))?;
        numbers.retain(|number| newest.is_none_or(|newest| *number <= newest));
        let mut plan = Self::default();
        let mut first = None;
        while let (None, Some(number)) = (&first, numbers.pop()) {
            let Some(segment) = Segment::open(folder, number)? else {
                continue;
            };
            match segment.batch_at(0) {
                Ok(Some((batch, _))) => {
                    first = Some(batch);
                    plan.spans.push(Span {
                        segment,
                        last: None,
                    });
                }
                Ok(None) => plan.behind.push(segment),
                Err(newer) if newer.fault == Fault::Newer => {
                    return Err(match judge(&segment, 0, &plan.behind)? {
                        Tail::Damaged(sign) => ReadError::damaged_before(segment.place(0), sign),
                        Tail::Clean | Tail::Torn => newer,
                    });
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(first) = first {
            plan.back_to_the_first(folder, key, first)?;
        }
        plan.behind.reverse();
        Ok(plan)
    }

    fn back_to_the_first(
        &mut self,
        folder: &dyn Folder,
        key: Option<&Key>,
        mut first: Batch,
    ) -> Result<(), ReadError> {
        let mut number = self.spans.last().map_or(0, |s| s.segment.number);
        while first.before.place.segment != 0 {
            let from = first.before.place;
            let gone = |what| Err(ReadError::new(Fault::Damaged, from, what));
            if from.segment >= number {
                return gone("a segment continues from here, but this is not an earlier segment");
            }
            let Some(segment) = Segment::open(folder, from.segment)? else {
                // Reads `floor` only now that the segment is known to be missing, because pruning first
                // writes `floor` and then removes segments.
                match PruningFloor::read(folder, key)? {
                    Some(floor) if number < floor.segment => {}
                    // Segment `number` continues from the same batch as the segment at the floor. So the
                    // segments from the floor to the one before segment `number` are void.
                    Some(floor) if first.before == floor.before => {}
                    _ => return gone("the segment is missing, and a later one continues from it"),
                }
                self.before = first.before;
                break;
            };
            let Some((batch, _)) = segment.own_batch_at(0)? else {
                return gone(
                    "the segment's first batch is damaged, and a later segment continues from it",
                );
            };
            number = segment.number;
            self.spans.push(Span {
                segment,
                last: Some(from.offset),
            });
            first = batch;
        }
        self.spans.reverse();
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    Clean,
    /// A write that a crash cut off. No caller got an answer for its entries.
    Torn,
    /// Entries that callers got an answer for are damaged. The place proves this: a whole batch is there,
    /// or a non-zero byte too far from the last whole batch to be part of a torn one.
    Damaged(Place),
}

/// Classifies the bytes from `end` on in this segment, and all bytes in the later segments `behind`.
///
/// The error is [`Fault::Newer`] if there is a batch of a newer program and no batch of this version
/// follows. A batch of this version would prove damage, because this program never writes after a newer
/// program's batch.
pub(super) fn judge(segment: &Segment, end: u64, behind: &[Segment]) -> Result<Tail, ReadError> {
    let (mut tail, mut newer) = (Tail::Clean, None);
    let behind = behind.iter().map(|segment| (segment, 0));
    for (segment, end) in std::iter::once((segment, end)).chain(behind) {
        match in_segment(segment, end) {
            Ok(Tail::Clean) => {}
            Ok(Tail::Torn) => tail = Tail::Torn,
            Err(error) if error.fault == Fault::Newer => {
                newer.get_or_insert(error);
            }
            other => return other,
        }
    }
    newer.map_or(Ok(tail), Err)
}

fn in_segment(segment: &Segment, end: u64) -> Result<Tail, ReadError> {
    let Some(first) = segment.first_nonzero(end)? else {
        return Ok(Tail::Clean);
    };
    let limit = end + MAX_BATCH as u64;
    let beyond = segment.first_nonzero(limit.max(first))?;
    let mut newer = None;
    // A torn batch ends within `MAX_BATCH` bytes of `end`. So a whole batch after the torn batch begins
    // within these bytes, and any non-zero byte beyond them proves damage. But a newer program's batch may
    // have any length. So after such a batch, only a whole batch of this version proves damage.
    let mut at = first - first % BLOCK as u64;
    while at < segment.bytes && (at < limit || newer.is_some()) {
        match segment.batch_at(at) {
            Ok(Some(_)) => return Ok(Tail::Damaged(segment.place(at))),
            Ok(None) => {}
            Err(error) if error.fault == Fault::Newer => {
                newer.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
        at += BLOCK as u64;
    }
    let tail = beyond.map_or(Tail::Torn, |at| Tail::Damaged(segment.place(at)));
    newer.map_or(Ok(tail), Err)
}
