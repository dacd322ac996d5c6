//! Random undamaged trails, each with the sizes at which it published a checkpoint.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::audit::entry::{Kind, Trouble, TurnedAway};
use crate::audit::log::key::Key;
use crate::audit::read::query::tests::{at, intent, outcome, part, refused};
use crate::audit::read::verify::sample::{bytes, leaf_of, publish, write_batches, write_pruned};

/// A trail and the way it was written to disk.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) entries: Vec<Vec<u8>>,
    /// Ascending; the checkpoint covers the last one.
    pub(super) sizes: Vec<u64>,
    /// How many entries a batch of the journal has.
    batch: usize,
    /// Whether partial tiles were removed once the full one existed.
    tidy: bool,
    /// How much of the journal under the checkpoint was pruned, in thousandths.
    pruned: usize,
}

/// Short histories, and some that fill a tile or two.
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

    /// Writes a gateway's folder in its state after the newest publication.
    pub(super) fn write(&self, directory: &Path, key: &Key) {
        let batches: Vec<_> = self.entries.chunks(self.batch).map(<[_]>::to_vec).collect();
        // The writer never prunes the segment that it writes to.
        let most = (self.covered() / self.batch).min(batches.len() - 1);
        match most * self.pruned / 1_000 {
            0 => write_batches(directory, &batches, key),
            pruned => write_pruned(directory, &batches, pruned, key),
        }
        std::fs::write(directory.join("lock"), "").unwrap();
        self.publish(directory, key);
    }

    /// Writes only checkpoint and tiles.
    pub(super) fn publish(&self, directory: &Path, key: &Key) {
        publish(directory, &self.entries, &self.sizes, key, self.tidy);
    }

    /// The same log after its first `published` publications, at least one.
    pub(super) fn earlier(&self, published: usize) -> Self {
        let sizes = self.sizes[..published.clamp(1, self.sizes.len())].to_vec();
        let size = sizes.last().copied().unwrap_or(0) as usize;
        Self {
            entries: self.entries[..size].to_vec(),
            sizes,
            ..self.clone()
        }
    }

    /// The same publications with other entries, in the same number.
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
