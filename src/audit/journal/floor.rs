//! The floor of a pruned journal: the point at which the journal now begins.
//!
//! The file `floor` has four lines:
//!
//! 1. `lychgate journal floor v1`;
//! 2. the number of the first segment that must exist;
//! 3. place, sequence number, next index and digest of the batch before that segment;
//! 4. the tag: HMAC-SHA-256 with the journal's key over the lines before it, in hexadecimal.
//!
//! Pruning writes the file before it removes a segment. So segments before the floor may still exist, but
//! the segment at the floor and all later ones must exist. A later segment may continue from the same
//! batch as the segment at the floor: if only one batch was left, the next start writes that batch again
//! in a new segment.

use std::io;

use super::batch::Link;
use super::{Fault, Place, ReadError};
use crate::audit::disk::names::{FLOOR as NAME, FLOOR_NEW as TEMPORARY};
use crate::audit::disk::{Access, Folder, if_exists, read_exact, replace};
use crate::audit::log::key::Key;
use crate::audit::log::merkle::Hash;
use crate::audit::log::{hex, parse_number};

/// The first line of the file, without the version number.
const TITLE: &str = "lychgate journal floor v";
const VERSION: u64 = 1;
const MAX_BYTES: u64 = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PruningFloor {
    /// The first segment that must exist.
    pub(crate) segment: u64,
    /// The batch that this segment continues from.
    pub(crate) before: Link,
}

impl PruningFloor {
    /// Reads the file; `None` if the journal was never pruned. Checks the tag if `key` is given.
    pub(super) fn read(folder: &dyn Folder, key: Option<&Key>) -> Result<Option<Self>, ReadError> {
        let Some(text) = text_of(folder)? else {
            return Ok(None);
        };
        let fault = |fault, what: &str| Err(ReadError::new(fault, Place::default(), what));
        let Some((floor, signed, tag)) = parse(&text) else {
            return fault(Fault::Damaged, "`floor` is damaged");
        };
        if key.is_some_and(|key| !key.tag_holds(signed.as_bytes(), &tag)) {
            return fault(Fault::Foreign, "`floor` was not written with this key");
        }
        Ok(Some(floor))
    }

    /// Returns an error if a newer program wrote the file. Callers need this check even if no segment
    /// is missing, because this program would overwrite the file when it prunes the journal.
    pub(super) fn is_not_newer(folder: &dyn Folder) -> Result<(), ReadError> {
        text_of(folder).map(|_| ())
    }

    pub(crate) fn write(&self, folder: &dyn Folder, key: &Key) -> io::Result<()> {
        let signed = self.signed();
        let tag = hex(&key.tag(signed.as_bytes()));
        let text = format!("{signed}{tag}\n");
        replace(folder, TEMPORARY, NAME, text.as_bytes())
    }

    fn signed(&self) -> String {
        let Self { segment, before } = self;
        let (place, digest) = (before.place, hex(&before.digest));
        format!(
            "{TITLE}{VERSION}\n{segment}\n{} {} {} {} {digest}\n",
            place.segment, place.offset, before.sequence, before.next_index
        )
    }
}

/// The text of the file; `None` if the file does not exist. An error if a newer program wrote the file.
fn text_of(folder: &dyn Folder) -> Result<Option<String>, ReadError> {
    let bytes = first_bytes(folder).map_err(|e| ReadError::io(Place::default(), &e))?;
    // A newer program's file may be longer than `MAX_BYTES`, and the cut may then split a character.
    let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let headline = text.as_deref().and_then(|text| text.lines().next());
    let version = headline.and_then(|line| parse_number(line.strip_prefix(TITLE)?));
    match version.filter(|version| *version > VERSION) {
        Some(version) => {
            let place = Place::default();
            Err(ReadError::newer(place, "`journal/floor`", version))
        }
        None => Ok(text),
    }
}

fn first_bytes(folder: &dyn Folder) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = if_exists(folder.open(NAME, Access::Read))? else {
        return Ok(None);
    };
    let mut bytes = vec![0; MAX_BYTES.min(file.identity()?.bytes) as usize];
    read_exact(&*file, &mut bytes, 0)?;
    Ok(Some(bytes))
}

/// The content, the text that the tag covers, and the tag. `None` if writing the content again would give
/// a different text.
fn parse(text: &str) -> Option<(PruningFloor, String, Hash)> {
    let (_, fields) = text.split_once('\n')?;
    let mut fields = fields.split_ascii_whitespace();
    let mut number = || fields.next()?.parse().ok();
    let segment = number()?;
    let place = Place {
        segment: number()?,
        offset: number()?,
    };
    let (sequence, next_index) = (number()?, number()?);
    let before = Link {
        place,
        sequence,
        next_index,
        digest: unhex(fields.next()?)?,
    };
    let tag = unhex(fields.next()?)?;
    let floor = PruningFloor { segment, before };
    let signed = floor.signed();
    (format!("{signed}{}\n", hex(&tag)) == text).then_some((floor, signed, tag))
}

fn unhex(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::disk::{Disk, RealDisk};
    use crate::audit::log::key::test_key;
    use crate::audit::test_folder;

    #[test]
    fn a_newer_floor_is_refused_with_its_version() {
        let outer = test_folder("floor-newer");
        let folder = RealDisk.folder(outer.path(), None).unwrap();
        let newer = format!("{TITLE}2\nof another form{}\n", "…".repeat(300));
        std::fs::write(outer.path().join(NAME), newer).unwrap();
        let error = PruningFloor::is_not_newer(&*folder).unwrap_err();
        assert_eq!(PruningFloor::read(&*folder, None), Err(error.clone()));
        assert_eq!(error.fault, Fault::Newer);
        let expected = "journal: `journal/floor` has format version 2, and this program reads version 1: run the newer program that wrote it";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn p4_every_flipped_bit_of_the_floor_is_found() {
        let outer = test_folder("floor");
        let folder = RealDisk.folder(outer.path(), None).unwrap();
        let key = test_key();
        assert_eq!(PruningFloor::read(&*folder, Some(&key)).unwrap(), None);
        let floor = PruningFloor {
            segment: 7,
            before: Link {
                place: Place {
                    segment: 6,
                    offset: 8_192,
                },
                sequence: 41,
                next_index: 900,
                digest: [0xab; 32],
            },
        };
        floor.write(&*folder, &key).unwrap();
        assert_eq!(
            PruningFloor::read(&*folder, Some(&key)).unwrap(),
            Some(floor)
        );
        assert_eq!(PruningFloor::read(&*folder, None).unwrap(), Some(floor));
        let good = std::fs::read(outer.path().join(NAME)).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(outer.path().join(NAME), bad).unwrap();
            assert!(
                PruningFloor::read(&*folder, Some(&key)).is_err(),
                "bit {bit}"
            );
        }
    }
}
