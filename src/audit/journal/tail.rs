//! What stands behind the last whole batch: a torn write that nobody was answered for, damage, or what a
//! newer program wrote.

use super::batch::{BLOCK, MAX_BATCH};
use super::segment::Segment;
use super::{Fault, Place, ReadError};

/// The place of a sign that answered records are damaged, if there is one: a whole batch behind
/// `end`, in this segment or one behind it, or a byte that is not zero beyond the longest batch.
///
/// The error is [`Fault::Newer`] if a newer program's batch stands there and none of this version behind
/// it: this program never writes behind a newer one, so any batch of its own there tells of damage.
pub(super) fn damage(
    segment: &Segment,
    end: u64,
    behind: &[Segment],
) -> Result<Option<Place>, ReadError> {
    let mut newer = Ok(None);
    let behind = behind.iter().map(|segment| (segment, 0));
    for (segment, end) in std::iter::once((segment, end)).chain(behind) {
        match in_segment(segment, end) {
            Ok(None) => {}
            Err(error) if error.fault == Fault::Newer => newer = newer.and(Err(error)),
            told => return told,
        }
    }
    newer
}

fn in_segment(segment: &Segment, end: u64) -> Result<Option<Place>, ReadError> {
    let Some(first) = segment.not_zero_behind(end)? else {
        return Ok(None);
    };
    let limit = end + MAX_BATCH as u64;
    let beyond = segment.not_zero_behind(limit.max(first))?;
    let mut newer = None;
    // A batch behind the torn one would begin within its reach: beyond it, any byte tells. A newer batch
    // may be of any length: behind it, only a whole batch tells.
    let mut at = first - first % BLOCK as u64;
    while at < segment.bytes && (at < limit || newer.is_some()) {
        match segment.batch_at(at) {
            Ok(Some(_)) => return Ok(Some(segment.place(at))),
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
    Ok(beyond.filter(|b| *b >= limit).map(|b| segment.place(b)))
}
