//! What stands behind the last whole batch: a torn write that nobody was answered for, or damage.

use super::batch::{BLOCK, MAX_BATCH};
use super::segment::Segment;
use super::{Place, ReadError};

/// The place of a sign that answered records are damaged, if there is one: a whole batch behind
/// `end`, in this segment or one behind it, or a byte that is not zero beyond the longest batch.
pub(super) fn damage(
    segment: &Segment,
    end: u64,
    behind: &[Segment],
) -> Result<Option<Place>, ReadError> {
    if let Some(place) = in_segment(segment, end)? {
        return Ok(Some(place));
    }
    for segment in behind {
        if let Some(place) = in_segment(segment, 0)? {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

fn in_segment(segment: &Segment, end: u64) -> Result<Option<Place>, ReadError> {
    let Some(first) = segment.not_zero_behind(end)? else {
        return Ok(None);
    };
    let limit = end + MAX_BATCH as u64;
    let beyond = segment.not_zero_behind(limit.max(first))?;
    // A batch behind the torn one would begin within its reach: beyond it, any byte tells.
    let mut at = first - first % BLOCK as u64;
    while at < limit.min(segment.bytes) {
        if segment.batch_at(at)?.is_some() {
            return Ok(Some(segment.place(at)));
        }
        at += BLOCK as u64;
    }
    Ok(beyond.filter(|b| *b >= limit).map(|b| segment.place(b)))
}
