//! A disk in memory for tests: it fails, hangs, forgets what was not synced, and tears writes.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::{Access, Disk, File, Folder, Identity};

/// A crash leaves each of these old or new.
const SECTOR: usize = 512;

/// All clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeDisk {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    nodes: Vec<Node>,
    roots: BTreeMap<String, usize>,
    rules: Vec<Rule>,
    steps: Vec<&'static str>,
    /// Syncs of data wait while this is set.
    hold: bool,
}

#[derive(Clone, Debug, Default)]
struct Node {
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// What is written since the last sync that the disk can still make durable.
    dirty: bool,
    locked: bool,
}

#[derive(Debug)]
struct Rule {
    step: Option<&'static str>,
    skip: usize,
    times: usize,
    kind: io::ErrorKind,
    /// Whether the step is done all the same.
    persisted: bool,
}

#[derive(Debug)]
struct Handle {
    disk: FakeDisk,
    node: usize,
    has_lock: Mutex<bool>,
}

impl FakeDisk {
    /// Fails a step by its name, `times` times, after letting it pass `skip` times.
    pub(crate) fn fail(&self, step: &'static str, skip: usize, times: usize, kind: io::ErrorKind) {
        self.state().rules.push(Rule {
            step: Some(step),
            skip,
            times,
            kind,
            persisted: false,
        });
    }

    /// Fails the step of this number from now, whichever it is.
    pub(crate) fn fail_step(&self, number: usize, persisted: bool) {
        let kind = io::ErrorKind::Other;
        self.state().rules.push(Rule {
            step: None,
            skip: number,
            times: 1,
            kind,
            persisted,
        });
    }

    /// Nothing fails any more.
    pub(crate) fn heal(&self) {
        self.state().rules.clear();
    }

    /// Whether syncs of data hang.
    pub(crate) fn hold(&self, hold: bool) {
        self.state().hold = hold;
        self.shared.1.notify_all();
    }

    /// How many steps were asked for so far.
    pub(crate) fn steps(&self) -> usize {
        self.state().steps.len()
    }

    /// How often this step was asked for.
    pub(crate) fn count(&self, step: &str) -> usize {
        self.state().steps.iter().filter(|s| **s == step).count()
    }

    /// The disk as a crash now would leave it: of what was not synced, what `survives` says.
    pub(crate) fn crash(&self, mut survives: impl FnMut() -> bool) -> Self {
        let state = self.state();
        let after = |node: &Node| {
            let mut after = node.clone();
            after.locked = false;
            if node.names != node.durable_names && !survives() {
                after.names = node.durable_names.clone();
            }
            after.durable_names = after.names.clone();
            after.bytes = torn(node, &mut || node.dirty && survives());
            after.durable = after.bytes.clone();
            after.dirty = false;
            after
        };
        let nodes = state.nodes.iter().map(after).collect();
        let left = State {
            nodes,
            roots: state.roots.clone(),
            ..State::default()
        };
        Self {
            shared: Arc::new((Mutex::new(left), Condvar::new())),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap()
    }

    /// Takes a step: `act` is done unless the step fails unpersisted.
    fn step<T>(
        &self,
        name: &'static str,
        act: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state();
        while name == "sync_data" && state.hold {
            state = self.shared.1.wait(state).unwrap();
        }
        state.steps.push(name);
        let Some((kind, persisted)) = state.verdict(name) else {
            return act(&mut state);
        };
        if persisted {
            act(&mut state)?;
        }
        Err(kind.into())
    }

    fn handle(&self, node: usize) -> Handle {
        Handle {
            disk: self.clone(),
            node,
            has_lock: Mutex::new(false),
        }
    }
}

/// Durable bytes with those sectors that survive of what was written over them.
fn torn(node: &Node, survives: &mut impl FnMut() -> bool) -> Vec<u8> {
    let mut bytes = node.durable.clone();
    if node.dirty {
        bytes.resize(node.bytes.len(), 0);
    }
    for (old, new) in bytes.chunks_mut(SECTOR).zip(node.bytes.chunks(SECTOR)) {
        if old != new && survives() {
            old.copy_from_slice(new);
        }
    }
    bytes
}

impl State {
    fn verdict(&mut self, name: &str) -> Option<(io::ErrorKind, bool)> {
        for rule in &mut self.rules {
            if rule.step.is_some_and(|step| step != name) || rule.times == 0 {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times -= 1;
            return Some((rule.kind, rule.persisted));
        }
        None
    }

    fn make(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    fn find(&self, folder: usize, name: &str) -> io::Result<usize> {
        let found = self.nodes[folder].names.get(name).copied();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn identity(&self, node: usize) -> Identity {
        Identity {
            device: 1,
            inode: node as u64,
            bytes: self.nodes[node].bytes.len() as u64,
        }
    }
}

impl Disk for FakeDisk {
    fn folder(&self, path: &Path, create: Option<u32>) -> io::Result<Arc<dyn Folder>> {
        let path = path.display().to_string();
        let node = self.step("folder", |state| match state.roots.get(&path) {
            Some(node) => Ok(*node),
            None if create.is_some() => {
                let node = state.make();
                state.roots.insert(path, node);
                Ok(node)
            }
            None => Err(io::ErrorKind::NotFound.into()),
        })?;
        Ok(Arc::new(self.handle(node)))
    }

    fn look(&self, path: &Path) -> io::Result<Identity> {
        let path = path.display().to_string();
        self.step("look", |state| {
            let node = state.roots.get(&path).ok_or(io::ErrorKind::NotFound)?;
            Ok(state.identity(*node))
        })
    }
}

impl Folder for Handle {
    fn folder(&self, name: &str, create: Option<u32>) -> io::Result<Arc<dyn Folder>> {
        let node = self
            .disk
            .step("folder", |state| match state.find(self.node, name) {
                Err(_) if create.is_some() => {
                    let node = state.make();
                    let folder = &mut state.nodes[self.node];
                    folder.names.insert(name.into(), node);
                    folder.durable_names.insert(name.into(), node);
                    Ok(node)
                }
                other => other,
            })?;
        Ok(Arc::new(self.disk.handle(node)))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names = |state: &State| state.nodes[self.node].names.keys().cloned().collect();
        self.disk.step("list", |state| Ok(names(state)))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn File>> {
        let node = self.disk.step("open", |state| {
            match (state.find(self.node, name), access) {
                (Err(_), Access::Create(_)) => {
                    let node = state.make();
                    state.nodes[self.node].names.insert(name.into(), node);
                    Ok(node)
                }
                (found, _) => found,
            }
        })?;
        Ok(Arc::new(self.disk.handle(node)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.step("rename", |state| {
            let node = state.find(self.node, from)?;
            let names = &mut state.nodes[self.node].names;
            names.remove(from);
            names.insert(to.into(), node);
            Ok(())
        })
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        if self.disk.state().find(self.node, to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Folder::rename(self, from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.step("remove", |state| {
            state.find(self.node, name)?;
            state.nodes[self.node].names.remove(name);
            Ok(())
        })
    }

    fn look(&self, name: &str) -> io::Result<Identity> {
        self.disk.step("look", |state| {
            let node = state.find(self.node, name)?;
            Ok(state.identity(node))
        })
    }

    fn identity(&self) -> io::Result<Identity> {
        let node = self.node;
        self.disk.step("identity", |state| Ok(state.identity(node)))
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.step("sync_folder", |state| {
            let node = &mut state.nodes[self.node];
            node.durable_names = node.names.clone();
            Ok(())
        })
    }
}

impl Handle {
    fn sync_as(&self, step: &'static str) -> io::Result<()> {
        let mut done = false;
        let result = self.disk.step(step, |state| {
            let node = &mut state.nodes[self.node];
            if node.dirty {
                node.durable = node.bytes.clone();
            }
            node.dirty = false;
            done = true;
            Ok(())
        });
        if !done {
            // As Linux does: after a failed sync the pages count as clean, and the next sync lies.
            self.disk.state().nodes[self.node].dirty = false;
        }
        result
    }
}

impl File for Handle {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.step("read", |state| {
            let bytes = &state.nodes[self.node].bytes;
            let bytes = bytes.get(offset as usize..).unwrap_or_default();
            let length = bytes.len().min(buffer.len());
            buffer[..length].copy_from_slice(&bytes[..length]);
            Ok(length)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.step("write", |state| {
            let node = &mut state.nodes[self.node];
            let end = offset as usize + bytes.len();
            node.bytes.resize(node.bytes.len().max(end), 0);
            node.bytes[offset as usize..end].copy_from_slice(bytes);
            node.dirty = true;
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync_as("sync_data")
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_as("sync_all")
    }

    fn clear(&self) -> io::Result<()> {
        self.disk.step("clear", |state| {
            state.nodes[self.node].bytes.clear();
            state.nodes[self.node].dirty = true;
            Ok(())
        })
    }

    fn identity(&self) -> io::Result<Identity> {
        let node = self.node;
        self.disk.step("identity", |state| Ok(state.identity(node)))
    }

    fn lock(&self) -> io::Result<bool> {
        let mut had = false;
        let result = self.disk.step("lock", |state| {
            let locked = &mut state.nodes[self.node].locked;
            had = !std::mem::replace(locked, true);
            Ok(had)
        });
        // Closing the file gives the lock back even where taking it was said to have failed.
        *self.has_lock.lock().unwrap() |= had;
        result
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if *self.has_lock.lock().unwrap() {
            self.disk.state().nodes[self.node].locked = false;
        }
    }
}
