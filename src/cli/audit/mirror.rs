//! A copy of a published log in a temporary folder, for what reads a folder; removed when dropped.

use std::path::{Path, PathBuf};

use super::progress::Bar;
use super::source::Folder;
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::note::{MAX_NOTE_BYTES, Note};
use crate::audit::log::tiles::{Bundle, FULL, MAX_BUNDLE_BYTES, Tile, bundles_at, tiles_at};
use crate::audit::read::Files;
use crate::cli::exit::{Exit, Stop};

/// The copy.
#[derive(Debug)]
pub(super) struct Mirror(PathBuf);

impl Mirror {
    /// Copies the checkpoint and what it implies, each as it comes: nothing is judged here.
    ///
    /// # Errors
    /// Where there is no checkpoint, or it cannot be read or written (74), or says no size (1).
    pub(super) fn of(files: &dyn Files) -> Result<Self, Stop> {
        let name = format!("lychgate-verify-{}", uuid::Uuid::now_v7());
        let mirror = Self(std::env::temp_dir().join(name));
        std::fs::create_dir(&mirror.0).map_err(|error| io("make", &mirror.0, &error))?;
        let fetched = files.file("checkpoint", MAX_NOTE_BYTES);
        let Some(bytes) = fetched.map_err(|error| Stop::with(Exit::Io, error))? else {
            return Err(Stop::with(
                Exit::Io,
                "there is no checkpoint: nothing is published",
            ));
        };
        let size = size_of(&bytes)?;
        mirror.put("checkpoint", &bytes)?;
        let mut bar = Bar::of(&mirror.0);
        for bundle in bundles_at(size) {
            let full = Bundle {
                width: FULL,
                ..bundle
            };
            mirror.copy(files, [bundle.path(), full.path()], MAX_BUNDLE_BYTES)?;
            bar.step((bundle.index + 1).saturating_mul(FULL.into()));
        }
        for tile in tiles_at(size) {
            let full = Tile {
                width: FULL,
                ..tile
            };
            mirror.copy(files, [tile.path(), full.path()], usize::from(FULL) * 32)?;
        }
        Ok(mirror)
    }

    /// As a folder that says nothing of itself.
    pub(super) fn folder(&self) -> Folder {
        Folder {
            directory: self.0.clone(),
            key_file: None,
            origin: None,
            seen_file: None,
        }
    }

    /// Copies the first of these that is there; where none is, whoever verifies says so.
    fn copy(&self, files: &dyn Files, paths: [String; 2], max_bytes: usize) -> Result<(), Stop> {
        for path in paths {
            let fetched = files.file(&path, max_bytes);
            let fetched =
                fetched.map_err(|error| Stop::with(Exit::Io, format!("{path}: {error}")))?;
            if let Some(bytes) = fetched {
                return self.put(&path, &bytes);
            }
        }
        Ok(())
    }

    fn put(&self, path: &str, bytes: &[u8]) -> Result<(), Stop> {
        let path = self.0.join(path);
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        made.and_then(|()| std::fs::write(&path, bytes))
            .map_err(|error| io("write", &path, &error))
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        // What is left of it is in the folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn size_of(bytes: &[u8]) -> Result<u64, Stop> {
    let checkpoint = Note::parse(bytes)
        .map_err(|error| error.to_string())
        .and_then(|note| Checkpoint::parse(note.text()).map_err(|error| error.to_string()));
    let checkpoint =
        checkpoint.map_err(|why| Stop::with(Exit::No, format!("checkpoint: {why}")))?;
    Ok(checkpoint.size)
}

fn io(what: &str, path: &Path, error: &std::io::Error) -> Stop {
    Stop::with(
        Exit::Io,
        format!("cannot {what} {}: {error}", path.display()),
    )
}
