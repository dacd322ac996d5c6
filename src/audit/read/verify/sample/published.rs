//! Publishes entries like the publisher, without its protection against crashes.

use std::fs;
use std::path::Path;

use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::Key;
use crate::audit::log::merkle;
use crate::audit::log::merkle::{Hash, root_of};
use crate::audit::log::tiles::{
    Bundle, FULL, Tile, bundles_at, encode_bundle, encode_tile, tiles_at,
};

/// Publishes the log at each of these ascending sizes. Returns the newest signed checkpoint. With
/// `tidy`, removes partial tiles once the full one exists.
pub(crate) fn publish(
    directory: &Path,
    entries: &[Vec<u8>],
    sizes: &[u64],
    key: &Key,
    tidy: bool,
) -> Vec<u8> {
    let levels = levels(entries);
    let mut newest = Vec::new();
    for &size in sizes {
        for bundle in bundles_at(size) {
            let first = bundle.index as usize * usize::from(FULL);
            let part = &entries[first..first + usize::from(bundle.width)];
            put(directory, &bundle.path(), &encode_bundle(part).unwrap());
        }
        for tile in tiles_at(size) {
            let first = tile.index as usize * usize::from(FULL);
            let hashes = &levels[usize::from(tile.level)];
            let part = &hashes[first..first + usize::from(tile.width)];
            put(directory, &tile.path(), &encode_tile(part));
        }
        newest = checkpoint(&entries[..size as usize], key).sign(key);
        put(directory, "checkpoint", &newest);
        if tidy {
            clean(directory, size);
        }
    }
    newest
}

/// The checkpoint over these entries.
pub(crate) fn checkpoint(entries: &[Vec<u8>], key: &Key) -> Checkpoint {
    let leaves: Vec<Hash> = entries.iter().map(|entry| merkle::leaf(entry)).collect();
    Checkpoint {
        origin: key.origin().to_owned(),
        size: entries.len() as u64,
        root: root_of(&leaves),
    }
}

fn levels(entries: &[Vec<u8>]) -> Vec<Vec<Hash>> {
    let mut levels = vec![entries.iter().map(|entry| merkle::leaf(entry)).collect()];
    while let Some(below) = levels.last().filter(|below: &&Vec<Hash>| !below.is_empty()) {
        let (full, _) = below.as_chunks::<{ FULL as usize }>();
        let next = full.iter().map(|tile| root_of(tile)).collect();
        levels.push(next);
    }
    levels
}

fn put(directory: &Path, path: &str, bytes: &[u8]) {
    let path = directory.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Removes partial tiles that are full at this size.
fn clean(directory: &Path, size: u64) {
    let partial = |path: String| directory.join(format!("{path}.p"));
    for bundle in bundles_at(size).filter(|bundle| bundle.width == FULL) {
        let full = Bundle {
            width: FULL,
            ..bundle
        };
        let _ = fs::remove_dir_all(partial(full.path()));
    }
    for tile in tiles_at(size).filter(|tile| tile.width == FULL) {
        let full = Tile {
            width: FULL,
            ..tile
        };
        let _ = fs::remove_dir_all(partial(full.path()));
    }
}
