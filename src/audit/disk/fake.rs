//! A disk in memory for tests. It can fail a step, hang, lose unsynced data, and tear writes. A step is
//! one call of a method of the disk, a folder or a file.

mod handle;
mod interrupt;
mod power;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use rustix::io::Errno;

use super::Identity;
pub(crate) use interrupt::interrupt;
use power::{Contents, Names};

/// A disk in memory. All clones share one state.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeDisk {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    nodes: Vec<Node>,
    roots: BTreeMap<String, usize>,
    /// For each path with a copy that is not durable yet, the folder that the copy replaced.
    before: BTreeMap<String, usize>,
    rules: Vec<Rule>,
    failures: usize,
    steps: Vec<&'static str>,
    /// While this is true, syncs of data wait.
    hold: bool,
    /// The name of the step that hangs.
    hung: Option<&'static str>,
    /// How many syncs of data pass although `hold` is set.
    passes: usize,
    /// The step at which the power fails: its name (`None` for any step), how many such steps pass before
    /// it, and whether it still takes effect. Afterwards the disk is dead, and the process continues.
    dies: Option<(Option<&'static str>, usize, bool)>,
    is_dead: bool,
    /// Files, by folder and name. The disk records each content of these files in `shown`.
    watched: Vec<(usize, String)>,
    shown: BTreeSet<Vec<u8>>,
    /// Whether reads add to `Node::read`.
    counts: bool,
}

#[derive(Clone, Debug, Default)]
struct Node {
    is_folder: bool,
    names: Names,
    contents: Contents,
    locked: bool,
    /// The fake time of the last change: a counter that increases with each change.
    changed: i128,
    /// The inode number of a removed node, if this node reuses it.
    inode: Option<usize>,
    /// How many bytes callers read from this node while `State::counts` was set.
    read: u64,
}

/// The steps that read names or files.
const READS: [&str; 6] = ["folder", "look", "list", "open", "identity", "read"];

/// The steps that a rule applies to.
#[derive(Clone, Copy, Debug)]
enum Steps {
    All,
    Named(&'static str),
    Reads,
}

impl Steps {
    fn has(self, step: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(name) => name == step,
            Self::Reads => READS.contains(&step),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Failure {
    Kind(io::ErrorKind),
    /// A system error, by its number.
    System(Errno),
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Kind(kind) => kind.into(),
            Failure::System(errno) => errno.into(),
        }
    }
}

#[derive(Debug)]
struct Rule {
    steps: Steps,
    skip: usize,
    times: usize,
    failure: Failure,
    /// Whether the step takes effect although it fails.
    persisted: bool,
}

impl FakeDisk {
    /// Lets the step of this name pass `skip` times and then fail `times` times.
    pub(crate) fn fail(&self, step: &'static str, skip: usize, times: usize, kind: io::ErrorKind) {
        self.state().rules.push(Rule {
            steps: Steps::Named(step),
            skip,
            times,
            failure: Failure::Kind(kind),
            persisted: false,
        });
    }

    /// Like [`Self::fail`], but counts and fails all steps in [`READS`].
    pub(crate) fn fail_reads(&self, skip: usize, times: usize, errno: Errno) {
        self.state().rules.push(Rule {
            steps: Steps::Reads,
            skip,
            times,
            failure: Failure::System(errno),
            persisted: false,
        });
    }

    /// How many steps have failed because of a rule.
    pub(crate) fn failures(&self) -> usize {
        self.state().failures
    }

    /// Lets `number` steps of any name pass and fails the next one. If `persisted`, that step takes
    /// effect although it fails.
    pub(crate) fn fail_step(&self, number: usize, persisted: bool) {
        self.state().rules.push(Rule {
            steps: Steps::All,
            skip: number,
            times: 1,
            failure: Failure::Kind(io::ErrorKind::Other),
            persisted,
        });
    }

    /// Removes all failures and revives a dead disk.
    pub(crate) fn heal(&self) {
        let mut state = self.state();
        state.rules.clear();
        state.dies = None;
        state.is_dead = false;
    }

    /// If `hold` is true, makes syncs of data hang. Otherwise lets them continue.
    pub(crate) fn hold(&self, hold: bool) {
        self.state().hold = hold;
        self.shared.1.notify_all();
    }

    /// Lets one sync of data pass although syncs hang: a waiting sync, or the next one.
    pub(crate) fn let_one_pass(&self) {
        self.state().passes = 1;
        self.shared.1.notify_all();
    }

    /// Makes the step of this name hang. `None` lets the hanging step continue.
    pub(crate) fn hang(&self, step: Option<&'static str>) {
        self.state().hung = step;
        self.shared.1.notify_all();
    }

    /// Creates a folder at a path. This does not count as a step.
    pub(crate) fn mount(&self, path: &str) {
        let mut state = self.state();
        let node = state.make_folder();
        state.roots.entry(path.into()).or_insert(node);
    }

    /// How many steps callers have requested.
    pub(crate) fn steps(&self) -> usize {
        self.state().steps.len()
    }

    /// How many times callers have requested this step.
    pub(crate) fn count(&self, step: &str) -> usize {
        self.state().steps.iter().filter(|s| **s == step).count()
    }

    /// Runs `act` and counts the bytes that are read meanwhile.
    pub(crate) fn counted<T>(&self, act: impl FnOnce() -> T) -> T {
        self.state().counts = true;
        let result = act();
        self.state().counts = false;
        result
    }

    /// How many bytes [`Self::counted`] has counted for all files.
    pub(crate) fn read(&self) -> u64 {
        self.state().nodes.iter().map(|node| node.read).sum()
    }

    /// How many bytes [`Self::counted`] has counted for the file at `path`, and the length of this file.
    pub(crate) fn read_of(&self, root: &str, path: &str) -> (u64, u64) {
        let state = self.state();
        let mut names = path.split('/');
        let found = names.try_fold(state.roots[root], |folder, name| state.find(folder, name));
        let node = &state.nodes[found.unwrap()];
        (node.read, node.contents.now.len() as u64)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap()
    }

    /// Takes a step: runs `act` unless the step fails without effect.
    fn step<T>(
        &self,
        name: &'static str,
        act: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        interrupt::step();
        let mut state = self.state();
        while name == "sync_data" && state.hold {
            if state.passes > 0 {
                state.passes -= 1;
                break;
            }
            state = self.shared.1.wait(state).unwrap();
        }
        while state.hung == Some(name) {
            state = self.shared.1.wait(state).unwrap();
        }
        state.steps.push(name);
        if state.is_dead {
            return Err(io::ErrorKind::Other.into());
        }
        if let Some(is_done) = state.is_last_step(name) {
            state.is_dead = true;
            if is_done {
                act(&mut state)?;
                state.notice();
            }
            return Err(io::ErrorKind::Other.into());
        }
        let Some((failure, persisted)) = state.verdict(name) else {
            let result = act(&mut state);
            state.notice();
            return result;
        };
        if persisted {
            act(&mut state)?;
            state.notice();
        }
        Err(failure.into())
    }
}

impl State {
    fn verdict(&mut self, name: &str) -> Option<(Failure, bool)> {
        for rule in &mut self.rules {
            if !rule.steps.has(name) || rule.times == 0 {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times -= 1;
            self.failures += 1;
            return Some((rule.failure, rule.persisted));
        }
        None
    }

    fn make(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    fn make_folder(&mut self) -> usize {
        let node = self.make();
        self.nodes[node].is_folder = true;
        node
    }

    fn find(&self, folder: usize, name: &str) -> io::Result<usize> {
        let found = self.nodes[folder].names.now.get(name).copied();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn identity(&self, node: usize) -> Identity {
        Identity {
            device: 1,
            inode: self.nodes[node].inode.unwrap_or(node) as u64,
            bytes: self.nodes[node].contents.now.len() as u64,
            changed: self.nodes[node].changed,
            writable: true,
        }
    }
}
