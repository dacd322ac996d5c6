//! What stands behind the last whole batch: zeros, a torn write that nobody was answered for, damage, or what
//! a newer program wrote.

use super::batch::{BLOCK, MAX_BATCH};
use super::segment::Segment;
use super::{Fault, Place, ReadError};

/// What the bytes behind the last whole batch are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Zeros.
    Clean,
    /// A write that a crash cut off; nobody was answered for it.
    Torn,
    /// Answered records are damaged: a whole batch stands here, or a byte that is not zero beyond the
    /// reach of the longest batch.
    Damaged(Place),
}

/// Judges what stands behind `end`, in this segment and those behind it.
///
/// The error is [`Fault::Newer`] if a newer program's batch stands there and none of this version behind
/// it: this program never writes behind a newer one, so any batch of its own there tells of damage.
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
            told => return told,
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
    // A batch behind the torn one would begin within its reach: beyond it, any byte tells. A newer batch
    // may be of any length: behind it, only a whole batch tells.
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
