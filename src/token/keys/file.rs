//! Watches `jwks_file`: checks the file's timestamps, inode and size every second. The check
//! follows symbolic links, so it also notices when a link gets a new target. Kubernetes updates a
//! mounted secret by such a new target.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::key_set::MAX_SET_BYTES;
use super::{Pace, Shared};

/// The metadata that distinguishes two states of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A file and its last known state.
#[derive(Debug)]
pub(super) struct Watch {
    path: PathBuf,
    /// The file's state at the last read; `None` after a failure, so that the next check reads the
    /// file again.
    seen: Option<Stamp>,
    /// Whether the last check found a change; `true` also after the first read. Timestamps are
    /// coarse, so a second change soon after the first can leave them the same. The next check
    /// therefore reads the file again in any case.
    fresh: bool,
}

impl Watch {
    /// Reads the file for the first time.
    pub(super) fn start(path: &Path, shared: &Shared) -> Self {
        let mut watch = Self {
            path: path.to_owned(),
            seen: None,
            fresh: true,
        };
        watch.read(shared);
        watch
    }

    /// Checks the file until the task is dropped.
    pub(super) async fn run(mut self, shared: Arc<Shared>, pace: Pace) {
        loop {
            tokio::time::sleep(pace.poll).await;
            let shared = Arc::clone(&shared);
            // Reading from a dead network mount blocks, so it must not run on a thread that serves
            // requests.
            let looked = tokio::task::spawn_blocking(move || {
                self.look(&shared);
                self
            });
            match looked.await {
                Ok(watch) => self = watch,
                Err(_) => return,
            }
        }
    }

    fn look(&mut self, shared: &Shared) {
        let now = std::fs::metadata(&self.path).ok().map(Stamp::of);
        if now.is_some() && now == self.seen && !self.fresh {
            return;
        }
        self.fresh = now != self.seen;
        self.read(shared);
    }

    fn read(&mut self, shared: &Shared) {
        let read = read(&self.path);
        self.seen = read.as_ref().ok().map(|(stamp, _)| *stamp);
        shared.take(read.map(|(_, bytes)| bytes));
    }
}

impl Stamp {
    #[expect(clippy::needless_pass_by_value, reason = "as `map` hands it over")]
    fn of(metadata: std::fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Reads a file. Returns the file's metadata at the time of opening, and the content. Reads at most
/// one byte more than [`MAX_SET_BYTES`], so that the parser can reject a file that is too long.
pub(super) fn read(path: &Path) -> Result<(Stamp, Vec<u8>), String> {
    let name = path.display();
    let failed = |error: std::io::Error| format!("{name}: cannot be read: {error}");
    // Check the type first: opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(format!("{name}: is not a file"));
    }
    let file = File::open(path).map_err(failed)?;
    let stamp = Stamp::of(file.metadata().map_err(failed)?);
    let mut bytes = Vec::new();
    file.take(MAX_SET_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok((stamp, bytes))
}
