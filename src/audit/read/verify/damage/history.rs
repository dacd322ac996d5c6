//! Random sound trails, and the sizes that were published of them.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::audit::entry::{Kind, Trouble, TurnedAway};
use crate::audit::log::key::Key;
use crate::audit::read::query::tests::{at, intent, outcome, part, refused};
use crate::audit::read::verify::sample::{bytes, leaf_of, publish, write_batches, write_pruned};

/// A trail and how it came to stand on disk.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) entries: Vec<Vec<u8>>,
    /// Ascending; the last is what the checkpoint covers.
    pub(super) sizes: Vec<u64>,
    /// Entries in a batch of the journal.
    batch: usize,
    /// Whether partial tiles went once the full one stood.
    tidy: bool,
    /// How much of the journal that the checkpoint covers was pruned, in thousandths; 0 is nothing.
    pruned: usize,
}

/// Any history: short ones, and such as fill a tile or two.
pub(super) fn history() -> impl Strategy<Value = History> {
    let length = prop_oneof![6 => 1..24_usize, 3 => 250..262_usize, 1 => 510..530_usize];
    let parts = length.prop_flat_map(|length| {
        (
            vec(any::<u8>(), length),
            vec(0..=1_000_u64, 1..5),
            1..40_usize,
            any::<bool>(),
            prop_oneof![Just(0), 1..=1_000_usize],
        )
    });
    parts.prop_map(|(choices, sizes, batch, tidy, pruned)| {
        let entries = entries(&choices);
        let last = entries.len() as u64 - 1;
        let mut sizes: Vec<u64> = sizes.iter().map(|f| 1 + last * f / 1_000).collect();
        sizes.sort_unstable();
        sizes.dedup();
        History {
            entries,
            sizes,
            batch,
            tidy,
            pruned,
        }
    })
}

impl History {
    /// How many entries the checkpoint covers.
    pub(super) fn covered(&self) -> usize {
        self.sizes.last().copied().unwrap_or(0) as usize
    }

    /// Writes a gateway's folder as it stands after the newest publication.
    pub(super) fn write(&self, directory: &Path, key: &Key) {
        let batches: Vec<_> = self.entries.chunks(self.batch).map(<[_]>::to_vec).collect();
        // The segment that is written to is never pruned.
        let most = (self.covered() / self.batch).min(batches.len() - 1);
        match most * self.pruned / 1_000 {
            0 => write_batches(directory, &batches, key),
            pruned => write_pruned(directory, &batches, pruned, key),
        }
        std::fs::write(directory.join("lock"), "").unwrap();
        self.publish(directory, key);
    }

    /// Writes checkpoint and tiles alone.
    pub(super) fn publish(&self, directory: &Path, key: &Key) {
        publish(directory, &self.entries, &self.sizes, key, self.tidy);
    }

    /// The same log when it had only so many of its sizes published, at least one.
    pub(super) fn earlier(&self, published: usize) -> Self {
        let sizes = self.sizes[..published.clamp(1, self.sizes.len())].to_vec();
        let size = sizes.last().copied().unwrap_or(0) as usize;
        Self {
            entries: self.entries[..size].to_vec(),
            sizes,
            ..self.clone()
        }
    }

    /// The same publications of other entries, as many.
    pub(super) fn of_others(&self, mut entries: Vec<Vec<u8>>) -> Self {
        let filler = bytes(9_999, Kind::Alive {});
        entries.resize(self.entries.len(), filler);
        Self {
            entries,
            ..self.clone()
        }
    }
}

fn entries(choices: &[u8]) -> Vec<Vec<u8>> {
    let mut entries: Vec<Vec<u8>> = Vec::new();
    let mut open: Vec<(u64, String, Vec<String>)> = Vec::new();
    let mut second = 0;
    for choice in choices {
        second += i64::from(choice % 3);
        let index = entries.len() as u64;
        let id = format!("request {index}");
        let size = usize::from(choice / 8);
        match choice % 8 {
            0..=2 => {
                let one = bytes(second, Kind::Intent(intent(&id, &["1", "2"])));
                open.push((index, id, vec![leaf_of(&one)]));
                entries.push(one);
            }
            3..=5 if !open.is_empty() => {
                let (first, id, leaves) = open.remove(size % open.len());
                entries.push(bytes(second, Kind::Outcome(outcome(first, &id, leaves))));
            }
            3..=5 => {
                let parts: Vec<_> = (1..=2)
                    .map(|n| bytes(second, Kind::Intent(part(&id, &["7"], n, 2))))
                    .collect();
                open.push((index, id, parts.iter().map(|one| leaf_of(one)).collect()));
                entries.extend(parts);
            }
            6 => entries.push(bytes(second, Kind::Refused(refused(&id, "scope-missing")))),
            _ if size == 0 => {
                entries.push(bytes(second, Kind::Trouble(stepped(second))));
                second -= 1;
            }
            _ => {
                let sums = TurnedAway {
                    since: at(second - size as i64),
                    ..TurnedAway::default()
                };
                entries.push(bytes(second, Kind::TurnedAway(sums)));
            }
        }
    }
    entries
}

fn stepped(second: i64) -> Trouble {
    Trouble {
        cause: "clock".into(),
        state: "noted".into(),
        since: at(second),
        refused: 0,
        detail: "set back".into(),
    }
}
