//! A published log for tests: tiles, bundles and checkpoint of a list of entries.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Files, FolderFiles};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::test_key;
use crate::audit::log::merkle::{Hash, leaf, root_of};
use crate::audit::log::tiles::{bundles_at, encode_bundle, encode_tile, tiles_at};

/// Writes every file that a checkpoint over these entries implies, signed with the test key.
pub(crate) fn publish(directory: &Path, entries: &[Vec<u8>]) -> Checkpoint {
    let mut level: Vec<Hash> = entries.iter().map(|entry| leaf(entry)).collect();
    let root = root_of(&level);
    let mut levels = vec![level];
    while let Some(last) = levels.last().filter(|last| last.len() >= 256) {
        level = last.chunks_exact(256).map(root_of).collect();
        levels.push(level);
    }
    let size = entries.len() as u64;
    for tile in tiles_at(size) {
        let hashes = &levels[usize::from(tile.level)];
        let first = tile.index as usize * 256;
        let bytes = encode_tile(&hashes[first..first + usize::from(tile.width)]);
        put(directory, &tile.path(), &bytes);
    }
    for bundle in bundles_at(size) {
        let first = bundle.index as usize * 256;
        let bytes = encode_bundle(&entries[first..first + usize::from(bundle.width)]);
        put(directory, &bundle.path(), &bytes.unwrap());
    }
    let key = test_key();
    let checkpoint = Checkpoint {
        origin: key.verifier().origin().to_owned(),
        size,
        root,
    };
    put(directory, "checkpoint", &checkpoint.sign(&key));
    checkpoint
}

/// Writes a file and its parent folders.
pub(crate) fn put(directory: &Path, path: &str, bytes: &[u8]) {
    let path = directory.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A folder that counts the reads of the files below a path, and lets some of them fail.
#[derive(Debug)]
pub(crate) struct Flaky {
    files: FolderFiles,
    path: &'static str,
    fails: fn(u64) -> bool,
    reads: AtomicU64,
}

impl Flaky {
    /// `fails` takes the number of the read, from 0.
    pub(crate) fn new(directory: &Path, path: &'static str, fails: fn(u64) -> bool) -> Self {
        let files = FolderFiles::open(directory).unwrap();
        Self {
            files,
            path,
            fails,
            reads: AtomicU64::new(0),
        }
    }

    /// How many files below the path were read.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

impl Files for Flaky {
    fn file(&self, path: &str, max_bytes: usize) -> io::Result<Option<Vec<u8>>> {
        if path.starts_with(self.path) && (self.fails)(self.reads.fetch_add(1, Ordering::Relaxed)) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.files.file(path, max_bytes)
    }
}
