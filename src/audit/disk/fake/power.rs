//! Power loss on the disk in memory. The disk keeps all synced data and an arbitrary part of the unsynced
//! data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use super::{FakeDisk, Node, State};

/// The bytes of a sector. After a crash, each sector has its old or its new content as a whole.
const SECTOR: usize = 512;
/// The bytes of a page, the unit in which a sync writes data to the disk.
const PAGE: usize = 4_096;

/// A change to a folder's names: a name that is removed, and a name that is added with its node.
type Act = (Option<String>, Option<(String, usize)>);

/// The names in a folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) now: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    /// The changes since the last sync.
    pending: Vec<Act>,
}

impl Names {
    pub(super) fn set(&mut self, name: &str, node: usize) {
        self.act(None, Some((name.into(), node)));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.act(Some(name.into()), None);
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, node: usize) {
        self.act(Some(from.into()), Some((to.into(), node)));
    }

    pub(super) fn make_durably(&mut self, name: &str, node: usize) {
        self.now.insert(name.into(), node);
        self.durable.insert(name.into(), node);
    }

    pub(super) fn sync(&mut self) {
        self.durable = self.now.clone();
        self.pending.clear();
    }

    fn act(&mut self, gone: Option<String>, new: Option<(String, usize)>) {
        let act = (gone, new);
        apply(&mut self.now, act.clone());
        self.pending.push(act);
    }

    /// Loses the power. `survives` decides for each change since the last sync whether the disk keeps the
    /// change, always as a whole.
    fn crash(&mut self, survives: &mut impl FnMut() -> bool) {
        for act in std::mem::take(&mut self.pending) {
            if survives() {
                apply(&mut self.durable, act);
            }
        }
        self.now = self.durable.clone();
    }
}

fn apply(names: &mut BTreeMap<String, usize>, (gone, new): Act) {
    if let Some(gone) = gone {
        names.remove(&gone);
    }
    names.extend(new);
}

/// The bytes of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    pub(super) now: Vec<u8>,
    durable: Vec<u8>,
    /// Pages that the next sync makes durable.
    dirty: BTreeSet<usize>,
    /// Pages whose sync failed. As on Linux, these pages count as clean, so no later sync writes them.
    lost: BTreeSet<usize>,
    is_resized: bool,
}

impl Contents {
    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if end > self.now.len() {
            self.now.resize(end, 0);
            self.is_resized = true;
        }
        self.now[offset..end].copy_from_slice(bytes);
        for page in offset / PAGE..end.div_ceil(PAGE) {
            self.dirty.insert(page);
            self.lost.remove(&page);
        }
    }

    pub(super) fn clear(&mut self) {
        self.now.clear();
        self.dirty.clear();
        self.is_resized = true;
    }

    pub(super) fn sync(&mut self) {
        if std::mem::take(&mut self.is_resized) {
            self.durable.resize(self.now.len(), 0);
        }
        for page in std::mem::take(&mut self.dirty) {
            let end = self.durable.len().min((page + 1) * PAGE);
            let all = (page * PAGE).min(end)..end;
            self.durable[all.clone()].copy_from_slice(&self.now[all]);
        }
    }

    pub(super) fn fail_to_sync(&mut self) {
        self.lost.append(&mut self.dirty);
    }

    /// Loses the power: keeps the old or the new length, and the old or the new content of each unsynced
    /// sector.
    fn crash(&mut self, survives: &mut impl FnMut() -> bool) {
        if self.is_resized && survives() {
            self.durable.resize(self.now.len(), 0);
        }
        for page in self.dirty.union(&self.lost) {
            for sector in (page * PAGE..(page + 1) * PAGE).step_by(SECTOR) {
                let end = (sector + SECTOR)
                    .min(self.durable.len())
                    .min(self.now.len());
                let (old, new) = match sector < end {
                    true => (&mut self.durable[sector..end], &self.now[sector..end]),
                    false => continue,
                };
                if old != new && survives() {
                    old.copy_from_slice(new);
                }
            }
        }
        *self = Self {
            now: self.durable.clone(),
            durable: std::mem::take(&mut self.durable),
            ..Self::default()
        };
    }
}

impl FakeDisk {
    /// The disk after a crash at this moment. `survives` decides for each unsynced change whether the
    /// disk keeps it.
    pub(crate) fn crash(&self, mut survives: impl FnMut() -> bool) -> Self {
        let state = self.state();
        let after = |node: &Node| {
            let mut after = Node {
                locked: false,
                ..node.clone()
            };
            after.names.crash(&mut survives);
            after.contents.crash(&mut survives);
            after
        };
        let nodes = state.nodes.iter().map(after).collect();
        let roots = state.roots_before();
        let is_left = |folder: &usize| roots.values().any(|root| root == folder);
        let watched = state.watched.iter().filter(|(folder, _)| is_left(folder));
        let mut left = State {
            nodes,
            watched: watched.cloned().collect(),
            roots,
            shown: state.shown.clone(),
            ..State::default()
        };
        left.notice();
        Self {
            shared: Arc::new((Mutex::new(left), Condvar::new())),
        }
    }

    /// Lets `number` steps pass and loses the power at the next one, which still takes effect if
    /// `is_done`. If `step` is a name, only the steps of this name count. Later steps fail until
    /// [`Self::heal`].
    pub(crate) fn die_at(&self, step: Option<&'static str>, number: usize, is_done: bool) {
        self.state().dies = Some((step, number, is_done));
    }

    /// Whether the power is lost.
    pub(crate) fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// Records every content that this file has from now on, before and after crashes.
    pub(crate) fn watch(&self, folder: &str, name: &str) {
        let mut state = self.state();
        let node = state.roots[folder];
        state.watched.push((node, name.into()));
    }

    /// Every content that a watched file has had since [`Self::watch`].
    pub(crate) fn shown(&self) -> BTreeSet<Vec<u8>> {
        self.state().shown.clone()
    }

    /// The names of the steps so far.
    pub(crate) fn history(&self) -> Vec<&'static str> {
        self.state().steps.clone()
    }

    /// Replaces a folder by a copy that is not durable yet: until a sync of the disk, a power
    /// loss brings the original back. Returns the original.
    pub(crate) fn put_copy(&self, path: &str) -> usize {
        self.state().put_copy(path)
    }

    /// Like [`Self::put_copy`], but the copy reuses the inode numbers of the original.
    pub(crate) fn put_copy_in_its_inodes(&self, path: &str) {
        let mut state = self.state();
        let gone = state.put_copy(path);
        let copy = state.roots[path];
        state.take_inodes(copy, gone);
    }

    /// Makes an earlier folder the one at this path again.
    pub(crate) fn put(&self, path: &str, folder: usize) {
        self.state().roots.insert(path.into(), folder);
    }

    /// Undoes each [`Self::put_copy`] whose copy is not durable yet.
    pub(crate) fn put_back(&self) {
        let mut state = self.state();
        state.roots = state.roots_before();
        state.before.clear();
    }

    /// Copies the readable content of a folder to the real disk.
    pub(crate) fn copy_to(&self, folder: &str, target: &Path) {
        let state = self.state();
        state.copy(state.roots[folder], target);
    }
}

impl State {
    pub(super) fn is_last_step(&mut self, step: &str) -> Option<bool> {
        match &mut self.dies {
            Some((Some(name), ..)) if *name != step => None,
            Some((_, 0, is_done)) => Some(*is_done),
            Some((_, left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        }
    }

    fn roots_before(&self) -> BTreeMap<String, usize> {
        let mut roots = self.roots.clone();
        roots.extend(self.before.clone());
        roots
    }

    fn put_copy(&mut self, path: &str) -> usize {
        let held = self.roots[path];
        let copy = self.make_copy(held);
        let watched = self.watched.iter().filter(|(folder, _)| *folder == held);
        let watched: Vec<_> = watched.map(|(_, name)| (copy, name.clone())).collect();
        self.watched.extend(watched);
        self.roots.insert(path.into(), copy);
        self.before.entry(path.into()).or_insert(held);
        held
    }

    fn take_inodes(&mut self, node: usize, gone: usize) {
        self.nodes[node].inode = Some(self.nodes[gone].inode.unwrap_or(gone));
        for (name, below) in self.nodes[node].names.now.clone() {
            let gone = self.nodes[gone].names.now[&name];
            self.take_inodes(below, gone);
        }
    }

    fn make_copy(&mut self, node: usize) -> usize {
        let copy = self.make();
        self.nodes[copy].is_folder = self.nodes[node].is_folder;
        let bytes = self.nodes[node].contents.now.clone();
        self.nodes[copy].contents.write(&bytes, 0);
        for (name, node) in self.nodes[node].names.now.clone() {
            let below = self.make_copy(node);
            self.nodes[copy].names.set(&name, below);
        }
        copy
    }

    pub(super) fn notice(&mut self) {
        for (folder, name) in &self.watched {
            let Some(node) = self.nodes[*folder].names.now.get(name) else {
                continue;
            };
            let bytes = &self.nodes[*node].contents.now;
            if !self.shown.contains(bytes) {
                self.shown.insert(bytes.clone());
            }
        }
    }

    fn copy(&self, node: usize, target: &Path) {
        std::fs::create_dir(target).unwrap();
        for (name, node) in &self.nodes[node].names.now {
            let (path, file) = (target.join(name), &self.nodes[*node]);
            match file.is_folder {
                true => self.copy(*node, &path),
                false => std::fs::write(path, &file.contents.now).unwrap(),
            }
        }
    }
}
