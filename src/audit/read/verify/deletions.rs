//! Verifies that at most one outcome closes each intent, and that it names the bytes of all parts.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Fault;
use crate::audit::entry::{IntentSummary, OutcomeSummary};

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
        leaf: &[u8; 32],
    ) -> Result<(), Fault> {
        let leaf = STANDARD.encode(leaf);
        match (&intent.group, intent.part, intent.parts) {
            (None, None, None) => {
                self.insert(index, intent, leaf, 1);
                Ok(())
            }
            (Some(group), Some(part), Some(parts)) if (1..=parts).contains(&part) => {
                self.take_part(index, intent, leaf, (group, part, parts))
            }
            _ => Err(Fault::at(
                index,
                "`group`, `part` and `parts` do not go together",
            )),
        }
    }

    /// Takes an outcome.
    pub(super) fn close(&mut self, index: u64, outcome: &OutcomeSummary<'_>) -> Result<(), Fault> {
        let first = outcome.intent;
        let Some(open) = self.open.remove(&first) else {
            return Err(Fault::at(
                index,
                format!("closes entry {first}, which is not an intent, or was closed before"),
            ));
        };
        if open.leaves.len() != open.parts as usize {
            return Err(missing_parts(first, &open));
        }
        if open.leaves != outcome.leaves {
            return Err(Fault::at(
                index,
                format!("closes entry {first} by a leaf hash that is not that entry's"),
            ));
        }
        if open.request_id != outcome.request_id {
            return Err(Fault::at(
                index,
                format!("closes entry {first}, which is another request's"),
            ));
        }
        Ok(())
    }

    /// Checks at the end of the trail that no split deletion lacks a part.
    pub(super) fn finish(&self) -> Result<(), Fault> {
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

    fn take_part(
        &mut self,
        index: u64,
        intent: &IntentSummary<'_>,
        leaf: String,
        (group, part, parts): (&String, u32, u32),
    ) -> Result<(), Fault> {
        let out_of_order = || Fault::at(index, format!("part {part} of {parts} is out of order"));
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
            return Err(Fault::at(index, "a part of another request's group"));
        }
        open.leaves.push(leaf);
        if part == parts {
            self.incomplete.remove(group);
        }
        Ok(())
    }
}

fn missing_parts(first: u64, open: &Open) -> Fault {
    let there = open.leaves.len();
    Fault::at(
        first,
        format!("it has only {there} of its {} parts", open.parts),
    )
}
