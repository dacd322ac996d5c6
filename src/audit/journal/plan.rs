//! Which parts of which segments count: found from the newest segment backwards.

use super::segment::{self, Segment};
use super::{Fault, Place, ReadError};
use crate::audit::disk::Folder;

/// A segment, and the offset of its last batch that counts; `None` for the newest, which is open.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) segment: Segment,
    pub(super) last: Option<u64>,
}

/// The spans in reading order, and the segments behind them that hold no first batch.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) spans: Vec<Span>,
    pub(super) behind: Vec<Segment>,
}

impl Plan {
    /// Makes one from what stands in the folder now.
    pub(super) fn of(folder: &dyn Folder) -> Result<Self, ReadError> {
        let mut numbers =
            segment::numbers(folder).map_err(|e| ReadError::io(Place::default(), &e))?;
        let mut plan = Self::default();
        let mut from = None;
        while let (None, Some(number)) = (&from, numbers.pop()) {
            let Some(segment) = Segment::open(folder, number)? else {
                continue;
            };
            match segment.batch_at(0)? {
                Some((batch, _)) => {
                    from = Some(batch.from);
                    plan.spans.push(Span {
                        segment,
                        last: None,
                    });
                }
                None => plan.behind.push(segment),
            }
        }
        if let Some(from) = from {
            plan.back_to_the_first(folder, from)?;
        }
        Ok(plan)
    }

    fn back_to_the_first(&mut self, folder: &dyn Folder, mut from: Place) -> Result<(), ReadError> {
        let mut number = self.spans.last().map_or(0, |s| s.segment.number);
        while from.segment != 0 {
            let gone = |what| Err(ReadError::new(Fault::Damaged, from, what));
            if from.segment >= number {
                return gone("a later segment goes on from here, which is not before it");
            }
            let Some(segment) = Segment::open(folder, from.segment)? else {
                return gone("the segment is missing, and a later one goes on from it");
            };
            let Some((batch, _)) = segment.batch_at(0)? else {
                return gone(
                    "the segment's first batch is damaged, and a later segment goes on from it",
                );
            };
            number = segment.number;
            self.spans.push(Span {
                segment,
                last: Some(from.offset),
            });
            from = batch.from;
        }
        self.spans.reverse();
        self.behind.reverse();
        Ok(())
    }
}
