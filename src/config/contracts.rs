//! Loads the contracts in force: the built-in contract, and the contract files that `[contract]`
//! names.

use std::collections::BTreeSet;
use std::path::Path;

use super::named::{self, Named};
use crate::contract::{Contract, Contracts, Effect};
use crate::strict_toml::Table;

/// The maximum number of contract files.
const MAX_FILES: usize = 64;

/// Reads `[contract]` and joins the contracts. If a contract file has a problem, the problem's
/// position is in that file.
pub(super) fn load(mut table: Table<'_>, named: &Named<'_>) -> Option<Contracts> {
    let builtin = table.flag("builtin", true);
    let files = table.list("files").unwrap_or_default();
    if !builtin && files.is_empty() {
        let hint = "name a contract file in files, or leave builtin out";
        let wrong = "leaves no contract at all";
        table.wrong_at(&table.span, "builtin", wrong, hint);
    }
    let mut contracts = Vec::new();
    if builtin {
        contracts.push(Contract::builtin());
    }
    let wanted = contracts.len() + files.len();
    if files.len() > MAX_FILES {
        let wrong = format!("names more than {MAX_FILES} files");
        let hint = "put several operations in one file";
        table.wrong_at(&table.span, "files", &wrong, hint);
    } else {
        for file in files {
            let path = named.resolve(&file.value);
            match named::text(&path) {
                Ok(text) => contracts.extend(parse(text, &path, named)),
                Err(wrong) => {
                    let wrong = format!("names {}, which {wrong}", named::shown(&path));
                    let hint =
                        "a contract file, such as config/contracts/liveperson-users-4.0.toml";
                    table.wrong_at(&file.span, "files", &wrong, hint);
                }
            }
        }
    }
    let joined = (contracts.len() == wanted).then(|| join(contracts, &table));
    if let Some(Some(contracts)) = &joined
        && !contracts.all().is_empty()
        && !contracts.all().iter().any(takes_deletions)
    {
        let wrong = "lets no deletion pass: each contract has none, or has switched it off";
        let hint = "switch a deletion on, or leave out builtin = false";
        table.wrong_at(&table.span, "files", wrong, hint);
    }
    table.end();
    joined.flatten()
}

fn parse(text: String, path: &Path, named: &Named<'_>) -> Option<Contract> {
    Contract::parse(&text)
        .map_err(|problems| {
            let source = named.findings.source(path.display().to_string(), text);
            named.findings.add_in(source, problems);
        })
        .ok()
}

fn takes_deletions(contract: &Contract) -> bool {
    let mut operations = contract.operations();
    operations.any(|(operation, off)| operation.effect == Effect::Delete && off.is_none())
}

fn join(contracts: Vec<Contract>, table: &Table<'_>) -> Option<Contracts> {
    let names: BTreeSet<&str> = contracts.iter().map(|one| one.name.as_str()).collect();
    if names.len() != contracts.len() {
        let message = "`contract.files`: two contracts have the same name";
        let hint = "give each a name of its own, or write builtin = false to replace the built-in contract";
        table.problem(&table.span, message, hint);
        return None;
    }
    Contracts::new(contracts)
        .map_err(|wrong| {
            let message = format!("`contract.files`: {wrong}");
            let hint =
                "let one contract claim it; builtin = false leaves out the built-in contract";
            table.problem(&table.span, message, hint);
        })
        .ok()
}
