//! The content of tiles and bundles (C2SP tlog-tiles).

use super::super::merkle::Hash;
use super::FULL;

/// The maximal length of an entry: the bundle stores it in two bytes.
pub(crate) const MAX_ENTRY_BYTES: usize = u16::MAX as usize;
/// The maximal length of a bundle.
pub(crate) const MAX_BUNDLE_BYTES: usize = FULL as usize * (2 + MAX_ENTRY_BYTES);

const HASH_BYTES: usize = size_of::<Hash>();

/// Why bytes are not a tile or a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ContentError {
    /// The entry is too long for a bundle.
    #[error("an entry of {0} bytes, over the 65,535 that a bundle can hold")]
    EntryTooLong(usize),
    /// The bytes end within an entry; the number counts the whole entries before it.
    #[error("the bundle ends within its entry {0}")]
    Short(usize),
    /// Bytes follow the last entry.
    #[error("{0} bytes after the bundle's last entry")]
    Trailing(usize),
    /// The tile's length does not fit its width.
    #[error("a tile of {found} bytes, not {wanted}")]
    TileLength {
        /// Its length in bytes.
        found: usize,
        /// 32 bytes for each hash.
        wanted: usize,
    },
}

/// Appends an entry to a bundle: its length in two bytes, big-endian, and its bytes.
pub(crate) fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), ContentError> {
    let length = u16::try_from(entry.len()).map_err(|_| ContentError::EntryTooLong(entry.len()))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Encodes a bundle.
#[cfg(test)]
pub(crate) fn encode_bundle<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, ContentError> {
    let bytes = entries.iter().map(|entry| 2 + entry.as_ref().len()).sum();
    let mut bundle = Vec::with_capacity(bytes);
    for entry in entries {
        push_entry(&mut bundle, entry.as_ref())?;
    }
    Ok(bundle)
}

/// Decodes a bundle of exactly `width` entries.
pub(crate) fn decode_bundle(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, ContentError> {
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bundle;
    for index in 0..usize::from(width) {
        let (entry, behind) = first_entry(rest).ok_or(ContentError::Short(index))?;
        entries.push(entry);
        rest = behind;
    }
    match rest.len() {
        0 => Ok(entries),
        extra => Err(ContentError::Trailing(extra)),
    }
}

/// Encodes a hash tile.
pub(crate) fn encode_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// Decodes a tile of `width` hashes.
pub(crate) fn decode_tile(tile: &[u8], width: u16) -> Result<Vec<Hash>, ContentError> {
    let wanted = usize::from(width) * HASH_BYTES;
    let (hashes, _) = tile.as_chunks::<HASH_BYTES>();
    if tile.len() == wanted {
        Ok(hashes.to_vec())
    } else {
        let found = tile.len();
        Err(ContentError::TileLength { found, wanted })
    }
}

fn first_entry(bundle: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bundle.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::log::hex;
    use crate::audit::log::merkle::{leaf, sha256};

    #[test]
    fn a_bundle_is_that_of_the_published_vector() {
        let bundle = encode_bundle(&["entry 0", "entry 1"]).unwrap();
        assert_eq!(hex(&bundle), "0007656e74727920300007656e7472792031");
        let entries = decode_bundle(&bundle, 2).unwrap();
        assert_eq!(entries, [b"entry 0", b"entry 1"]);
    }

    #[test]
    fn a_tile_is_that_of_the_published_vector() {
        let hashes: Vec<Hash> = (0..5)
            .map(|i| leaf(format!("entry {i}").as_bytes()))
            .collect();
        let tile = encode_tile(&hashes);
        assert_eq!(
            hex(&sha256(&tile)),
            "adc29509b5dc0780aec3699d4682c1a9f11b45bb58e041d834924b8c4bf31098"
        );
        assert_eq!(decode_tile(&tile, 5), Ok(hashes));
    }

    #[test]
    fn a_tile_has_32_bytes_for_each_hash() {
        for (bytes, width) in [(0, 1), (31, 1), (33, 1), (64, 1), (32, 2), (8_191, 256)] {
            assert_eq!(
                decode_tile(&vec![0; bytes], width),
                Err(ContentError::TileLength {
                    found: bytes,
                    wanted: usize::from(width) * 32
                })
            );
        }
    }

    #[test]
    fn an_entry_may_be_empty_and_may_have_65535_bytes() {
        let entries = [vec![], vec![7; MAX_ENTRY_BYTES]];
        let bundle = encode_bundle(&entries).unwrap();
        assert_eq!(bundle.len(), 4 + MAX_ENTRY_BYTES);
        assert_eq!(decode_bundle(&bundle, 2).unwrap(), entries);
    }

    #[test]
    fn an_entry_that_is_too_long_leaves_the_bundle_as_it_was() {
        let mut bundle = encode_bundle(&["a"]).unwrap();
        let long = vec![0; MAX_ENTRY_BYTES + 1];
        let refused = Err(ContentError::EntryTooLong(65_536));
        assert_eq!(push_entry(&mut bundle, &long), refused);
        assert_eq!(bundle, [0, 1, b'a']);
    }

    #[test]
    fn a_bundle_cut_or_lengthened_at_any_byte_is_refused() {
        let bundle = encode_bundle(&["entry 0", "", "entry 2"]).unwrap();
        for cut in 0..bundle.len() {
            let error = decode_bundle(&bundle[..cut], 3).unwrap_err();
            assert!(matches!(error, ContentError::Short(_)), "{cut}");
        }
        let longer = [bundle.as_slice(), &[0, 0]].concat();
        assert_eq!(decode_bundle(&longer, 3), Err(ContentError::Trailing(2)));
        assert_eq!(decode_bundle(&bundle, 2), Err(ContentError::Trailing(9)));
    }
}
