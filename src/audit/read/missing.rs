//! Describes the parts of a log that cannot be read. The answer to a query lacks these parts.

use std::{fmt, io};

use crate::audit::disk::is_no_file_of_a_log;
use crate::audit::journal::{self, ReadError};

/// The kind of a fault in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no log, or a part of it is missing.
    Missing,
    /// A part of the log was altered, or contradicts another part.
    Damaged,
    /// A part of the log cannot be read.
    Unreadable,
}

impl Trouble {
    /// The fault if reading an existing file fails with this kind of I/O error.
    pub(super) fn of_file(kind: io::ErrorKind) -> Self {
        match is_no_file_of_a_log(kind) {
            true => Self::Damaged,
            false => Self::Unreadable,
        }
    }
}

impl From<journal::Fault> for Trouble {
    fn from(fault: journal::Fault) -> Self {
        match fault {
            journal::Fault::Missing => Self::Missing,
            journal::Fault::Io(kind) => Self::of_file(kind),
            journal::Fault::Newer => Self::Unreadable,
            journal::Fault::Damaged | journal::Fault::Foreign => Self::Damaged,
        }
    }
}

/// A part of the log that a reader needs and cannot get. An answer without this part is incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingRange {
    /// The kind of the fault.
    pub trouble: Trouble,
    /// The first entry of the part, if known.
    pub index: Option<u64>,
    /// The index after the last entry of the part, if known.
    pub end: Option<u64>,
    /// The path of the faulty file in the log's folder, if a file is at fault.
    pub file: Option<String>,
    /// A description of the fault.
    pub what: String,
}

impl MissingRange {
    pub(crate) fn new(trouble: Trouble, what: impl Into<String>) -> Self {
        Self {
            trouble,
            index: None,
            end: None,
            file: None,
            what: what.into(),
        }
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::new(Trouble::Damaged, what)
    }

    pub(crate) fn at(mut self, index: u64) -> Self {
        self.index = Some(index);
        self
    }

    /// Sets the index after the last entry of the part.
    pub(crate) fn until(mut self, end: u64) -> Self {
        self.end = Some(end);
        self
    }

    /// Sets the part to this entry alone.
    pub(crate) fn only(self, index: u64) -> Self {
        self.at(index).until(index + 1)
    }

    /// Whether this entry is in the part.
    pub(super) fn hides(&self, index: u64) -> bool {
        self.index.is_some_and(|first| first <= index) && self.end.is_none_or(|end| index < end)
    }

    pub(crate) fn in_file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    pub(super) fn unread(path: &str, error: &io::Error) -> Self {
        Self::new(Trouble::of_file(error.kind()), error.to_string()).in_file(path)
    }
}

impl std::error::Error for MissingRange {}

/// Example: `entries 256 to 511: tile/entries/001: …`.
impl fmt::Display for MissingRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.index, self.end) {
            (Some(index), Some(end)) if end <= index + 1 => write!(f, "entry {index}: ")?,
            (Some(index), Some(end)) => write!(f, "entries {index} to {}: ", end - 1)?,
            (Some(index), None) => write!(f, "from entry {index} on: ")?,
            (None, _) => {}
        }
        if let Some(file) = &self.file {
            write!(f, "{file}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl From<ReadError> for MissingRange {
    fn from(error: ReadError) -> Self {
        Self::new(error.fault.into(), error.to_string())
    }
}

/// The maximum number of ranges that [`Missing`] keeps. [`Missing`] only counts further ranges, so that a
/// badly damaged log costs little memory.
const MOST: usize = 1_000;

/// The ranges that a reader wanted and could not read. The answer lacks only these ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an answer with missing ranges is incomplete"]
pub(crate) struct Missing {
    ranges: Vec<MissingRange>,
    more: u64,
}

impl Missing {
    /// Adds a range. If the range added last has the same fault and adjoins the new range on either
    /// side, merges the two: a folder without bundles gives one range.
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

    /// Returns the kept ranges in the order of their first entries, and the number of further ranges.
    pub(crate) fn ranges(mut self) -> (Vec<MissingRange>, u64) {
        self.ranges.sort_by_key(|range| range.index);
        (self.ranges, self.more)
    }

    /// Fails with the first range that hides entries, if there is any. For callers that need a complete
    /// answer: a fault that hides no entry does not make an answer incomplete.
    pub(crate) fn hides_nothing(self) -> Result<(), MissingRange> {
        let hidden = self
            .ranges
            .into_iter()
            .filter(|range| range.index.is_some());
        hidden.min_by_key(|range| range.index).map_or(Ok(()), Err)
    }

    /// The range that hides this entry, if there is one.
    pub(crate) fn hiding(&self, index: u64) -> Option<&MissingRange> {
        self.ranges.iter().find(|range| range.hides(index))
    }

    /// A range that could not be read, if there is one. Another try may succeed.
    pub(crate) fn unreadable(&self) -> Option<&MissingRange> {
        let is_unreadable = |range: &&MissingRange| range.trouble == Trouble::Unreadable;
        self.ranges.iter().find(is_unreadable)
    }

    /// Fails with the first fault, if there is any.
    #[cfg(test)]
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
