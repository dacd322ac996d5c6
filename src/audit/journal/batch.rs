//! The encoding of a batch. All numbers are big-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `LYCHGJ` 00 01: the format and its version |
//! | 8, 8, 8 | segment; sequence number, from 1; index of the first entry |
//! | 4, 4 | count of entries; length of the batch, a multiple of 4,096 |
//! | 8, 8, 32 | segment, offset and digest of the batch before; zeros for the first batch |
//! | each 2 + n | the entries, each after its length |
//! | 32 | tag: HMAC-SHA-256 over all bytes before it |
//! | … | zeros |
//! | 32 | digest: SHA-256 over all bytes before it |

use bytes::{Buf, BufMut};

use super::Place;
use crate::audit::log::key::Key;
use crate::audit::log::merkle::{Hash, sha256};

/// The offset of each batch is a multiple of this number of bytes.
pub(crate) const BLOCK: usize = 4_096;
pub(crate) const MAX_BATCH: usize = 1 << 20;

/// The name and the version of the format. This program writes this version, and reads no newer version.
const MAGIC: [u8; 8] = *b"LYCHGJ\x00\x01";
const HEAD: usize = 88;
const TAG: usize = 32;
const DIGEST: usize = 32;

/// The location and the identity of a batch, without the entries. Each batch refers to the batch before
/// it by such a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) place: Place,
    /// The number of the batch in the journal, from 1; 0 before the first batch.
    pub(crate) sequence: u64,
    /// The index after the last entry of the batch.
    pub(crate) next_index: u64,
    pub(crate) digest: Hash,
}

/// A batch that was read and has a correct digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) link: Link,
    /// The batch that this batch continues from.
    pub(crate) before: Link,
    /// The length of the batch on disk, in bytes.
    pub(crate) length: usize,
    pub(crate) entries: Vec<Vec<u8>>,
}

/// The length of a batch without its entries and its padding. Each entry adds 2 bytes and its own length.
pub(super) const FRAME: usize = HEAD + TAG + DIGEST;

/// The length on disk of a batch with these entries, in bytes.
pub(crate) fn padded(entries: &[Vec<u8>]) -> usize {
    let bytes: usize = entries.iter().map(|entry| entry.len() + 2).sum();
    (FRAME + bytes).next_multiple_of(BLOCK)
}

/// Encodes a batch that continues from `before`. Returns the bytes and the link of the new batch. `None`
/// if there are no entries, or if they are too long or too many for one batch.
pub(crate) fn encode(
    entries: &[Vec<u8>],
    before: &Link,
    place: Place,
    key: &Key,
) -> Option<(Vec<u8>, Link)> {
    let length = padded(entries);
    if length > MAX_BATCH || entries.is_empty() {
        return None;
    }
    let count = u32::try_from(entries.len()).ok()?;
    let sequence = before.sequence + 1;
    let mut bytes = Vec::with_capacity(length);
    bytes.put_slice(&MAGIC);
    bytes.put_u64(place.segment);
    bytes.put_u64(sequence);
    bytes.put_u64(before.next_index);
    bytes.put_u32(count);
    bytes.put_u32(u32::try_from(length).ok()?);
    bytes.put_u64(before.place.segment);
    bytes.put_u64(before.place.offset);
    bytes.put_slice(&before.digest);
    for entry in entries {
        bytes.put_u16(u16::try_from(entry.len()).ok()?);
        bytes.put_slice(entry);
    }
    let tag = key.tag(&bytes);
    bytes.put_slice(&tag);
    bytes.resize(length - DIGEST, 0);
    let digest = sha256(&bytes);
    bytes.put_slice(&digest);
    let link = Link {
        place,
        sequence,
        next_index: before.next_index + u64::from(count),
        digest,
    };
    Some((bytes, link))
}

/// The length of the batch that begins with this block, as its head says; `None` if no batch of this
/// version begins there.
pub(crate) fn length_of(block: &[u8]) -> Option<usize> {
    if block.get(..8)? != MAGIC {
        return None;
    }
    let length = u32::from_be_bytes(block.get(36..40)?.try_into().ok()?) as usize;
    let fits = length.is_multiple_of(BLOCK) && (BLOCK..=MAX_BATCH).contains(&length);
    fits.then_some(length)
}

/// The format version, if a newer program wrote the batch that begins with this block. Looks only at the
/// first 8 bytes, because a newer version may change the rest of the head.
pub(crate) fn newer_version(block: &[u8]) -> Option<u16> {
    let number = |version: &[u8]| Some(u16::from_be_bytes(version.try_into().ok()?));
    let (name, ours) = MAGIC.split_at(6);
    let version = number(block.get(..8)?.strip_prefix(name)?)?;
    (version > number(ours)?).then_some(version)
}

pub(super) fn set_own_version(block: &mut [u8]) {
    if let Some(head) = block.get_mut(..8) {
        head.copy_from_slice(&MAGIC);
    }
}

/// Decodes the batch at `place`; `None` if the digest or the form is wrong. Encoding the result again
/// gives the same bytes.
pub(crate) fn decode(bytes: &[u8], place: Place) -> Option<Batch> {
    if length_of(bytes)? != bytes.len() {
        return None;
    }
    let (body, digest) = bytes.split_at(bytes.len() - DIGEST);
    if sha256(body) != digest {
        return None;
    }
    let mut rest = body.get(MAGIC.len()..)?;
    let segment = rest.try_get_u64().ok()?;
    let sequence = rest.try_get_u64().ok()?;
    let first_index = rest.try_get_u64().ok()?;
    let count = rest.try_get_u32().ok()?;
    // `length_of` has checked the length.
    rest.try_get_u32().ok()?;
    let before = Link {
        place: Place {
            segment: rest.try_get_u64().ok()?,
            offset: rest.try_get_u64().ok()?,
        },
        // Sequence numbers start at 1. For an invalid number 0, this wraps to a number that no batch has.
        sequence: sequence.wrapping_sub(1),
        next_index: first_index,
        digest: rest.split_off(..32)?.try_into().ok()?,
    };
    let mut entries = Vec::new();
    for _ in 0..count {
        let length = usize::from(rest.try_get_u16().ok()?);
        entries.push(rest.split_off(..length)?.to_vec());
    }
    // The padding must be all zeros and shorter than one block.
    let padding = rest.get(TAG..)?;
    let is_padding = padding.len() < BLOCK && padding.iter().all(|b| *b == 0);
    if entries.is_empty() || segment != place.segment || !is_padding {
        return None;
    }
    Some(Batch {
        link: Link {
            place,
            sequence,
            next_index: first_index.checked_add(u64::from(count))?,
            digest: digest.try_into().ok()?,
        },
        before,
        length: bytes.len(),
        entries,
    })
}

/// Whether the batch was written with this key. `batch` is what [`decode`] returned for `bytes`.
pub(crate) fn tag_holds(bytes: &[u8], batch: &Batch, key: &Key) -> bool {
    let end = HEAD + batch.entries.iter().map(|e| e.len() + 2).sum::<usize>();
    match (bytes.get(..end), bytes.get(end..end + TAG)) {
        (Some(signed), Some(tag)) => key.tag_holds(signed, tag),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::log::key::test_key;

    const PLACE: Place = Place {
        segment: 7,
        offset: 8192,
    };

    fn before() -> Link {
        Link {
            place: Place {
                segment: 6,
                offset: 4096,
            },
            sequence: 11,
            next_index: 20,
            digest: [9; 32],
        }
    }

    #[test]
    fn a_batch_is_read_as_it_was_written() {
        let entries = vec![b"one".to_vec(), Vec::new(), vec![b'x'; 48_000]];
        let (bytes, link) = encode(&entries, &before(), PLACE, &test_key()).unwrap();
        assert_eq!(bytes.len() % BLOCK, 0);
        let batch = decode(&bytes, PLACE).unwrap();
        assert_eq!((batch.link, batch.before), (link, before()));
        assert_eq!(batch.entries, entries);
        assert!(tag_holds(&bytes, &batch, &test_key()));
        assert!(!tag_holds(&bytes, &batch, &Key::generate("a").unwrap()));
    }

    #[test]
    fn a_small_batch_is_one_block() {
        let (bytes, _) = encode(&[vec![b'x'; 3_900]], &before(), PLACE, &test_key()).unwrap();
        assert_eq!(bytes.len(), BLOCK);
    }

    #[test]
    fn p4_every_flipped_bit_of_a_batch_is_found() {
        let (bytes, _) = encode(&[b"entry".to_vec()], &before(), PLACE, &test_key()).unwrap();
        for bit in (0..bytes.len() * 8).step_by(7) {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bad, PLACE), None, "bit {bit}");
        }
    }

    #[test]
    fn p4_nonzero_padding_is_refused_despite_a_correct_digest() {
        let (mut bytes, _) = encode(&[b"entry".to_vec()], &before(), PLACE, &test_key()).unwrap();
        bytes[3_000] = 1;
        let body = bytes.len() - DIGEST;
        let digest = sha256(&bytes[..body]);
        bytes[body..].copy_from_slice(&digest);
        assert_eq!(decode(&bytes, PLACE), None);
    }

    #[test]
    fn a_batch_of_another_segment_is_refused() {
        let (bytes, _) = encode(&[b"entry".to_vec()], &before(), PLACE, &test_key()).unwrap();
        let elsewhere = Place {
            segment: 8,
            ..PLACE
        };
        assert_eq!(decode(&bytes, elsewhere), None);
    }

    #[test]
    fn the_first_8_bytes_tell_a_newer_version() {
        assert_eq!(newer_version(b"LYCHGJ\x00\x02"), Some(2));
        assert_eq!(newer_version(b"LYCHGJ\x01\x00and more"), Some(256));
        for other in [
            &b"LYCHGJ\x00\x01"[..],
            b"LYCHGJ\x00\x00",
            b"LYCHGK\x00\x02",
            b"LYCHGJ\x00",
            &[0; 8],
        ] {
            assert_eq!(newer_version(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_batch_that_is_too_long_or_empty_is_not_encoded() {
        let key = test_key();
        assert!(encode(&[], &before(), PLACE, &key).is_none());
        assert!(encode(&[vec![0; 65_536]], &before(), PLACE, &key).is_none());
        assert!(encode(&vec![vec![0; 48_000]; 22], &before(), PLACE, &key).is_none());
    }
}
