//! Computes the hash that identifies a config in the trail. The hash covers the config file and
//! every contract. In the hash input, each text comes after its length, so that two different
//! configs never have the same input.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{Context, SHA256, digest};

use crate::audit::log::hex;
use crate::contract::Contracts;

/// The hash of the text of each contract, by contract name.
pub(super) fn of_each(contracts: &Contracts) -> BTreeMap<String, String> {
    let contracts = contracts.all().iter();
    contracts
        .map(|contract| (contract.name.clone(), of_text(&contract.source)))
        .collect()
}

fn of_text(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}

/// The hash of the config file and all contracts.
pub(super) fn of_config(text: &str, contracts: &Contracts) -> String {
    let contracts = contracts.all().iter();
    let texts = contracts.map(|contract| contract.source.as_str());
    of_texts(std::iter::once(text).chain(texts))
}

fn of_texts<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut context = Context::new(&SHA256);
    for text in texts {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    hex(context.finish().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_sha_256_in_lower_case_hexadecimal() {
        assert_eq!(
            of_text("abc"),
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
