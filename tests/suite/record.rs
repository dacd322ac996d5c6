//! The trail for the scenarios: verified and grouped by deletion.

use std::collections::HashMap;
use std::path::Path;

use lychgate::audit::entry::{Entry, Kind, Verdict};
use lychgate::audit::log::key::Key;
use lychgate::audit::read::query::{Decision, Deletion, Joiner, Progress};
use lychgate::audit::read::verify;
use lychgate::audit::read::verify::Summary;

/// A verified trail.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) summary: Summary,
    pub(crate) entries: Vec<Entry>,
    pub(crate) deletions: Vec<Deletion>,
    by_user: HashMap<u64, Vec<usize>>,
}

impl Record {
    /// Reads and verifies the trail with the signing key: digests, tags, chain, order, and at most
    /// one outcome per intent.
    pub(crate) fn read(directory: &Path, key_file: &Path) -> Self {
        let key = Key::read(key_file).unwrap();
        let (mut joiner, mut entries) = (Joiner::default(), Vec::new());
        let summary = verify::folder(directory, Some(&key), |index, entry, _| {
            joiner.push(index, entry.clone());
            entries.push(entry.clone());
        });
        let summary = summary.unwrap_or_else(|failure| panic!("it does not verify: {failure}"));
        assert_eq!(joiner.strays(), 0, "closing entries that close nothing");
        let deletions: Vec<_> = joiner.rest().collect();
        let mut by_user: HashMap<u64, Vec<usize>> = HashMap::new();
        for (at, deletion) in deletions.iter().enumerate() {
            // A refused deletion may name an invalid user.
            for user in deletion.users.iter().filter_map(|user| user.parse().ok()) {
                by_user.entry(user).or_default().push(at);
            }
        }
        Self {
            summary,
            entries,
            deletions,
            by_user,
        }
    }

    /// The only deletion of this user with an intent.
    pub(crate) fn intent_of(&self, user: u64) -> &Deletion {
        let at = self.by_user.get(&user).map_or(&[][..], Vec::as_slice);
        let all = at.iter().map(|&at| &self.deletions[at]);
        let intents: Vec<_> = all
            .filter(|deletion| deletion.decision == Decision::Forwarded)
            .collect();
        assert_eq!(
            intents.len(),
            1,
            "user {user} has not one intent: {intents:?}"
        );
        intents[0]
    }

    /// The same deletion, which must be closed.
    pub(crate) fn closed(&self, user: u64) -> (&Deletion, Verdict) {
        let deletion = self.intent_of(user);
        match deletion.outcome {
            Progress::Closed(verdict) => (deletion, verdict),
            other => panic!("user {user} is {other:?}: {deletion:?}"),
        }
    }

    /// The numbers of refusals of known callers with this code: those with their own entry, and
    /// those in sums.
    pub(crate) fn refused(&self, code: &str) -> (u64, u64) {
        let (mut singly, mut summed) = (0, 0);
        for entry in &self.entries {
            match &entry.kind {
                Kind::Refused(refused) if refused.code == code => singly += 1,
                Kind::TurnedAway(sums) => {
                    summed += sums.known_callers.get(code).copied().unwrap_or(0);
                }
                _ => {}
            }
        }
        (singly, summed)
    }
}
