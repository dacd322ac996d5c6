//! The reason why a trail does not verify.

use std::{fmt, io};

use crate::audit::journal::{self, Place, ReadError};
use crate::audit::read::{MissingRange, Trouble};

/// The first fault of a trail, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind of the fault.
    pub trouble: Trouble,
    /// The faulty entry, if it is an entry.
    pub index: Option<u64>,
    /// The place of the batch, if the fault is in the journal.
    pub place: Option<Place>,
    /// The file, relative to the folder, if the fault is in a tile, a bundle or the checkpoint.
    pub file: Option<String>,
    /// A description of the fault.
    pub what: String,
}

impl Failure {
    /// A failure without a place.
    pub(crate) fn new(trouble: Trouble, what: impl Into<String>) -> Self {
        Self {
            trouble,
            index: None,
            place: None,
            file: None,
            what: what.into(),
        }
    }

    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::new(Trouble::Damaged, what)
    }

    pub(super) fn in_file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    pub(super) fn at(mut self, index: u64) -> Self {
        self.index = Some(index);
        self
    }

    pub(super) fn placed(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    pub(super) fn unreadable(file: &str, error: &io::Error) -> Self {
        let trouble = match error.kind() {
            io::ErrorKind::NotFound => Trouble::Missing,
            kind => Trouble::of_file(kind),
        };
        Self::new(trouble, format!("cannot be read: {error}")).in_file(file)
    }
}

impl std::error::Error for Failure {}

/// `entry 5 (journal segment 0000000001, offset 4096): …`, `entry 300 (tile/0/001.p/44): …`
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let segment = |place: Place| {
            format!(
                "journal segment {:010}, offset {}",
                place.segment, place.offset
            )
        };
        let place = self.file.clone().or(self.place.map(segment));
        match (self.index, place) {
            (Some(index), Some(place)) => write!(f, "entry {index} ({place}): {}", self.what),
            (Some(index), None) => write!(f, "entry {index}: {}", self.what),
            (None, Some(place)) => write!(f, "{place}: {}", self.what),
            (None, None) => f.write_str(&self.what),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let place = Place {
            segment: error.segment,
            offset: error.offset,
        };
        let what = match error.fault {
            journal::Fault::Missing => format!("there is no journal: {}", error.what),
            _ => error.what,
        };
        Self::new(error.fault.into(), what).placed((place.segment != 0).then_some(place))
    }
}

impl From<MissingRange> for Failure {
    fn from(missing: MissingRange) -> Self {
        Self {
            trouble: missing.trouble,
            index: missing.index,
            place: None,
            file: missing.file,
            what: missing.what,
        }
    }
}
