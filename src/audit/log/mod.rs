//! Pure functions for the C2SP formats of the log: tree, tiles, notes, checkpoints, proofs, keys,
//! receipts. The parsers accept only one spelling of each value, so that they detect every flipped
//! bit.

pub(crate) mod checkpoint;
pub mod key;
pub(crate) mod merkle;
#[cfg(test)]
pub(crate) mod oracles;
pub(crate) mod proof;
pub mod receipt;
pub(crate) mod tiles;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use merkle::Hash;

/// Why some bytes are not a valid note, checkpoint, proof, tile or bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(String);

/// Encodes bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Encodes bytes in standard base64 with padding (RFC 4648, section 4).
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes base64. Returns `None` unless the text is exactly as [`to_base64`] would write it.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(text).ok()?;
    (to_base64(&bytes) == text).then_some(bytes)
}

pub(crate) fn hash_from_base64(text: &str) -> Option<Hash> {
    from_base64(text)?.try_into().ok()
}

/// Parses an ASCII decimal without sign or leading zeros.
pub(crate) fn parse_number(text: &str) -> Option<u64> {
    let value: u64 = text.parse().ok()?;
    (value.to_string() == text).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        assert_eq!(parse_number("0"), Some(0));
        assert_eq!(parse_number("18446744073709551615"), Some(u64::MAX));
        for bad in [
            "",
            "00",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1.0",
            "0x1",
            "1_0",
            "٣",
            "18446744073709551616",
        ] {
            assert_eq!(parse_number(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn base64_has_one_spelling() {
        assert_eq!(from_base64("AA=="), Some(vec![0]));
        assert_eq!(from_base64(""), Some(vec![]));
        for bad in [
            "AB==", "AA", "AA=", "AA==\n", "A A=", "_-==", "A===", "AA==AA==",
        ] {
            assert_eq!(from_base64(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn each_hash_has_one_of_its_four_spellings() {
        let text = to_base64(&[7; 32]);
        let last = text.as_bytes()[42];
        let accepted = (last..last + 4)
            .filter(|&byte| {
                let mut bytes = text.clone().into_bytes();
                bytes[42] = byte;
                hash_from_base64(std::str::from_utf8(&bytes).unwrap()).is_some()
            })
            .count();
        assert_eq!((hash_from_base64(&text), accepted), (Some([7; 32]), 1));
        assert_eq!(hash_from_base64(&to_base64(&[7; 31])), None);
        assert_eq!(hash_from_base64(&to_base64(&[7; 33])), None);
    }
}
