//! Checks the published log: computes the Merkle tree from the entries, and compares each tile and the
//! signed root with this tree. Reads each file once in a round.

use std::sync::Arc;

use super::is_no_folder;
use crate::audit::disk::names::CHECKPOINT;
use crate::audit::disk::{Folder, folder_below, read_log_file};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::Key;
use crate::audit::log::merkle::{Hash, leaf};
use crate::audit::log::tiles::{Bundle, FULL, Frontier, LEVELS, Tile};
use crate::audit::read::TileFile;
use crate::audit::status::{Cause, Unavailable, closed, unread};

/// The level of the root hash, above the levels of all tiles.
pub(crate) const ROOT: u8 = LEVELS;
/// The maximum number of checkpoints that one round uses, one after the other, as the log grows. Without a
/// maximum, a round would not end if the log grew faster than the scrub reads it.
const MOST_CHECKPOINTS: u32 = 16;

/// The check of the published log, and the progress of its present round.
#[derive(Debug)]
pub(crate) struct PublishedLogCheck {
    root: Arc<dyn Folder>,
    /// The key that must have signed the checkpoint.
    key: Arc<Key>,
    /// The Merkle tree over the full bundles that this round has checked.
    tree: Frontier,
    /// The checkpoint that covers the next full bundle.
    checkpoint: Option<Checkpoint>,
    /// The number of checkpoints that this round has used so far. See [`MOST_CHECKPOINTS`].
    checkpoints: u32,
    /// Bytes of bundles and tiles read since the scrub last reset the count.
    pub(super) read: u64,
}

/// A fault in the published files.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) found: Unavailable,
    /// The level of the tile with the fault; [`ROOT`] for the root hash, and 0 for any other file.
    pub(crate) level: u8,
    /// The first entry that may be wrong; `u64::MAX` if no entry that the round has checked is in doubt.
    from: u64,
}

impl PublishedLogCheck {
    pub(crate) fn new(root: &Arc<dyn Folder>, key: &Arc<Key>) -> Self {
        Self {
            root: Arc::clone(root),
            key: Arc::clone(key),
            tree: Frontier::default(),
            checkpoint: None,
            checkpoints: 0,
            read: 0,
        }
    }

    /// Checks the next bundle and the tiles that the bundle completes, and returns the highest level of
    /// these tiles. After the last full bundle, checks the partial bundle, the partial tiles and the root
    /// hash, and returns [`ROOT`]: the round is complete. After an error, the next call repeats the same
    /// check.
    pub(crate) fn next(&mut self) -> Result<u8, Wrong> {
        let checkpoint = self.checkpoint()?;
        let (mut tree, mut tiles) = (self.tree.clone(), Vec::new());
        let bundle = Bundle::at(tree.size() / u64::from(FULL), checkpoint.size);
        if let Some(bundle) = bundle {
            let file = self.read(bundle.path(), bundle.width)?;
            let entries = file.entries(bundle.width);
            for entry in entries.map_err(|e| altered(&file.path, &e.to_string()))? {
                tiles.extend(tree.push(leaf(entry)));
            }
        }
        let is_last = bundle.is_none_or(|bundle| bundle.width < FULL);
        if is_last {
            tiles.extend(tree.partial());
        }
        let mut level = 0;
        for (tile, hashes) in tiles {
            self.compare(tile, &hashes)?;
            level = tile.level;
        }
        if !is_last {
            self.tree = tree;
            return Ok(level);
        }
        if tree.root() != checkpoint.root {
            let what = format!(
                "it signs another root than that of the {} entries",
                tree.size()
            );
            return Err(Wrong {
                found: altered(CHECKPOINT, &what),
                level: ROOT,
                from: 0,
            });
        }
        self.begin_again();
        Ok(ROOT)
    }

    /// Moves the round back to the first entry that may be wrong. The round then reads the entries again,
    /// because they may have been repaired meanwhile.
    pub(crate) fn go_back(&mut self, wrong: &Wrong) {
        if wrong.from == 0 {
            self.begin_again();
        } else if wrong.from < self.tree.size() {
            self.tree = self.tree.back_to(wrong.from);
        }
    }

    fn begin_again(&mut self) {
        self.tree = Frontier::default();
        self.checkpoint = None;
        self.checkpoints = 0;
    }

    /// Returns the checkpoint to check the next bundle against: the known checkpoint if it covers another
    /// full bundle, or if the round has used [`MOST_CHECKPOINTS`]. Otherwise reads the file `checkpoint`.
    fn checkpoint(&mut self) -> Result<Checkpoint, Unavailable> {
        let size = self.tree.size();
        let has_next = |checkpoint: &Checkpoint| checkpoint.size - size >= u64::from(FULL);
        let must_do = self.checkpoints >= MOST_CHECKPOINTS;
        if let Some(known) = &self.checkpoint
            && (must_do || has_next(known))
        {
            return Ok(known.clone());
        }
        let bytes = file(&self.root, CHECKPOINT)?.ok_or_else(|| unlinked(CHECKPOINT))?;
        let now = Checkpoint::open(&bytes, self.key.verifier());
        let now = now.map_err(|e| altered(CHECKPOINT, &e.to_string()))?;
        if now.size < size {
            let what = format!(
                "it covers {} entries, but an earlier one covered {size}",
                now.size
            );
            return Err(altered(CHECKPOINT, &what));
        }
        if has_next(&now) {
            self.checkpoint = Some(now.clone());
            self.checkpoints += 1;
        }
        Ok(now)
    }

    /// Checks that a tile holds `hashes`, which were computed from the entries.
    fn compare(&mut self, tile: Tile, hashes: &[Hash]) -> Result<(), Wrong> {
        let level = tile.level;
        let at = |found| Wrong {
            level,
            ..Wrong::from(found)
        };
        let file = self.read(tile.path(), tile.width).map_err(at)?;
        let wrong = file.first_wrong(hashes);
        let Some(wrong) = wrong.map_err(|e| at(altered(&file.path, &e.to_string())))? else {
            return Ok(());
        };
        let from = tile.first_entry(wrong);
        let to = tile.first_entry(wrong + 1) - 1;
        let what = format!("its hash of entries {from} to {to} does not match them");
        Err(Wrong {
            found: altered(&file.path, &what),
            level,
            from,
        })
    }

    /// Reads a tile or a bundle. If a partial file is missing, reads the full file instead, because the
    /// log may have grown since the checkpoint.
    fn read(&mut self, path: String, width: u16) -> Result<TileFile, Unavailable> {
        let found = TileFile::read(path.clone(), width, |path| file(&self.root, path))?;
        let file = found.ok_or_else(|| unlinked(&path))?;
        self.read += file.bytes.len() as u64;
        Ok(file)
    }
}

/// A fault of a single file. The entries that the round has already checked are not in doubt.
impl From<Unavailable> for Wrong {
    fn from(found: Unavailable) -> Self {
        Self {
            found,
            level: 0,
            from: u64::MAX,
        }
    }
}

/// The present content of a file; `None` if the file or a folder in its path is missing.
fn file(root: &Arc<dyn Folder>, path: &str) -> Result<Option<Vec<u8>>, Unavailable> {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let bytes = match folder_below(root, above) {
        Err(error) if is_no_folder(&error) => return Ok(None),
        folder => folder.and_then(|folder| read_log_file(&*folder, name)),
    };
    bytes.map_err(|error| unread(&error, path))
}

fn unlinked(path: &str) -> Unavailable {
    closed(Cause::Unlinked, format!("{path} was unlinked"))
}

fn altered(path: &str, what: &str) -> Unavailable {
    closed(Cause::Altered, format!("{path}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::disk::{Disk, RealDisk};
    use crate::audit::test_folder;

    #[test]
    fn a_replaced_file_differs_from_a_missing_one() {
        let outer = test_folder("published");
        let at = |name: &str| outer.path().join(name);
        std::fs::create_dir_all(at("tile/0/001")).unwrap();
        std::fs::write(at("tile/0/000"), b"hash").unwrap();
        std::os::unix::fs::symlink("000", at("tile/0/002")).unwrap();
        let long = std::fs::File::create(at("tile/0/003")).unwrap();
        long.set_len(1 << 30).unwrap();
        std::os::unix::fs::symlink("0", at("tile/1")).unwrap();
        std::fs::write(at("tile/2"), b"").unwrap();
        let root = RealDisk.folder(outer.path(), None).unwrap();
        assert_eq!(file(&root, "tile/0/000").unwrap().unwrap(), b"hash");
        for none in ["tile/0/004", "tile/1/000", "tile/2/000", "tile/3/000"] {
            assert_eq!(file(&root, none), Ok(None), "{none}");
        }
        let cause = |path: &str| file(&root, path).unwrap_err().cause;
        assert_eq!(cause("tile/0/001"), Cause::Replaced);
        assert_eq!(cause("tile/0/002"), Cause::Replaced);
        assert_eq!(cause("tile/0/003"), Cause::Altered);
    }
}
