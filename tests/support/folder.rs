//! Temporary folders, removed when dropped.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::wire::PATIENCE;

/// A new folder for this process only.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Folder {
    /// The name contains the process id, so that two runs never share a folder.
    pub(crate) fn new() -> Self {
        Self::new_in(&place())
    }

    /// A folder on the disk of the build.
    pub(crate) fn on_disk() -> Self {
        Self::new_in(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    fn new_in(place: &Path) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lychgate-test-{}-{number}", std::process::id());
        let path = place.join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into the folder and returns its path.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// All files below the folder.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        files_below(&self.0)
    }
}

/// The place for test folders: in memory if the system has such a place with at least a gigabyte
/// free, so that no trail waits for a busy disk. Containers often have less.
pub(crate) fn place() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let is_writable = rustix::fs::access(memory, rustix::fs::Access::WRITE_OK).is_ok();
    let room = rustix::fs::statvfs(memory).map_or(0, |about| about.f_bavail * about.f_frsize);
    match is_writable && room > 1 << 30 {
        true => memory.to_owned(),
        false => std::env::temp_dir(),
    }
}

/// All files below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() => files.push(path),
                _ => {}
            }
        }
    }
    files
}

/// Removes a folder in which a process may still create files.
pub(crate) fn remove(folder: &Path) {
    let begin = Instant::now();
    while let Err(error) = std::fs::remove_dir_all(folder) {
        if error.kind() == ErrorKind::NotFound {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{}: {error}", folder.display());
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
