//! The hash that identifies a config in the trail. It covers the file and every contract, each
//! preceded by its length, so that no two configs have the same input.

use std::fmt::Write;

use aws_lc_rs::digest::{Context, Digest, SHA256, digest};

use crate::contract::Contracts;

/// SHA-256 in lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    in_hexadecimal(&digest(&SHA256, bytes))
}

/// The `config` hash.
pub(super) fn of_config(text: &str, contracts: &Contracts) -> String {
    let texts = contracts
        .all()
        .iter()
        .map(|contract| contract.source.as_str());
    of_texts(std::iter::once(text).chain(texts))
}

fn of_texts<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut context = Context::new(&SHA256);
    for text in texts {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    in_hexadecimal(&context.finish())
}

fn in_hexadecimal(digest: &Digest) -> String {
    digest
        .as_ref()
        .iter()
        .fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_sha_256_in_lower_case_hexadecimal() {
        assert_eq!(
            hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn moving_text_from_one_file_to_another_changes_the_hash() {
        let one = of_texts(["ab", "c"].into_iter());
        assert_ne!(one, of_texts(["a", "bc"].into_iter()));
        assert_ne!(one, of_texts(["abc"].into_iter()));
        assert_ne!(one, of_texts(["ab", "c", ""].into_iter()));
    }
}
