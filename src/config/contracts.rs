//! Loads the contracts in force: the built-in one, and the files that `[contract]` names.

use std::collections::BTreeMap;

use super::digest;
use super::file;
use super::named::Named;
use crate::contract::{Contract, Contracts};

/// The maximum number of contract files.
const MAX_FILES: usize = 64;

/// The contracts in force.
#[derive(Debug)]
pub(super) struct InForce {
    pub(super) contracts: Contracts,
    /// SHA-256 of each contract's text, by contract name.
    pub(super) hashes: BTreeMap<String, String>,
}

/// Reads and joins the contracts. The problems of a contract file have their position in that file.
pub(super) fn load(section: &file::Contract, named: &Named<'_>) -> Option<InForce> {
    let mut contracts = Vec::new();
    if section.builtin {
        contracts.push(Contract::builtin());
    }
    if section.files.len() > MAX_FILES {
        let message = format!("`contract.files` names more than {MAX_FILES} files");
        named
            .findings
            .add(&section.span, message, "put several operations in one file");
        return None;
    }
    let mut whole = true;
    for file in &section.files {
        let hint = "a contract file, such as config/contracts/liveperson-users-4.0.toml";
        let Some(text) = named.text("contract.files", file, hint) else {
            whole = false;
            continue;
        };
        match Contract::parse(&text) {
            Ok(contract) => contracts.push(contract),
            Err(problems) => {
                whole = false;
                let shown = named.path(&file.value).display().to_string();
                let source = named.findings.source(shown, text);
                named.findings.add_in(source, problems);
            }
        }
    }
    if !whole {
        return None;
    }
    let hashes: BTreeMap<String, String> = contracts
        .iter()
        .map(|contract| {
            (
                contract.name.clone(),
                digest::hex(contract.source.as_bytes()),
            )
        })
        .collect();
    if hashes.len() != contracts.len() {
        let message = "`contract.files`: two contracts have the same name";
        let hint = "give each a name of its own, or write builtin = false to replace the built-in contract";
        named.findings.add(&section.span, message, hint);
        return None;
    }
    match Contracts::new(contracts) {
        Ok(contracts) => Some(InForce { contracts, hashes }),
        Err(wrong) => {
            let message = format!("`contract.files`: {wrong}");
            let hint =
                "let one contract claim it; builtin = false leaves out the built-in contract";
            named.findings.add(&section.span, message, hint);
            None
        }
    }
}
