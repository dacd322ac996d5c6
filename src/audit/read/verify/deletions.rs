//! Verifies that at most one outcome closes each intent, and that it names the bytes of all parts.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Failure;
use crate::audit::entry::{IntentSummary, OutcomeSummary};
use crate::audit::log::merkle::Hash;

/// The intents that no outcome has closed.
#[derive(Debug, Default)]
pub(super) struct Deletions {
    /// By the index of the (first) intent.
    open: BTreeMap<u64, Open>,
    /// The index of the first part, for groups with parts that have not come yet.
    incomplete: HashMap<String, u64>,
}

#[derive(Debug)]
struct Open {
    request_id: String,
    /// 1 if the deletion was not split.
    parts: u32,
    /// The leaf hashes of the parts so far, in the spelling of an outcome (base64).
    leaves: Vec<String>,
}

impl Deletions {
    /// Takes an intent or a part of one.
    pub(super) fn begin(
        &mut self,
        index: u64,
        intent: &IntentSummary<'_>,
        leaf: &Hash,
    ) -> Result<(), Failure> {
        let leaf = STANDARD.encode(leaf);
        let (group, part, parts) = match (&intent.group, intent.part, intent.parts) {
            (None, None, None) => {
                self.insert(index, intent, leaf, 1);
                return Ok(());
            }
            (Some(group), Some(part), Some(parts)) if (1..=parts).contains(&part) => {
                (group, part, parts)
            }
            _ => {
                let what = "`group`, `part` and `parts` do not go together";
                return Err(Failure::damaged(what).at(index));
            }
        };
        let out_of_order = || {
            let what = format!("part {part} of {parts} is out of order");
            Failure::damaged(what).at(index)
        };
        let Some(&first) = self.incomplete.get(group) else {
            if part != 1 {
                return Err(out_of_order());
            }
            self.insert(index, intent, leaf, parts);
            if parts > 1 {
                self.incomplete.insert(group.clone(), index);
            }
            return Ok(());
        };
        let open = self.open.get_mut(&first).ok_or_else(out_of_order)?;
        if open.parts != parts || open.leaves.len() + 1 != part as usize {
            return Err(out_of_order());
        }
        if open.request_id != intent.request_id {
            return Err(Failure::damaged("a part of another request's group").at(index));
        }
        open.leaves.push(leaf);
        if part == parts {
            self.incomplete.remove(group);
        }
        Ok(())
    }

    /// Takes an outcome.
    pub(super) fn close(
        &mut self,
        index: u64,
        outcome: &OutcomeSummary<'_>,
    ) -> Result<(), Failure> {
        let first = outcome.intent;
        let wrong = |what| Err(Failure::damaged(format!("closes entry {first}{what}")).at(index));
        let Some(open) = self.open.remove(&first) else {
            return wrong(", which is not an intent, or was closed before");
        };
        if open.leaves.len() != open.parts as usize {
            return Err(missing_parts(first, &open));
        }
        if open.leaves != outcome.leaves {
            return wrong(" by a leaf hash that is not that entry's");
        }
        if open.request_id != outcome.request_id {
            return wrong(", which is another request's");
        }
        Ok(())
    }

    /// Checks at the end of the trail that no split deletion lacks a part.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        let first = self.incomplete.values().min();
        match first.and_then(|first| self.open.get_key_value(first)) {
            Some((first, open)) => Err(missing_parts(*first, open)),
            None => Ok(()),
        }
    }

    /// How many intents are open.
    pub(super) fn open(&self) -> u64 {
        self.open.len() as u64
    }

    fn insert(&mut self, index: u64, intent: &IntentSummary<'_>, leaf: String, parts: u32) {
        self.open.insert(
            index,
            Open {
                request_id: intent.request_id.clone().into_owned(),
                parts,
                leaves: vec![leaf],
            },
        );
    }
}

fn missing_parts(first: u64, open: &Open) -> Failure {
    let there = open.leaves.len();
    Failure::damaged(format!("it has only {there} of its {} parts", open.parts)).at(first)
}
