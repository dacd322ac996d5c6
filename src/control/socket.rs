//! The socket's place in the audit folder, reached however long the folder's path is.
//!
//! A Unix socket's address holds 107 bytes of path. So the folder is held open, and the socket is
//! named through `/proc/self/fd`, which also keeps the command in the very folder it looked at.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::SOCKET;
use crate::audit::disk::names::SOCKET_NEW as NEW;

/// The folder, held open.
#[derive(Debug)]
pub(super) struct Place {
    folder: File,
}

/// What tells a socket's file from another of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Place {
    /// Opens the folder.
    ///
    /// # Errors
    /// Where it is none or may not be opened.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let folder = File::open(directory)?;
        if !folder.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { folder })
    }

    /// A short path to the socket, good as long as this lives.
    pub(super) fn path(&self) -> PathBuf {
        self.within(SOCKET)
    }

    /// Makes a listening socket (mode 0600) and gives it its name; one that a dead gateway left behind
    /// is replaced. The caller holds the trail's lock, so no living one is.
    ///
    /// # Errors
    /// Where it cannot be made, or something that is no socket stands in its place.
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

    /// Removes the socket, where it is still this one.
    pub(super) fn remove(&self, known: Identity) {
        let name = self.path();
        if identity(&name).is_ok_and(|found| found == known) {
            // One that stays behind is replaced by the next gateway.
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
    fn a_socket_is_for_its_owner_alone_and_goes_when_it_is_told() {
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
    fn a_socket_that_was_left_behind_is_replaced_and_a_newer_one_is_not_removed() {
        let folder = test_folder("socket");
        let place = Place::open(folder.path()).unwrap();
        let (dead, old) = place.bind().unwrap();
        drop(dead);
        let (_listener, _) = place.bind().unwrap();
        place.remove(old);
        assert!(std::os::unix::net::UnixStream::connect(place.path()).is_ok());
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
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
    fn a_folder_with_a_long_path_has_a_socket_too() {
        let folder = test_folder("socket");
        let deep = folder.path().join("a".repeat(120)).join("b".repeat(120));
        fs::create_dir_all(&deep).unwrap();
        let place = Place::open(&deep).unwrap();
        let (_listener, _) = place.bind().unwrap();
        assert!(std::os::unix::net::UnixStream::connect(place.path()).is_ok());
        assert!(deep.join(SOCKET).exists());
    }
}
