//! The real disk. Opens names in a folder with `openat2` (BENEATH, NO_SYMLINKS), or with `openat` if the
//! kernel lacks `openat2` (before Linux 5.6) or forbids it.

use std::any::Any;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, CWD, FlockOperation, Mode, OFlags, RenameFlags, ResolveFlags, Stat, StatxFlags, flock,
    fstat, fstatvfs, fsync, mkdirat, openat, openat2, renameat, renameat_with, statat, statx,
    syncfs, unlinkat,
};
use rustix::io::Errno;

use super::{Access, Disk, File, Folder, Identity, folder_above};

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RealDisk;

#[derive(Debug)]
struct RealFolder(OwnedFd);

#[derive(Debug)]
struct RealFile(std::fs::File);

impl Disk for RealDisk {
    fn folder(&self, path: &Path, create: Option<u32>) -> io::Result<Arc<dyn Folder>> {
        if let Some(mode) = create {
            make_durably(path, mode)?;
        }
        // Follows a link at this path, because the operator may have made one. Inside the folder,
        // Lychgate follows no link.
        let held = openat(CWD, path, folder_flags(), Mode::empty())?;
        Ok(Arc::new(RealFolder(held)))
    }

    fn look(&self, path: &Path) -> io::Result<Identity> {
        Ok(identity_of(&statat(CWD, path, AtFlags::empty())?))
    }
}

impl Folder for RealFolder {
    fn folder(&self, name: &str, create: Option<u32>) -> io::Result<Arc<dyn Folder>> {
        if let Some(mode) = create {
            match mkdirat(&self.0, name, Mode::from_raw_mode(mode)) {
                // Syncs even if the folder already exists: the process that created the folder may have
                // died before it synced the folder's name.
                Ok(()) | Err(Errno::EXIST) => fsync(&self.0)?,
                // Ignores the error if the folder exists: a read-only file system may refuse to create any
                // folder without first checking whether the name exists.
                Err(error) if self.look(name).is_err() => return Err(error.into()),
                Err(_) => {}
            }
        }
        let held = beneath(&self.0, name, folder_flags(), Mode::empty())?;
        Ok(Arc::new(RealFolder(held)))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            match entry.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn File>> {
        let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let (access, mode) = match access {
            Access::Read => (OFlags::RDONLY, 0),
            Access::Write => (OFlags::RDWR, 0),
            Access::Create(mode) => (OFlags::RDWR | OFlags::CREATE, mode),
        };
        let mode = Mode::from_raw_mode(mode);
        let fd = beneath(&self.0, name, flags | access, mode)?;
        Ok(Arc::new(RealFile(std::fs::File::from(fd))))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&self.0, from, &self.0, to)?)
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        match renameat_with(&self.0, from, &self.0, to, RenameFlags::NOREPLACE) {
            // The file system does not support the flag. This fallback is not atomic: it replaces a file
            // that another process creates between `look` and `rename`.
            Err(Errno::INVAL | Errno::NOSYS) => match self.look(to) {
                Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.rename(from, to),
                Err(error) => Err(error),
            },
            other => Ok(other?),
        }
    }

    fn move_into(&self, from: &str, folder: &dyn Folder, to: &str) -> io::Result<()> {
        let Some(folder) = folder.as_any().downcast_ref::<Self>() else {
            return Err(io::ErrorKind::CrossesDevices.into());
        };
        Ok(renameat(&self.0, from, &folder.0, to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    fn remove_folder(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn look(&self, name: &str) -> io::Result<Identity> {
        Ok(identity_of(&statat(
            &self.0,
            name,
            AtFlags::SYMLINK_NOFOLLOW,
        )?))
    }

    fn identity(&self) -> io::Result<Identity> {
        Ok(identity_of(&fstat(&self.0)?))
    }

    fn made(&self) -> Option<i128> {
        let found = statx(&self.0, "", AtFlags::EMPTY_PATH, StatxFlags::BTIME).ok()?;
        let is_known = found.stx_mask & StatxFlags::BTIME.bits() != 0;
        let time = found.stx_btime;
        is_known.then(|| i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let disk = fstatvfs(&self.0)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(fsync(&self.0)?)
    }

    fn sync_disk(&self) -> io::Result<()> {
        Ok(syncfs(&self.0)?)
    }
}

impl File for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn clear(&self) -> io::Result<()> {
        self.0.set_len(0)
    }

    fn identity(&self) -> io::Result<Identity> {
        Ok(identity_of(&fstat(&self.0)?))
    }

    fn names(&self) -> io::Result<u64> {
        Ok(fstat(&self.0)?.st_nlink)
    }

    fn lock(&self) -> io::Result<bool> {
        match flock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn beneath(folder: &OwnedFd, name: &str, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(folder, name, flags, mode, resolve) {
        Err(Errno::NOSYS | Errno::PERM) => no_follow(folder, name, flags, mode),
        other => Ok(other?),
    }
}

/// [`beneath`] for a kernel that lacks or forbids openat2. NOFOLLOW is enough, because each name is a single
/// component.
fn no_follow(folder: &OwnedFd, name: &str, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    Ok(openat(folder, name, flags | OFlags::NOFOLLOW, mode)?)
}

/// Creates a folder and its missing parents, outermost first, and syncs the name of each.
fn make_durably(path: &Path, mode: u32) -> io::Result<()> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|p| !p.as_os_str().is_empty() && !p.exists())
        .collect();
    for folder in missing.into_iter().rev() {
        match DirBuilder::new().mode(mode).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let above = openat(CWD, folder_above(folder), folder_flags(), Mode::empty())?;
        fsync(above)?;
    }
    Ok(())
}

fn folder_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC
}

fn identity_of(stat: &Stat) -> Identity {
    Identity {
        device: stat.st_dev,
        inode: stat.st_ino,
        bytes: u64::try_from(stat.st_size).unwrap_or(0),
        changed: i128::from(stat.st_ctime) * 1_000_000_000 + i128::from(stat.st_ctime_nsec),
        writable: Mode::from_raw_mode(stat.st_mode).contains(Mode::WUSR),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::audit::test_folder;

    #[test]
    fn no_link_is_followed_below_the_held_folder() {
        let outer = test_folder("disk-link");
        std::fs::write(outer.path().join("file"), b"x").unwrap();
        std::os::unix::fs::symlink("file", outer.path().join("link")).unwrap();
        std::os::unix::fs::symlink(".", outer.path().join("down")).unwrap();
        let folder = RealDisk.folder(outer.path(), None).unwrap();
        assert!(folder.open("file", Access::Read).is_ok());
        assert!(folder.open("link", Access::Read).is_err());
        assert!(folder.folder("down", None).is_err());
    }

    #[test]
    fn p4_without_openat2_no_link_is_followed_either() {
        let outer = test_folder("disk-old");
        std::fs::create_dir(outer.path().join("real")).unwrap();
        std::os::unix::fs::symlink("real", outer.path().join("link")).unwrap();
        let held = openat(CWD, outer.path(), folder_flags(), Mode::empty()).unwrap();
        let opened = |name| no_follow(&held, name, folder_flags(), Mode::empty());
        assert!(opened("real").is_ok());
        assert!(opened("link").is_err());
    }

    #[test]
    fn a_recreated_folder_has_another_creation_time() {
        let outer = test_folder("disk-made");
        let path = outer.path().join("copy");
        let made = || {
            std::fs::create_dir(&path).unwrap();
            let made = RealDisk.folder(&path, None).unwrap().made();
            std::fs::remove_dir(&path).unwrap();
            made
        };
        let first = made();
        // The file system's clock advances in ticks.
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(first.is_none() || first != made());
    }

    #[test]
    fn missing_parents_are_created_with_the_folders_mode() {
        let outer = test_folder("disk-above");
        let path = outer.path().join("a/b/c");
        assert!(RealDisk.folder(&path, None).is_err());
        RealDisk.folder(&path, Some(0o750)).unwrap();
        for folder in path.ancestors().take(3) {
            let mode = std::fs::metadata(folder).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o750, "{}", folder.display());
        }
        RealDisk.folder(&path, Some(0o700)).unwrap();
    }

    #[test]
    fn one_handle_at_a_time_holds_the_lock() {
        let outer = test_folder("disk-lock");
        let folder = RealDisk.folder(outer.path(), None).unwrap();
        let first = folder.open("lock", Access::Create(0o600)).unwrap();
        let second = folder.open("lock", Access::Create(0o600)).unwrap();
        assert!(first.lock().unwrap());
        assert!(!second.lock().unwrap());
        drop(first);
        assert!(second.lock().unwrap());
    }

    #[test]
    fn a_removed_file_differs_from_a_new_one_of_its_name() {
        let outer = test_folder("disk-unlink");
        let folder = RealDisk.folder(outer.path(), None).unwrap();
        let file = folder.open("a", Access::Create(0o640)).unwrap();
        file.write_at(b"abc", 0).unwrap();
        assert_eq!(file.identity().unwrap(), folder.look("a").unwrap());
        folder.remove("a").unwrap();
        assert!(folder.look("a").is_err());
        folder.open("a", Access::Create(0o640)).unwrap();
        let another = folder.look("a").unwrap();
        assert!(!another.same_file(&file.identity().unwrap()));
    }
}
