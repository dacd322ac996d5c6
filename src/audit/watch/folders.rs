//! The folders below `tile/` and the one above, as the kernel tells of them (inotify): which names in
//! them were touched.

use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::audit::Closed;
use crate::audit::disk::names::TILES;
use crate::audit::disk::{Folder, Identity, descriptor};
use crate::audit::integrity::{Published, trouble};
use crate::audit::log::tiles::{Form, form};
use crate::audit::publish::CHECKPOINT;

/// Folders that stand in each other, at most.
const DEEPEST: usize = 10;
/// So many bytes of events are read at once.
const EVENT_BYTES: usize = 16 << 10;
/// So many events are taken at once, about; the rest is taken next time.
const EVENTS: usize = 32_768;

/// What was touched.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Touched {
    /// What stands or stood under this path.
    Path(String),
    /// A file was moved to this path, and no more was seen of it.
    Moved(String),
    /// The folder under this path is gone, whatever is made there next.
    Gone(String),
    /// The kernel could not tell all.
    Lost,
}

/// The watched folders.
#[derive(Debug)]
pub(super) struct Folders {
    notify: OwnedFd,
    most: usize,
    paths: BTreeMap<i32, String>,
    known: BTreeMap<String, (i32, Identity)>,
    /// Whether it was said that not all are watched.
    is_told: bool,
}

impl Folders {
    /// Watches nothing yet, and so many folders at most.
    pub(super) fn new(most: usize) -> io::Result<Self> {
        Ok(Self {
            most,
            notify: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            paths: BTreeMap::new(),
            known: BTreeMap::new(),
            is_told: false,
        })
    }

    /// Readable when something was touched.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.notify.as_fd()
    }

    /// Which folder was first seen at a path.
    pub(super) fn known(&self, path: &str) -> Option<Identity> {
        self.known.get(path).map(|(_, is)| *is)
    }

    /// Those below `tile/` where another folder stands now, or none.
    pub(super) fn moved(&self, published: &Published) -> Vec<String> {
        let below = self.known.iter().filter(|(path, _)| !path.is_empty());
        let moved = below.filter(|(path, (_, known))| match published.look(path) {
            Ok(now) => now.is_none_or(|now| !now.same_file(known)),
            Err(_) => false,
        });
        moved.map(|(path, _)| path.clone()).collect()
    }

    /// Whether some of them are not watched.
    #[cfg(test)]
    pub(super) fn is_partial(&self) -> bool {
        self.is_told
    }

    /// Watches the log's own folder, for `tile` and the checkpoint alone.
    pub(super) fn watch_root(&mut self, root: &dyn Folder) -> io::Result<()> {
        self.watch("", root)
    }

    /// Watches a folder and those below it, and says which files stand in them.
    pub(super) fn watch_all(
        &mut self,
        published: &Published,
        path: &str,
        mut each: impl FnMut(String),
    ) -> Result<(), Closed> {
        let mut waiting = vec![path.to_owned()];
        while let Some(path) = waiting.pop() {
            let Some(folder) = published.folder(&path)? else {
                continue;
            };
            // Watched before it is listed: what comes between is seen twice, and not never.
            if let Err(error) = self.watch(&path, &*folder) {
                self.tell(&error);
            }
            let names = folder
                .list()
                .map_err(|e| trouble(&e, &format!("cannot list {path}")))?;
            for name in names {
                let below = format!("{path}/{name}");
                match is_folder(&below) {
                    true if below.matches('/').count() < DEEPEST => waiting.push(below),
                    true => {}
                    false => each(below),
                }
            }
        }
        Ok(())
    }

    /// Takes what stands at a path and below for what stood there.
    pub(super) fn adopt(&mut self, published: &Published, path: &str) {
        let below = format!("{path}/");
        for (known, (_, is)) in &mut self.known {
            if (known == path || known.starts_with(&below))
                && let Ok(Some(now)) = published.look(known)
            {
                *is = now;
            }
        }
    }

    /// Watches this path no more, nor what is below.
    pub(super) fn forget(&mut self, path: &str) {
        let below = format!("{path}/");
        let gone = |known: &String| *known == path || known.starts_with(&below);
        let gone: Vec<String> = self.known.keys().filter(|k| gone(k)).cloned().collect();
        for path in gone {
            let Some((watch, _)) = self.known.remove(&path) else {
                continue;
            };
            // A folder that was renamed and is known by its other name as well is watched on.
            if self.paths.get(&watch) == Some(&path) {
                self.unwatch(watch);
            }
        }
    }

    /// What was touched since it was last asked.
    pub(super) fn touched(&mut self, mut each: impl FnMut(Touched)) {
        let mut buffer = [MaybeUninit::uninit(); EVENT_BYTES];
        let mut reader = Reader::new(&self.notify, &mut buffer);
        let mut taken = 0;
        // What was read is taken whole, or it would be lost.
        while taken < EVENTS || !reader.is_buffer_empty() {
            taken += 1;
            // Ends with the events, as the descriptor does not block; no other error is known.
            let Ok(event) = reader.next() else { return };
            let what = event.events();
            if what.contains(ReadFlags::QUEUE_OVERFLOW) {
                each(Touched::Lost);
            }
            if what.contains(ReadFlags::IGNORED) {
                let path = self.paths.remove(&event.wd());
                path.into_iter().for_each(|path| each(Touched::Gone(path)));
                continue;
            }
            let (Some(above), Some(name)) = (self.paths.get(&event.wd()), event.file_name()) else {
                continue;
            };
            let Ok(name) = name.to_str() else { continue };
            match above.as_str() {
                "" if [TILES, CHECKPOINT].contains(&name) => each(Touched::Path(name.to_owned())),
                "" => {}
                above => {
                    let path = format!("{above}/{name}");
                    match what == ReadFlags::MOVED_TO {
                        true => each(Touched::Moved(path)),
                        false => each(Touched::Path(path)),
                    }
                }
            }
        }
    }

    fn watch(&mut self, path: &str, folder: &dyn Folder) -> io::Result<()> {
        let Some(descriptor) = descriptor(folder) else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let known = self.known.get(path).copied();
        if known.is_none() && self.paths.len() >= self.most {
            return Err(Errno::NOSPC.into());
        }
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::EXCL_UNLINK
            | WatchFlags::ONLYDIR;
        // By the held folder and not by a path, which may lead elsewhere by now.
        let at = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
        let watch = inotify::add_watch(&self.notify, at, flags)?;
        if let Some((before, _)) = known.filter(|(before, _)| *before != watch) {
            self.unwatch(before);
        }
        self.paths.insert(watch, path.to_owned());
        let is = known.map_or_else(|| folder.identity(), |(_, is)| Ok(is))?;
        self.known.insert(path.to_owned(), (watch, is));
        Ok(())
    }

    fn unwatch(&mut self, watch: i32) {
        self.paths.remove(&watch);
        // One whose folder is gone is gone with it.
        let _ = inotify::remove_watch(&self.notify, watch);
    }

    fn tell(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.is_told, true) {
            let folders = self.paths.len();
            tracing::warn!(
                %error,
                folders,
                "not all folders of the log are watched, so what is changed in the others is found when they are read again: {}",
                mend(error)
            );
        }
    }
}

/// What lets the kernel watch more.
pub(super) fn mend(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::NOSPC) => {
            "raise the kernel's fs.inotify.max_user_watches (the gateway takes 4,096 at most) and restart"
        }
        Some(Errno::MFILE) => "raise the kernel's fs.inotify.max_user_instances and restart",
        _ => "restart where this was a passing fault",
    }
}

/// Folders are named after levels, groups of a thousand, and partial files; all else are files.
pub(super) fn is_folder(path: &str) -> bool {
    path == TILES || form(path) == Some(Form::Folder)
}
