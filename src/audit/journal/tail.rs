//! Classifies the bytes after the last whole batch: zeros, a torn write, damage, or a newer
//! program's batch.

use super::batch::{BLOCK, MAX_BATCH};
use super::segment::Segment;
use super::{Fault, Place, ReadError};

/// The kind of bytes after the last whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Zeros.
    Clean,
    /// A write that a crash cut off; no caller got an answer for it.
    Torn,
    /// Answered records are damaged: there is a whole batch here, or a byte that is not zero beyond
    /// the end of the longest batch.
    Damaged(Place),
}

/// Classifies the bytes after `end`, in this segment and in the later ones.
///
/// The error is [`Fault::Newer`] if a newer program's batch is there and no batch of this version
/// follows: this program never writes after a newer one, so a batch of its own there proves damage.
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
    let Some(first) = segment.not_zero_behind(end)? else {
        return Ok(Tail::Clean);
    };
    let limit = end + MAX_BATCH as u64;
    let beyond = segment.not_zero_behind(limit.max(first))?;
    let mut newer = None;
    // A batch after a torn one begins within `MAX_BATCH`, so any non-zero byte beyond that proves
    // damage. A newer batch may have any length, so only a whole batch after it proves damage.
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
    if let Some(newer) = newer {
        return Err(newer);
    }
    Ok(beyond.map_or(Tail::Torn, |at| Tail::Damaged(segment.place(at))))
}
