//! Joins deletions from a log that is read backwards: the closing entry comes before the intent.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::prefilter::Candidate;
use super::search::decode;
use super::{Deletion, Filter, Joiner};
use crate::audit::entry::{Entry, Intent, Kind};
use crate::audit::read::MissingRange;

/// The newest deletions that a filter admits. Holds these, and the closing entries of the deletions
/// that were in flight at the present position.
#[derive(Debug)]
pub(super) struct Newest<'f> {
    filter: &'f Filter,
    limit: usize,
    /// Deletions that began beyond the checkpoint; joined forwards.
    ahead: Joiner,
    /// Closing entries by their intent's index.
    closings: BTreeMap<u64, (u64, Vec<u8>)>,
    /// Parts of split deletions before their first part is read; the last part comes first.
    parts: HashMap<String, Vec<Intent>>,
    found: VecDeque<Deletion>,
}

impl<'f> Newest<'f> {
    pub(super) fn new(filter: &'f Filter, limit: usize) -> Self {
        Self {
            filter,
            limit,
            ahead: Joiner::default(),
            closings: BTreeMap::new(),
            parts: HashMap::new(),
            found: VecDeque::new(),
        }
    }

    /// Takes the next entry beyond the checkpoint.
    pub(super) fn ahead(&mut self, size: u64, candidate: Candidate) -> Result<(), MissingRange> {
        match candidate {
            Candidate::Closing {
                index,
                intent,
                bytes,
            } if intent < size => {
                self.closings.entry(intent).or_insert((index, bytes));
            }
            Candidate::Closing { intent, .. } if !self.ahead.holds(intent) => {}
            Candidate::Closing { index, bytes, .. } | Candidate::Named(index, bytes) => {
                self.ahead.push(index, decode(index, &bytes)?);
            }
        }
        while let Some(deletion) = self.ahead.next_closed() {
            self.add_newer(deletion);
        }
        Ok(())
    }

    /// Takes the end of the entries beyond the checkpoint.
    pub(super) fn ahead_ended(&mut self) {
        for deletion in std::mem::take(&mut self.ahead).rest() {
            self.add_newer(deletion);
        }
    }

    /// Takes the entries of a bundle that precedes all bundles so far.
    pub(super) fn back(
        &mut self,
        first: u64,
        candidates: Vec<Candidate>,
    ) -> Result<(), MissingRange> {
        for one in candidates.into_iter().rev() {
            if self.is_full() {
                return Ok(());
            }
            match one {
                Candidate::Closing {
                    index,
                    intent,
                    bytes,
                } => {
                    // If there are two, the older one closed the intent.
                    self.closings.insert(intent, (index, bytes));
                }
                Candidate::Named(index, bytes) => {
                    let entry = decode(index, &bytes)?;
                    self.add(index, entry)?;
                }
            }
        }
        // The bundles so far contained every intent from `first` on, so their closing entries are
        // done.
        self.closings.split_off(&first);
        Ok(())
    }

    /// Whether the limit is reached.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= self.limit
    }

    /// The deletions found, oldest first.
    pub(super) fn into_found(self) -> impl Iterator<Item = Deletion> {
        self.found.into_iter()
    }

    fn add(&mut self, index: u64, entry: Entry) -> Result<(), MissingRange> {
        let deletion = match entry.kind {
            Kind::Intent(intent) => match self.gather(intent) {
                Some(whole) => Deletion::of_intent(index, entry.time, whole),
                None => return Ok(()),
            },
            Kind::Refused(refused) => Deletion::of_refused(index, entry.time, refused),
            Kind::Outcome(outcome) => {
                // An outcome in an unusual spelling.
                let intent = outcome.intent;
                let (time, kind) = (entry.time, Kind::Outcome(outcome));
                let bytes = Entry { time, kind }.to_bytes();
                self.closings.insert(intent, (index, bytes));
                return Ok(());
            }
            _ => return Ok(()),
        };
        let deletion = self.closed(deletion)?;
        if self.filter.admits(&deletion) {
            self.found.push_front(deletion);
        }
        Ok(())
    }

    /// The whole intent, once its first part is read.
    fn gather(&mut self, intent: Intent) -> Option<Intent> {
        let Some(group) = &intent.group else {
            return Some(intent);
        };
        if intent.part.is_some_and(|part| part > 1) {
            let parts = self.parts.entry(group.clone()).or_default();
            parts.push(intent);
            return None;
        }
        let later = self.parts.remove(group).unwrap_or_default();
        let mut whole = intent;
        for part in later.into_iter().rev() {
            whole.users.extend(part.users);
        }
        Some(whole)
    }

    fn closed(&mut self, mut deletion: Deletion) -> Result<Deletion, MissingRange> {
        if let Some((index, bytes)) = self.closings.remove(&deletion.index)
            && let Kind::Outcome(outcome) = decode(index, &bytes)?.kind
        {
            deletion.close(index, outcome);
        }
        Ok(deletion)
    }

    fn add_newer(&mut self, deletion: Deletion) {
        if self.limit == 0 || !self.filter.admits(&deletion) {
            return;
        }
        if self.found.len() == self.limit {
            self.found.pop_front();
        }
        self.found.push_back(deletion);
    }
}
