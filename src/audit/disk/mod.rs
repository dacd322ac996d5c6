//! The short list of steps by which the trail reaches its disk, so that tests can fail each of them.
//!
//! Everything is opened relative to a folder that is held open, and no link is followed.

pub(crate) mod names;

#[cfg(test)]
pub(crate) mod fake;
mod real;

use std::any::Any;
use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

pub use real::RealDisk;

/// What tells one file from another, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Its length.
    pub bytes: u64,
    /// When anything of it last changed, in nanoseconds by the file system's clock, which no writer
    /// can set.
    pub changed: i128,
    /// Whether its owner may write to it.
    pub writable: bool,
}

impl Identity {
    /// Whether both are of one file, however long.
    #[must_use]
    pub fn same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is there; for reading.
    Read,
    /// It is there; for reading and writing.
    Write,
    /// Made where it is not there, with this mode; for reading and writing.
    Create(u32),
}

/// Where folders are found by their path.
pub trait Disk: Debug + Send + Sync {
    /// Opens a folder; with a mode, makes it and what is missing above it.
    ///
    /// # Errors
    /// Where the system says so.
    fn folder(&self, path: &Path, create: Option<u32>) -> io::Result<Arc<dyn Folder>>;
    /// What stands at a path.
    ///
    /// # Errors
    /// Where the system says so.
    fn look(&self, path: &Path) -> io::Result<Identity>;
}

/// A folder that is held open.
pub trait Folder: Debug + Send + Sync {
    /// Opens a folder in it; with a mode, makes it where it is missing.
    ///
    /// # Errors
    /// Where the system says so.
    fn folder(&self, name: &str, create: Option<u32>) -> io::Result<Arc<dyn Folder>>;
    /// The names in it, in no order.
    ///
    /// # Errors
    /// Where the system says so.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens a file in it.
    ///
    /// # Errors
    /// Where the system says so; a link is an error.
    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn File>>;
    /// Gives a file in it another name; a file of that name is replaced.
    ///
    /// # Errors
    /// Where the system says so.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Gives a file in it another name, which nothing may have.
    ///
    /// # Errors
    /// `AlreadyExists` where something has it; where the system says so.
    fn rename_new(&self, from: &str, to: &str) -> io::Result<()>;
    /// Moves a file into another held folder of the same disk; a file of that name is replaced.
    ///
    /// # Errors
    /// Where the system says so.
    fn move_into(&self, from: &str, folder: &dyn Folder, to: &str) -> io::Result<()>;
    /// Takes a file's name away.
    ///
    /// # Errors
    /// Where the system says so.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Takes an empty folder's name away.
    ///
    /// # Errors
    /// Where the system says so, or it is not empty.
    fn remove_folder(&self, name: &str) -> io::Result<()>;
    /// Itself, for a disk to know its own folders.
    fn as_any(&self) -> &dyn Any;
    /// What stands under a name, without following a link.
    ///
    /// # Errors
    /// Where the system says so.
    fn look(&self, name: &str) -> io::Result<Identity>;
    /// Bytes that are free to use on its disk.
    ///
    /// # Errors
    /// Where the system says so.
    fn free_bytes(&self) -> io::Result<u64>;
    /// What the held folder is.
    ///
    /// # Errors
    /// Where the system says so.
    fn identity(&self) -> io::Result<Identity>;
    /// When it was made, in nanoseconds, where the file system says so: a number of an inode alone may
    /// be that of one which is gone.
    fn made(&self) -> Option<i128>;
    /// Makes its names durable.
    ///
    /// # Errors
    /// Where the system says so.
    fn sync(&self) -> io::Result<()>;
    /// Makes all durable that stands on its disk (`syncfs`).
    ///
    /// # Errors
    /// Where the system says so: before Linux 5.8 it keeps to itself what it could not write.
    fn sync_disk(&self) -> io::Result<()>;
}

/// An open file.
pub trait File: Debug + Send + Sync {
    /// Reads as much as there is at an offset, up to the buffer's length.
    ///
    /// # Errors
    /// Where the system says so.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of the bytes at an offset.
    ///
    /// # Errors
    /// Where the system says so.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes its bytes durable (`fdatasync`).
    ///
    /// # Errors
    /// Where the system says so.
    fn sync_data(&self) -> io::Result<()>;
    /// Makes its bytes and its length durable (`fsync`).
    ///
    /// # Errors
    /// Where the system says so.
    fn sync_all(&self) -> io::Result<()>;
    /// Cuts it to no bytes.
    ///
    /// # Errors
    /// Where the system says so.
    fn clear(&self) -> io::Result<()>;
    /// Which file it is and how long.
    ///
    /// # Errors
    /// Where the system says so.
    fn identity(&self) -> io::Result<Identity>;
    /// How many names it has.
    ///
    /// # Errors
    /// Where the system says so.
    fn names(&self) -> io::Result<u64>;
    /// Takes the file's exclusive lock for as long as it is open; false where another holds it.
    ///
    /// # Errors
    /// Where the system says so.
    fn lock(&self) -> io::Result<bool>;
}

/// Whether the process or the machine lacked descriptors or memory, or was interrupted: nothing is said
/// of the file, and the next try may work.
#[must_use]
pub fn is_lack(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR)
    )
}

/// Whether an error of this kind says that no file of a log stands under a name: a folder or a link does, or
/// the file is longer than any. All other errors say nothing of the file.
#[must_use]
pub fn is_no_file_of_a_log(kind: io::ErrorKind) -> bool {
    let is_other = matches!(
        kind,
        io::ErrorKind::IsADirectory
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::InvalidData
    );
    // No link is followed below the log's folder. The kind has no stable name.
    is_other || kind == io::Error::from(Errno::LOOP).kind()
}

/// Reads exactly so many bytes.
///
/// # Errors
/// Where the system says so, or the file is shorter.
pub fn read_exact(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
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

/// Reads a file whole; `None` if there is none.
///
/// # Errors
/// If the system says so; `FileTooLarge` if it has more than `max_bytes`.
pub fn read_whole(
    folder: &dyn Folder,
    name: &str,
    max_bytes: usize,
) -> io::Result<Option<Vec<u8>>> {
    let file = match folder.open(name, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = usize::try_from(file.identity()?.bytes).unwrap_or(usize::MAX);
    if length > max_bytes {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = vec![0; length];
    read_exact(&*file, &mut bytes, 0)?;
    Ok(Some(bytes))
}

/// The longest file of a log is a full bundle: 256 entries of 65,535 bytes, each with its length.
const MAX_FILE_BYTES: usize = 256 * (2 + 65_535);

/// Reads a file of the log whole; `None` if there is none.
pub(crate) fn read_log_file(folder: &dyn Folder, name: &str) -> io::Result<Option<Vec<u8>>> {
    read_whole(folder, name, MAX_FILE_BYTES)
}
