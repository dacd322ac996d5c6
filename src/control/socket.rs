//! The socket's file in the audit folder; the folder's path may have any length.
//!
//! The address of a Unix socket holds at most 107 bytes of path. So [`Place`] opens the folder and reaches
//! the socket through `/proc/self/fd`. Because the command holds the folder open, it reaches the socket of
//! that folder, even if someone later puts another folder at the same path.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::SOCKET;
use crate::audit::disk::names::SOCKET_NEW as NEW;

#[derive(Debug)]
pub(super) struct Place {
    folder: File,
}

/// Identifies a socket's file, so that another file of the same name is not mistaken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Place {
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let folder = File::open(directory)?;
        if !folder.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { folder })
    }

    /// A short path to the socket, valid as long as `self` lives.
    pub(super) fn path(&self) -> PathBuf {
        self.within(SOCKET)
    }

    /// Creates a listening socket (mode 0600) under a temporary name, then renames the file to its final
    /// name. Replaces the socket of an earlier gateway. No other gateway is running, because the caller holds
    /// the trail's lock.
    pub(super) fn bind(&self) -> io::Result<(std::os::unix::net::UnixListener, Identity)> {
        let (new, name) = (self.within(NEW), self.path());
        for place in [&new, &name] {
            match fs::symlink_metadata(place) {
                Ok(found) if !found.file_type().is_socket() => {
                    let what = format!("{SOCKET}: what stands in its place is no socket");
                    return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
                }
                _ => {}
            }
        }
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = std::os::unix::net::UnixListener::bind(&new)?;
        fs::set_permissions(&new, Permissions::from_mode(0o600))?;
        let identity = identity(&new)?;
        fs::rename(&new, &name)?;
        Ok((listener, identity))
    }

    /// Removes the socket unless another socket has replaced it.
    pub(super) fn remove(&self, known: Identity) {
        let name = self.path();
        if identity(&name).is_ok_and(|found| found == known) {
            // If this fails, the next gateway replaces the file.
            let _ = fs::remove_file(name);
        }
    }

    fn within(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.folder.as_raw_fd()))
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let found = fs::symlink_metadata(path)?;
    Ok(Identity {
        device: found.dev(),
        inode: found.ino(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::test_folder;

    #[test]
    fn a_socket_has_mode_0600_and_can_be_removed() {
        let folder = test_folder("socket");
        let place = Place::open(folder.path()).unwrap();
        let (_listener, identity) = place.bind().unwrap();
        let path = folder.path().join(SOCKET);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        place.remove(identity);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_newer_one_kept() {
        let folder = test_folder("socket");
        let place = Place::open(folder.path()).unwrap();
        let (dead, old) = place.bind().unwrap();
        drop(dead);
        let (_listener, _) = place.bind().unwrap();
        place.remove(old);
        assert!(std::os::unix::net::UnixStream::connect(place.path()).is_ok());
    }

    #[test]
    fn a_file_that_is_not_a_socket_is_left_alone() {
        let folder = test_folder("socket");
        fs::write(folder.path().join(SOCKET), "mine").unwrap();
        let place = Place::open(folder.path()).unwrap();
        assert_eq!(
            place.bind().unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(fs::read(folder.path().join(SOCKET)).unwrap(), b"mine");
    }

    #[test]
    fn a_folder_with_a_long_path_can_hold_the_socket() {
        let folder = test_folder("socket");
        let deep = folder.path().join("a".repeat(120)).join("b".repeat(120));
        fs::create_dir_all(&deep).unwrap();
        let place = Place::open(&deep).unwrap();
        let (_listener, _) = place.bind().unwrap();
        assert!(std::os::unix::net::UnixStream::connect(place.path()).is_ok());
        assert!(deep.join(SOCKET).exists());
    }
}
