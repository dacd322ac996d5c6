//! The trail's access to the disk, as traits, so that a test can make each single operation fail.
//!
//! The operations of a [`Folder`] start at the open folder and follow no link. Each operation returns the
//! error of its system call.

pub(crate) mod names;

#[cfg(test)]
pub(crate) mod fake;
mod real;

use std::any::Any;
use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

use names::FILE_MODE;
use rustix::io::Errno;

pub(crate) use real::RealDisk;

/// Identifies a file or folder, and holds its length and the time of its last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub device: u64,
    pub inode: u64,
    pub bytes: u64,
    /// The time of the last change to the file or its metadata (`ctime`), in nanoseconds. Only the file
    /// system can set this time.
    pub changed: i128,
    /// Whether the owner's write permission is set.
    pub writable: bool,
}

impl Identity {
    /// Whether both values identify the same file, whatever its length and its time of change.
    pub(crate) fn same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    /// Reads and writes an existing file.
    Write,
    /// Reads and writes. Creates a missing file with this mode.
    Create(u32),
}

pub(crate) trait Disk: Debug + Send + Sync {
    /// Opens a folder. If `create` is a mode, creates the folder and its missing parents with this mode.
    fn folder(&self, path: &Path, create: Option<u32>) -> io::Result<Arc<dyn Folder>>;
    fn look(&self, path: &Path) -> io::Result<Identity>;
}

/// A folder that is held open.
pub(crate) trait Folder: Debug + Send + Sync {
    /// Opens a subfolder. If `create` is a mode, creates a missing subfolder with this mode.
    fn folder(&self, name: &str, create: Option<u32>) -> io::Result<Arc<dyn Folder>>;
    /// The names in the folder, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens a file in the folder; a link is an error.
    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn File>>;
    /// Renames a file. Replaces an existing file of the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Renames a file. An existing file of the new name is an error.
    fn rename_new(&self, from: &str, to: &str) -> io::Result<()>;
    /// Moves a file into another open folder of the same disk. Replaces an existing file of the new name.
    fn move_into(&self, from: &str, folder: &dyn Folder, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Removes an empty subfolder.
    fn remove_folder(&self, name: &str) -> io::Result<()>;
    /// Lets [`Self::move_into`] check that both folders belong to the same implementation of [`Disk`].
    fn as_any(&self) -> &dyn Any;
    /// The identity of a file or folder in this folder. Does not follow a link.
    fn look(&self, name: &str) -> io::Result<Identity>;
    /// How many bytes an unprivileged process can still write on this disk.
    fn free_bytes(&self) -> io::Result<u64>;
    fn identity(&self) -> io::Result<Identity>;
    /// The creation time in nanoseconds, if the file system records it. An inode number alone does not
    /// identify a folder: the file system may reuse the number of a removed folder.
    fn made(&self) -> Option<i128>;
    /// Makes the names in the folder durable.
    fn sync(&self) -> io::Result<()>;
    /// Makes everything on the folder's disk durable (`syncfs`). Before Linux 5.8 the call does not
    /// report failed writes.
    fn sync_disk(&self) -> io::Result<()>;
}

/// An open file.
pub(crate) trait File: Debug + Send + Sync {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes the bytes durable (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;
    /// Makes the bytes and the metadata durable (`fsync`).
    fn sync_all(&self) -> io::Result<()>;
    /// Truncates the file to 0 bytes.
    fn clear(&self) -> io::Result<()>;
    fn identity(&self) -> io::Result<Identity>;
    /// How many hard links the file has.
    fn names(&self) -> io::Result<u64>;
    /// Takes the file's exclusive lock and holds it until the file is closed. `false` if another process
    /// holds the lock.
    fn lock(&self) -> io::Result<bool>;
}

/// The path of the folder that contains the file or folder at `path`.
pub(crate) fn folder_above(path: &Path) -> &Path {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    above.unwrap_or(Path::new("."))
}

/// Opens an existing folder below `root`; the empty path leads to `root` itself.
pub(crate) fn folder_below(root: &Arc<dyn Folder>, path: &str) -> io::Result<Arc<dyn Folder>> {
    let mut names = path.split('/').filter(|name| !name.is_empty());
    names.try_fold(Arc::clone(root), |above, name| above.folder(name, None))
}

/// Whether the process or the machine lacked file descriptors or memory, or a signal interrupted the
/// call. Such an error says nothing about the file, and the next try may succeed.
pub(crate) fn is_lack(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR)
    )
}

/// Whether an error of this kind shows that the name does not lead to a file of a log, but to a folder, a
/// link or a file that is too large. All other errors say nothing about the file.
pub(crate) fn is_no_file_of_a_log(kind: io::ErrorKind) -> bool {
    let is_other = matches!(
        kind,
        io::ErrorKind::IsADirectory
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::InvalidData
    );
    // `ELOOP` means a link, and Lychgate follows no link below the log's folder. `ErrorKind` has no
    // stable name for this error.
    is_other || kind == io::Error::from(Errno::LOOP).kind()
}

/// Turns the error `NotFound` into `None`.
pub(crate) fn if_exists<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Fills the whole buffer with the bytes from `offset` on.
pub(crate) fn read_exact(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        let read = file.read_at(&mut buffer[done..], offset + done as u64)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        done += read;
    }
    Ok(())
}

/// Reads a whole file; `None` if it does not exist.
pub(crate) fn read_whole(
    folder: &dyn Folder,
    name: &str,
    max_bytes: usize,
) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = if_exists(folder.open(name, Access::Read))? else {
        return Ok(None);
    };
    let length = usize::try_from(file.identity()?.bytes).unwrap_or(usize::MAX);
    if length > max_bytes {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = vec![0; length];
    read_exact(&*file, &mut bytes, 0)?;
    Ok(Some(bytes))
}

/// Creates a file, writes it and syncs it. First removes an existing file of this name: after a failed
/// sync, a second sync of the same file may succeed without writing its bytes.
pub(crate) fn write_synced(folder: &dyn Folder, name: &str, bytes: &[u8]) -> io::Result<()> {
    if_exists(folder.remove(name))?;
    let file = folder.open(name, Access::Create(FILE_MODE))?;
    let written = file.write_at(bytes, 0).and_then(|()| file.sync_all());
    // A file that a full disk leaves empty still takes an inode. The caller gets the first error.
    written.inspect_err(|_| drop(folder.remove(name)))
}

/// Replaces a file durably: a crash leaves the old content or the new one.
pub(crate) fn replace(
    folder: &dyn Folder,
    temporary: &str,
    name: &str,
    bytes: &[u8],
) -> io::Result<()> {
    write_synced(folder, temporary, bytes)?;
    folder.rename(temporary, name)?;
    folder.sync()
}

/// The length of the largest file that [`read_log_file`] has to read: a bundle of 256 entries of 65,535
/// bytes each, with 2 bytes for the length of each entry.
const MAX_FILE_BYTES: usize = 256 * (2 + 65_535);

/// Reads a whole file of the log; `None` if it does not exist.
pub(crate) fn read_log_file(folder: &dyn Folder, name: &str) -> io::Result<Option<Vec<u8>>> {
    read_whole(folder, name, MAX_FILE_BYTES)
}
