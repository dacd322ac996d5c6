//! `jwks_file`: looked at each second by time, inode and size, which also sees a link that was put
//! elsewhere, as Kubernetes does.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::key_set::MAX_SET_BYTES;
use super::{Pace, Shared};

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A file as it was last seen.
#[derive(Debug)]
pub(super) struct Watch {
    path: PathBuf,
    /// Of the last reading; `None` where it failed, so that the next look reads again.
    seen: Option<Stamp>,
    /// The file changed just before the last reading: times are coarse, so read once more.
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

    /// Looks for ever.
    pub(super) async fn run(mut self, shared: Arc<Shared>, pace: Pace) {
        loop {
            tokio::time::sleep(pace.poll).await;
            let shared = Arc::clone(&shared);
            // A file on a dead network mount hangs: not on a thread that serves requests.
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

/// The file and what it looked like when it was opened; a little more than the bound at most, so
/// that a file that is too long is told from one that fits.
fn read(path: &Path) -> Result<(Stamp, Vec<u8>), String> {
    let name = path.display();
    let failed = |error: std::io::Error| format!("{name}: cannot be read: {error}");
    // Asked by name first: opening a pipe would wait for its other end.
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
