//! The watcher's thread: gathers what was touched, and judges it, a bounded part at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::doubts::Doubts;
use super::folders::{Folders, Touched, is_folder};
use super::judge::{Judge, Judged};
use crate::audit::disk::Identity;
use crate::audit::disk::names::TILES;
use crate::audit::integrity::{Placed, Published, closed};
use crate::audit::log::merkle::Hash;
use crate::audit::log::tiles::{Bundle, FULL, Tile, bundles_at, tiles_at};
use crate::audit::publish::CHECKPOINT;
use crate::audit::{Cause, Closed};

/// What is touched in this time is looked at together.
const GATHER: Duration = Duration::from_millis(50);
/// So many paths are judged in that time at most: about 1,300 a second.
const AT_ONCE: usize = 64;
/// What is read again because it may have been touched waits here, and no more of it.
const AHEAD: usize = 256;
/// Where it can be seen that something was mounted.
const MOUNTS: &str = "/proc/self/mountinfo";

/// What is wrong now.
pub(super) type Found = Mutex<Option<Closed>>;
type Paths = Box<dyn Iterator<Item = String> + Send>;

pub(super) struct Watcher {
    published: Published,
    placed: Arc<Placed>,
    folders: Folders,
    doubts: Doubts,
    /// Where another folder stands now: which, and what of it is still to be judged.
    others: BTreeMap<String, (Identity, Option<Paths>)>,
    /// What is still to be judged because events were lost.
    lost: Option<Paths>,
    lost_again: bool,
    /// The newest checkpoint that was seen: its size and root.
    newest: Option<(u64, Hash)>,
    mounts: Option<File>,
    stop: Arc<OwnedFd>,
    found: Arc<Found>,
}

/// It is time to end.
struct Stopped;

impl Watcher {
    pub(super) fn new(
        (published, placed): (Published, Arc<Placed>),
        folders: Folders,
        stop: &Arc<OwnedFd>,
        found: &Arc<Found>,
    ) -> Self {
        Self {
            published,
            placed,
            folders,
            doubts: Doubts::default(),
            others: BTreeMap::new(),
            lost: None,
            lost_again: false,
            newest: None,
            mounts: File::open(MOUNTS).ok(),
            stop: Arc::clone(stop),
            found: Arc::clone(found),
        }
    }

    pub(super) fn serve(mut self) {
        self.begin();
        while let Ok(is_mounted) = self.wait() {
            let told = self.look(is_mounted);
            *self.found.lock().unwrap_or_else(PoisonError::into_inner) = told;
        }
    }

    /// Watches from now on. What stands there already is for whoever reads all again.
    fn begin(&mut self) {
        let checkpoint = self.published.checkpoint().ok();
        self.newest = checkpoint.map(|checkpoint| (checkpoint.size, checkpoint.root));
        if let Err(found) = self.folders.watch_all(&self.published, TILES, |_| ()) {
            tracing::warn!(
                "not all of the log's folders are watched yet, and it is tried again: {}",
                found.detail
            );
            self.doubts.add(TILES.to_owned(), Instant::now());
        }
    }

    /// Judges what was touched and what is due; gives what is wrong.
    fn look(&mut self, is_mounted: bool) -> Option<Closed> {
        self.take_touched();
        if is_mounted {
            self.doubt(self.folders.moved(&self.published));
        }
        self.go_on();
        self.judge_due();
        self.doubts.told().cloned()
    }

    /// Waits until something was touched or is due, and then for what comes with it; says whether
    /// something was mounted.
    fn wait(&self) -> Result<bool, Stopped> {
        let due = match self.lost.is_some() || self.others.values().any(|o| o.1.is_some()) {
            true => Some(Instant::now()),
            false => self.doubts.next(),
        };
        let left = due.map(|due| due.saturating_duration_since(Instant::now()));
        let is_mounted = self.poll(true, left)?;
        self.poll(false, Some(GATHER))?;
        Ok(is_mounted)
    }

    fn poll(&self, all: bool, left: Option<Duration>) -> Result<bool, Stopped> {
        let mut wanted = vec![PollFd::new(&self.stop, PollFlags::IN)];
        if all {
            let touched = self.folders.descriptor();
            wanted.push(PollFd::from_borrowed_fd(touched, PollFlags::IN));
            let mounts = self.mounts.as_ref();
            wanted.extend(mounts.map(|mounts| PollFd::new(mounts, PollFlags::PRI)));
        }
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut wanted, left.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(false),
            // Nothing can be waited for any more.
            Err(_) => return Err(Stopped),
        }
        let is_ready = |at: usize| wanted.get(at).is_some_and(|fd| !fd.revents().is_empty());
        if is_ready(0) {
            return Err(Stopped);
        }
        Ok(is_ready(2))
    }

    fn take_touched(&mut self) {
        let (mut touched, mut is_lost) = (Vec::new(), false);
        self.folders.touched(|what| match what {
            Touched::Path(path) => touched.push((path, false)),
            Touched::Moved(path) => touched.push((path, true)),
            Touched::Gone(path) => {
                self.others.remove(&path);
                touched.push((path, false));
            }
            Touched::Lost => is_lost = true,
        });
        touched.retain(|(path, is_moved)| !is_moved || !self.is_placed(path));
        self.doubt(touched.into_iter().map(|(path, _)| path));
        if is_lost {
            self.look_at_all();
        }
    }

    /// Whether the publisher put there what stands there, which need not be read again.
    fn is_placed(&self, path: &str) -> bool {
        let now = self.published.look(path).ok().flatten();
        let placed = self.placed.take(path);
        placed.is_some_and(|placed| now.is_some_and(|now| now.same_file(&placed)))
    }

    fn doubt(&mut self, paths: impl IntoIterator<Item = String>) {
        let now = Instant::now();
        let mut is_room = true;
        for path in paths {
            is_room &= self.doubts.add(path, now);
        }
        if !is_room {
            self.look_at_all();
        }
    }

    /// What was touched is not known in full: every file is judged, and every folder looked at.
    fn look_at_all(&mut self) {
        self.lost_again = true;
        if self.lost.is_none()
            && let Ok(checkpoint) = self.published.checkpoint()
        {
            self.lost = Some(files_below(TILES, checkpoint.size));
            for path in self.folders.moved(&self.published) {
                self.doubts.add(path, Instant::now());
            }
            // One may have been made unseen; where that cannot be said, all is done again.
            let watched = self.folders.watch_all(&self.published, TILES, |_| ());
            self.lost_again = watched.is_err();
        }
    }

    /// Puts the next of those in doubt that are to be judged in their turn.
    fn go_on(&mut self) {
        let others = self.others.values_mut().map(|(_, paths)| paths);
        for paths in others.chain([&mut self.lost]) {
            while self.doubts.len() < AHEAD
                && let Some(left) = paths
            {
                match left.next() {
                    Some(path) => {
                        self.doubts.add(path, Instant::now());
                    }
                    None => *paths = None,
                }
            }
        }
        if self.lost.is_none() && self.lost_again {
            self.look_at_all();
        }
    }

    fn judge_due(&mut self) {
        let due = self.doubts.due(Instant::now(), AT_ONCE);
        if due.is_empty() {
            return;
        }
        let published = self.published.clone();
        let mut judge = match self.judge(&published) {
            Ok(judge) => judge,
            Err(found) => {
                // It is what all others are judged by.
                let now = Instant::now();
                self.doubts.add(CHECKPOINT.to_owned(), now);
                self.doubts.judged(CHECKPOINT, Err(found), now);
                self.doubts.put_off(now);
                return;
            }
        };
        for path in due {
            let judged = match is_folder(&path) {
                true => self.judge_folder(&path, judge.size()),
                false => judge.judge(&path),
            };
            self.doubts.judged(&path, judged, Instant::now());
        }
    }

    /// By the checkpoint, where it goes on from the one that stood there before.
    fn judge<'p>(&mut self, published: &'p Published) -> Result<Judge<'p>, Closed> {
        let judge = Judge::new(published)?;
        let (size, root) = (judge.size(), judge.root());
        if self
            .newest
            .is_some_and(|(newest, other)| size < newest || size == newest && root != other)
        {
            let what = format!("{CHECKPOINT} holds a checkpoint of {size} entries, not ours");
            return Err(closed(Cause::SecondWriter, what));
        }
        self.newest = Some((size, root));
        Ok(judge)
    }

    fn judge_folder(&mut self, path: &str, size: u64) -> Result<Judged, Closed> {
        let now = self.published.look(path)?;
        let Some(known) = self.folders.known(path) else {
            self.watch_new(path)?;
            return Ok(Judged::Right);
        };
        if now.is_some_and(|now| now.same_file(&known)) {
            // It may have been made anew under its number.
            self.others.remove(path);
            self.watch_new(path)?;
            return Ok(Judged::Right);
        }
        if !is_needed(path, size) {
            self.others.remove(path);
            self.folders.forget(path);
            self.watch_new(path)?;
            return Ok(Judged::Right);
        }
        let moved = |what: &str| Err(closed(Cause::FolderMoved, format!("{path} {what}")));
        let Some(now) = now else {
            self.others.remove(path);
            return moved("is not there");
        };
        match self.others.get(path) {
            Some((is, left)) if is.same_file(&now) => {
                if left.is_some() || self.doubts.is_any_below(path) {
                    return moved("is another folder, whose files are still to be judged");
                }
                self.others.remove(path);
                self.folders.adopt(&self.published, path);
                Ok(Judged::Right)
            }
            _ => {
                self.watch_new(path)?;
                let files = files_below(path, size);
                self.others.insert(path.to_owned(), (now, Some(files)));
                moved("is another folder")
            }
        }
    }

    /// Watches what stands at a path now, and judges the files in it.
    fn watch_new(&mut self, path: &str) -> Result<(), Closed> {
        let mut files = Vec::new();
        let watched = self
            .folders
            .watch_all(&self.published, path, |file| files.push(file));
        files.retain(|file| !self.is_placed(file));
        self.doubt(files);
        watched
    }
}

/// The files of a log of this size below a folder.
fn files_below(path: &str, size: u64) -> Paths {
    let below = format!("{path}/");
    let bundles = bundles_at(size).map(|bundle| bundle.path());
    let files = bundles.chain(tiles_at(size).map(|tile| tile.path()));
    Box::new(files.filter(move |file| file.starts_with(&below)))
}

/// Whether a log of this size has a file below a folder.
fn is_needed(path: &str, size: u64) -> bool {
    if !path.ends_with(".p") {
        return files_below(path, size).next().is_some();
    }
    // Of partial files the log has one: that of the newest checkpoint.
    let one = format!("{path}/1");
    let tile = Tile::parse_path(&one).and_then(|tile| Tile::at(tile.level, tile.index, size));
    let bundle = Bundle::parse_path(&one).and_then(|bundle| Bundle::at(bundle.index, size));
    let width = tile.map(|tile| tile.width).or(bundle.map(|b| b.width));
    width.is_some_and(|width| width < FULL)
}

#[cfg(test)]
mod tests;
