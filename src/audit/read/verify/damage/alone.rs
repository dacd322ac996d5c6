//! Damage under the checkpoint by an attacker with the files but not the key: `audit verify` alone
//! finds it.

use std::path::Path;

use proptest::prelude::*;

use super::history::{History, history};
use super::snapshot::{Snapshot, put};
use super::{ACTS, config, verify};
use crate::audit::log::key::test_key;
use crate::audit::log::tiles::{Bundle, FULL, Tile, encode_bundle};
use crate::audit::test_folder;

/// One act of damage, with numbers that choose its place.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Flips a bit of a published file.
    Flip(u32, u32),
    /// Truncates a published file.
    Cut(u32, u32),
    /// Removes a published file.
    Remove(u32),
    /// Removes an entry; from the whole tree, or from its bundle alone.
    Drop(u32, bool),
    /// Swaps two entries.
    Swap(u32, u32, bool),
    /// Repeats an entry.
    Double(u32, bool),
    /// Cuts the journal at a byte: zeroes its end or removes it.
    CutJournal(u32, bool),
}

/// The place that the failure must name.
#[derive(Debug, Default)]
struct Named {
    file: Option<String>,
    index: Option<u64>,
}

fn act() -> impl Strategy<Value = Act> {
    let number = any::<u32>;
    prop_oneof![
        4 => (number(), number()).prop_map(|(file, bit)| Act::Flip(file, bit)),
        2 => (number(), number()).prop_map(|(file, byte)| Act::Cut(file, byte)),
        1 => number().prop_map(Act::Remove),
        1 => (number(), any::<bool>()).prop_map(|(entry, whole)| Act::Drop(entry, whole)),
        1 => (number(), number(), any::<bool>()).prop_map(|(a, b, whole)| Act::Swap(a, b, whole)),
        1 => (number(), any::<bool>()).prop_map(|(entry, whole)| Act::Double(entry, whole)),
        1 => (number(), any::<bool>()).prop_map(|(byte, zeroed)| Act::CutJournal(byte, zeroed)),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn p4_damage_under_the_checkpoint_is_found_with_its_place(
        history in history(),
        acts in prop::collection::vec(act(), ACTS),
    ) {
        let folder = test_folder("damage");
        let key = test_key();
        history.write(folder.path(), &key);
        let sound = Snapshot::of(folder.path());
        let whole = verify(folder.path(), key.verifier(), None);
        prop_assert!(whole.is_ok(), "undamaged: {whole:?}");
        for act in acts {
            let Some(named) = act.on(&history, &sound, folder.path()) else {
                sound.restore(folder.path());
                continue;
            };
            let found = verify(folder.path(), key.verifier(), None);
            sound.restore(folder.path());
            let Err(failure) = found else {
                return Err(TestCaseError::fail(format!("{act:?} was not found")));
            };
            if named.file.is_some() {
                prop_assert_eq!(&failure.file, &named.file, "{:?}: {}", act, failure);
            }
            if named.index.is_some() {
                prop_assert_eq!(failure.index, named.index, "{:?}: {}", act, failure);
            }
        }
    }
}

impl Act {
    /// Does the damage. Returns the place that the failure must name, or `None` if nothing relevant
    /// changed.
    fn on(self, history: &History, sound: &Snapshot, folder: &Path) -> Option<Named> {
        let files = sound.published();
        let pick = |number: u32| files[number as usize % files.len()];
        match self {
            Self::Flip(file, bit) => {
                let path = pick(file);
                let mut bytes = sound.bytes(path)?.to_vec();
                let bit = bit as usize % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
                put(folder, path, &bytes);
                Some(named(sound, path, bit / 8))
            }
            Self::Cut(file, byte) => {
                let path = pick(file);
                let bytes = sound.bytes(path)?;
                let at = byte as usize % bytes.len();
                put(folder, path, &bytes[..at]);
                let index = named(sound, path, at).index;
                let is_bundle = Bundle::parse_path(path).is_some();
                Some(Named {
                    file: Some(path.to_owned()),
                    index: index.filter(|_| is_bundle),
                })
            }
            Self::Remove(file) => {
                let path = pick(file);
                std::fs::remove_file(folder.join(path)).unwrap();
                is_needed(history, sound, path).then(|| Named {
                    file: Some(path.to_owned()),
                    index: None,
                })
            }
            Self::CutJournal(byte, zeroed) => cut_journal(history, sound, folder, byte, zeroed),
            Self::Drop(entry, whole) => {
                let mut altered = history.entries.clone();
                altered.remove(entry as usize % history.covered());
                rewrite(history, sound, folder, altered, whole)
            }
            Self::Swap(one, other, whole) => {
                let mut altered = history.entries.clone();
                altered.swap(
                    one as usize % history.covered(),
                    other as usize % history.covered(),
                );
                rewrite(history, sound, folder, altered, whole)
            }
            Self::Double(entry, whole) => {
                let mut altered = history.entries.clone();
                let at = entry as usize % history.covered();
                altered.insert(at, altered[at].clone());
                rewrite(history, sound, folder, altered, whole)
            }
        }
    }
}

/// The file and the entry of this byte; for a tile, the first entry under its hash.
fn named(sound: &Snapshot, path: &str, byte: usize) -> Named {
    let index = if let Some(bundle) = Bundle::parse_path(path) {
        let bytes = sound.bytes(path).unwrap();
        let mut end = 0;
        let mut entry = 0;
        loop {
            end += 2 + usize::from(u16::from_be_bytes([bytes[end], bytes[end + 1]]));
            if byte < end {
                break Some(bundle.index * u64::from(FULL) + entry);
            }
            entry += 1;
        }
    } else {
        Tile::parse_path(path).map(|tile| {
            let hash = tile.index * u64::from(FULL) + byte as u64 / 32;
            hash << (8 * u32::from(tile.level))
        })
    };
    Named {
        file: Some(path.to_owned()),
        index,
    }
}

/// Whether the checkpoint needs this file: it has the implied width, and no full file replaces it.
fn is_needed(history: &History, sound: &Snapshot, path: &str) -> bool {
    let size = history.covered() as u64;
    let (wanted, full) = if let Some(bundle) = Bundle::parse_path(path) {
        let full = Bundle {
            width: FULL,
            ..bundle
        };
        (
            Bundle::at(bundle.index, size).map(|b| b.path()),
            full.path(),
        )
    } else if let Some(tile) = Tile::parse_path(path) {
        let full = Tile {
            width: FULL,
            ..tile
        };
        let wanted = Tile::at(tile.level, tile.index, size);
        (wanted.map(|t| t.path()), full.path())
    } else {
        // Without its checkpoint a log looks like a young one.
        return false;
    };
    wanted.as_deref() == Some(path) && (full == path || sound.bytes(&full).is_none())
}

/// Keeps the checkpoint, as an attacker without the key must.
fn rewrite(
    history: &History,
    sound: &Snapshot,
    folder: &Path,
    altered: Vec<Vec<u8>>,
    whole: bool,
) -> Option<Named> {
    let covered = history.covered();
    let pairs = history.entries.iter().zip(&altered).take(covered);
    let first = pairs.take_while(|(a, b)| a == b).count();
    if first >= covered.min(altered.len()) && altered.len() >= covered {
        return None;
    }
    let size = covered as u64;
    let index = Some(first as u64);
    if whole {
        std::fs::remove_dir_all(folder.join("tile")).unwrap();
        let others = history.of_others(altered);
        others.publish(folder, &test_key());
        put(folder, "checkpoint", sound.bytes("checkpoint")?);
        // Nothing remembers the entries that the journal no longer holds; the failure can only name
        // the root.
        let remembered = crate::audit::journal::read(folder, None).ok()?.next();
        let from = remembered.and_then(Result::ok).map(|read| read.index);
        let index = index.filter(|index| from.is_some_and(|from| *index >= from));
        return Some(Named { file: None, index });
    }
    let wanted = Bundle::at(first as u64 / u64::from(FULL), size)?;
    let begin = wanted.index as usize * usize::from(FULL);
    // Rewrites only this bundle: one entry shorter or longer if an entry was removed or repeated.
    let shift = altered.len().saturating_sub(history.entries.len());
    let missing = history.entries.len().saturating_sub(altered.len());
    let end = begin + usize::from(wanted.width) + shift - missing;
    let bundle = encode_bundle(altered.get(begin..end.min(altered.len()))?).unwrap();
    put(folder, &wanted.path(), &bundle);
    Some(Named {
        file: Some(wanted.path()),
        index,
    })
}

fn cut_journal(
    history: &History,
    sound: &Snapshot,
    folder: &Path,
    byte: u32,
    zeroed: bool,
) -> Option<Named> {
    let paths = ["journal/0000000002", "journal/0000000001"];
    let (path, bytes) = paths
        .into_iter()
        .find_map(|path| Some((path, sound.bytes(path)?)))?;
    let used = bytes.iter().rposition(|byte| *byte != 0)?;
    let at = byte as usize % used;
    let mut cut = bytes[..at].to_vec();
    if zeroed {
        cut.resize(bytes.len(), 0);
    }
    put(folder, path, &cut);
    let left = crate::audit::journal::read(folder, None).ok()?;
    let last = left.map_while(Result::ok).last();
    let end = last.map_or(0, |read| read.index + 1);
    // Beyond the checkpoint a crash may leave the same cut.
    (end < history.covered() as u64).then(Named::default)
}
