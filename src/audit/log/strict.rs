//! Base64 and decimal numbers that accept one spelling each, so that no flipped bit goes unnoticed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::merkle::Hash;

/// Decodes standard base64 with padding (RFC 4648, section 4); `None` for any other spelling.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(text).ok()?;
    (STANDARD.encode(&bytes) == text).then_some(bytes)
}

pub(crate) fn hash(text: &str) -> Option<Hash> {
    base64(text)?.try_into().ok()
}

/// Parses an ASCII decimal without sign or leading zeros.
pub(crate) fn number(text: &str) -> Option<u64> {
    let value: u64 = text.parse().ok()?;
    (value.to_string() == text).then_some(value)
}

/// Encodes in the spelling that [`base64()`] accepts.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("18446744073709551615"), Some(u64::MAX));
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
            assert_eq!(number(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn base64_has_one_spelling() {
        assert_eq!(base64("AA=="), Some(vec![0]));
        assert_eq!(base64(""), Some(vec![]));
        for bad in [
            "AB==", "AA", "AA=", "AA==\n", "A A=", "_-==", "A===", "AA==AA==",
        ] {
            assert_eq!(base64(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn each_hash_has_one_of_its_four_spellings() {
        let text = encode(&[7; 32]);
        let last = text.as_bytes()[42];
        let accepted = (last..last + 4)
            .filter(|&byte| {
                let mut bytes = text.clone().into_bytes();
                bytes[42] = byte;
                hash(std::str::from_utf8(&bytes).unwrap()).is_some()
            })
            .count();
        assert_eq!((hash(&text), accepted), (Some([7; 32]), 1));
        assert_eq!(hash(&encode(&[7; 31])), None);
        assert_eq!(hash(&encode(&[7; 33])), None);
    }
}
