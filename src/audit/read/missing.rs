//! The parts of a log that an answer lacks.

use super::MissingRange;

/// How many ranges are kept; the rest are only counted, so that a ruined log costs little memory.
const MOST: usize = 1_000;

/// The ranges that a reader wanted and did not get. The answer is complete except for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an answer with missing ranges is incomplete"]
pub(crate) struct Missing {
    ranges: Vec<MissingRange>,
    more: u64,
}

impl Missing {
    /// Adds a range. One that adjoins the range before it, in either direction, with the same fault
    /// extends it: a folder without bundles is one range.
    pub(crate) fn add(&mut self, range: MissingRange) {
        if let Some(last) = self.ranges.last_mut()
            && (last.trouble, &last.what) == (range.trouble, &range.what)
            && range.index.is_some()
        {
            if last.end == range.index {
                last.end = range.end;
                return;
            }
            if range.end.is_some() && range.end == last.index {
                let end = last.end;
                *last = MissingRange { end, ..range };
                return;
            }
        }
        match self.ranges.len() < MOST {
            true if self.ranges.contains(&range) => {}
            true => self.ranges.push(range),
            false => self.more += 1,
        }
    }

    pub(crate) fn append(&mut self, other: Self) {
        other.ranges.into_iter().for_each(|range| self.add(range));
        self.more += other.more;
    }

    /// The ranges by their first entry, and how many more there are.
    pub(crate) fn ranges(mut self) -> (Vec<MissingRange>, u64) {
        self.ranges.sort_by_key(|range| range.index);
        (self.ranges, self.more)
    }

    /// The first range as an error, for an answer that must be complete.
    pub(crate) fn none(self) -> Result<(), MissingRange> {
        let first = self.ranges.into_iter().min_by_key(|range| range.index);
        first.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, end: u64) -> MissingRange {
        MissingRange::damaged("is missing").at(first).until(end)
    }

    fn shown(missing: Missing) -> Vec<String> {
        let (ranges, _) = missing.ranges();
        ranges.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn adjoining_ranges_are_one_in_both_directions() {
        let (mut up, mut down) = (Missing::default(), Missing::default());
        for first in [0, 256, 512, 1_024] {
            up.add(range(first, first + 256));
        }
        for first in [1_024, 512, 256, 0] {
            down.add(range(first, first + 256));
        }
        let expected = [
            "entries 0 to 767: is missing",
            "entries 1024 to 1279: is missing",
        ];
        assert_eq!(shown(up), expected);
        assert_eq!(shown(down), expected);
    }

    #[test]
    fn another_fault_is_another_range() {
        let mut missing = Missing::default();
        missing.add(range(0, 1));
        missing.add(MissingRange::damaged("altered").only(1));
        missing.add(MissingRange::damaged("altered").at(2));
        let expected = ["entry 0: is missing", "from entry 1 on: altered"];
        assert_eq!(shown(missing), expected);
    }

    #[test]
    fn a_ruined_log_costs_little_memory() {
        let mut missing = Missing::default();
        for place in 0..MOST as u64 + 7 {
            missing.add(range(2 * place, 2 * place + 1));
        }
        let (ranges, more) = missing.ranges();
        assert_eq!((ranges.len(), more), (MOST, 7));
    }

    #[test]
    fn p4_a_complete_answer_has_no_missing_range() {
        assert_eq!(Missing::default().none(), Ok(()));
        let mut missing = Missing::default();
        missing.add(range(8, 9));
        missing.add(range(3, 4));
        assert_eq!(missing.none().unwrap_err().index, Some(3));
    }
}
