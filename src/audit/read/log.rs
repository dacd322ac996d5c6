//! Opens a log at its [`Location`] and reads its entries. Reads the entries under the checkpoint from
//! the bundles, two bundles at a time. Then reads the entries beyond the checkpoint from the journal.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use super::files::{Files, FolderFiles};
use super::reader::{OnDamage, Raw, Reader};
use super::{CHECKPOINT, MissingRange, Trouble, WIDTH};
use crate::audit::disk::names::JOURNAL;
use crate::audit::entry::EntryHead;
use crate::audit::journal::{self, Entries};
use crate::audit::log::checkpoint::{Checkpoint, MAX_NOTE_BYTES, Note};
use crate::audit::log::key::VerifierKey;
use crate::clock::Time;

/// The number of threads that read, verify and filter bundles.
const WORKERS: usize = 2;
/// The capacity of the queue between one worker and the caller, in bundles.
const AHEAD: usize = 2;
/// A search by time finds every entry if the clock was set back by at most this much in total, in
/// microseconds. After larger steps back, the search can miss entries. docs/trail.md states this limit.
const MAX_STEP_BACK: i64 = 3_600 * 1_000_000;

/// The place of a log. A reader can open the log at this place repeatedly.
#[derive(Clone, Debug)]
pub enum Location {
    /// An audit folder, including its journal.
    Folder(PathBuf),
    /// Any source of the published files.
    Published(Arc<dyn Files>),
    /// Another place; each log that is opened there reads its published files through this.
    Through(Box<Self>, Wrap),
}

/// Wraps the files of a log. The progress bar counts reads in this way.
type Wrap = fn(Arc<dyn Files>) -> Arc<dyn Files>;

impl Location {
    /// Opens the current state of the log. In a folder, the log includes the journal's entries beyond the
    /// checkpoint. Verifies the checkpoint's signature if the caller gives a key. If a file of the journal is
    /// faulty, this function succeeds and [`Log::tail`] returns the error, because the fault hides no entry
    /// under the checkpoint.
    pub(crate) fn open(&self, key: Option<&VerifierKey>) -> Result<Log, MissingRange> {
        let Some(directory) = self.folder() else {
            return Log::published(self.files()?, key);
        };
        let folder = FolderFiles::of_log(directory)?;
        let files = self.wrapped(Arc::new(folder.clone()));
        let log = Log::held(&folder, files, key)?;
        if log.checkpoint.is_none() && log.tail.is_none() {
            let what = format!("{} has neither journal nor checkpoint", directory.display());
            return Err(MissingRange::new(Trouble::Missing, what));
        }
        Ok(log)
    }

    pub(crate) fn files(&self) -> Result<Arc<dyn Files>, MissingRange> {
        match self {
            Self::Folder(directory) => Ok(Arc::new(FolderFiles::of_log(directory)?)),
            Self::Published(files) => Ok(Arc::clone(files)),
            Self::Through(place, wrap) => place.files().map(wrap),
        }
    }

    fn wrapped(&self, files: Arc<dyn Files>) -> Arc<dyn Files> {
        match self {
            Self::Through(place, wrap) => wrap(place.wrapped(files)),
            Self::Folder(_) | Self::Published(_) => files,
        }
    }

    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(directory) => Some(directory),
            Self::Published(_) => None,
            Self::Through(place, _) => place.folder(),
        }
    }
}

/// An entry that a search wanted, or a part of the log that could not be read.
pub(crate) type Found = Result<Raw, MissingRange>;

/// An open log: one checkpoint with the entries under it, and the journal's entries beyond it.
#[derive(Debug)]
pub(crate) struct Log {
    /// `None` if nothing is published yet.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// The checkpoint's signed note; empty without a checkpoint.
    pub(super) note: Vec<u8>,
    pub(crate) reader: Arc<Reader>,
    tail: Option<Result<Entries<'static>, MissingRange>>,
    /// Whether opening the log verified the checkpoint's signature with a key.
    pub(crate) is_judged: bool,
}

/// A scan gives up after this many unreadable bundles in a row, for example at a server that does not answer.
const MOST_UNREADABLE: u64 = 32;
/// A scan gives up after this many damaged bundles in a row.
const MOST_DAMAGED: u64 = 4_096;

/// Counts the bundles in a row that could not be read at all.
#[derive(Debug, Default)]
struct Failures {
    unreadable: u64,
    damaged: u64,
}

impl Failures {
    /// Counts a bundle. Returns the fault of the bundle if a scan should give up.
    fn count(&mut self, found: &[Found]) -> Option<MissingRange> {
        let fault = match found {
            [Err(fault)]
                if fault
                    .end
                    .zip(fault.index)
                    .is_some_and(|(end, first)| end > first + 1) =>
            {
                fault
            }
            _ => {
                *self = Self::default();
                return None;
            }
        };
        match fault.trouble {
            Trouble::Unreadable => self.unreadable += 1,
            Trouble::Missing | Trouble::Damaged => self.damaged += 1,
        }
        let is_over = self.unreadable >= MOST_UNREADABLE || self.damaged >= MOST_DAMAGED;
        is_over.then(|| fault.clone())
    }
}

impl Log {
    /// Opens the log of an open audit folder, with the published files from this source. An empty
    /// folder gives a log without entries.
    pub(crate) fn held(
        folder: &FolderFiles,
        files: Arc<dyn Files>,
        key: Option<&VerifierKey>,
    ) -> Result<Self, MissingRange> {
        // Open the journal before the checkpoint: if the gateway prunes the journal in between, the
        // checkpoint covers the pruned entries.
        let tail = match folder.0.folder(JOURNAL, None) {
            Ok(folder) => Some(journal::read_folder(folder, None).map_err(MissingRange::from)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                let what = error.to_string();
                Some(Err(
                    MissingRange::new(Trouble::Unreadable, what).in_file(JOURNAL)
                ))
            }
        };
        let mut log = Self::published(files, key)?;
        log.tail = tail;
        Ok(log)
    }

    /// Opens the published part of a log: the entries under its checkpoint. A log without a checkpoint
    /// is valid, because a new log has none yet.
    pub(crate) fn published(
        files: Arc<dyn Files>,
        key: Option<&VerifierKey>,
    ) -> Result<Self, MissingRange> {
        let note = files
            .file(CHECKPOINT, MAX_NOTE_BYTES)
            .map_err(|error| MissingRange::unread(CHECKPOINT, &error))?;
        let checkpoint = note.as_ref().map(|note| match key {
            Some(key) => Checkpoint::open(note, key),
            None => Note::parse(note).and_then(|note| Checkpoint::parse(note.text())),
        });
        let checkpoint = checkpoint
            .transpose()
            .map_err(|error| MissingRange::damaged(error.to_string()).in_file(CHECKPOINT))?;
        Ok(Self {
            reader: Arc::new(Reader::open(files, checkpoint.as_ref(), OnDamage::Mend)?),
            checkpoint,
            note: note.unwrap_or_default(),
            tail: None,
            is_judged: key.is_some(),
        })
    }

    /// How many entries the checkpoint covers.
    pub(crate) fn size(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, |c| c.size)
    }

    pub(crate) fn bundles(&self) -> u64 {
        self.size().div_ceil(WIDTH)
    }

    /// Takes the journal's entries beyond the checkpoint; a second call returns none. The caller must
    /// stop at the first error.
    pub(crate) fn tail(&mut self) -> impl Iterator<Item = Result<Raw, MissingRange>> {
        let mut next = self.size();
        let (entries, fault) = match self.tail.take().transpose() {
            Ok(entries) => (entries, None),
            Err(fault) => (None, Some(Err(fault))),
        };
        let entries = entries.into_iter().flatten();
        let entries = entries.map(|read| read.map_err(MissingRange::from));
        let reads = fault.into_iter().chain(entries);
        reads.filter_map(move |read| match read {
            Ok(read) if read.index < next => None,
            Ok(read) if read.index > next => {
                let what = format!("the journal continues with entry {}", read.index);
                Some(Err(MissingRange::damaged(what).at(next)))
            }
            Ok(read) => {
                next += 1;
                Some(Ok(Raw {
                    index: read.index,
                    bytes: read.bytes,
                }))
            }
            Err(fault) => Some(Err(fault.at(next))),
        })
    }

    /// Verifies these bundles in the given order. Calls `take` for each bundle with the index of the
    /// bundle's first entry and the results: the entries that meet `passes`, and the missing ranges.
    /// Stops when `take` breaks. If many bundles in a row cannot be read, passes all that are left as one
    /// missing range.
    pub(super) fn scan<B>(
        &self,
        bundles: impl Iterator<Item = u64> + Clone + Send,
        passes: impl Fn(u64, &[u8]) -> bool + Sync,
        mut take: impl FnMut(u64, Vec<Found>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let reader = &*self.reader;
        let search = |bundle: u64| {
            let found = reader.parts(bundle, |parts| {
                let found = parts.into_iter().filter_map(|part| match part {
                    Ok((index, bytes)) => passes(index, bytes).then(|| {
                        let bytes = bytes.to_vec();
                        Ok(Raw { index, bytes })
                    }),
                    Err(missing) => Some(Err(missing)),
                });
                found.collect::<Vec<_>>()
            });
            let mut found = found.unwrap_or_else(|missing| vec![Err(missing)]);
            found.extend(reader.take_mended().into_iter().map(Err));
            found
        };
        std::thread::scope(|scope| {
            let workers = bundles.clone().take(WORKERS).count();
            let lanes: Vec<Receiver<_>> = (0..workers)
                .map(|lane| {
                    let (ready, taken) = sync_channel(AHEAD);
                    let mine = bundles.clone().skip(lane).step_by(WORKERS);
                    // `send` fails after the caller has dropped the receiver, because it needs no more
                    // results.
                    scope.spawn(move || mine.map(search).try_for_each(|found| ready.send(found)));
                    taken
                })
                .collect();
            let mut rest = bundles.clone();
            let mut failures = Failures::default();
            for lane in lanes.iter().cycle() {
                let Some(bundle) = rest.next() else { break };
                // A worker ends early only if it panics, and then this scope panics too.
                let Ok(found) = lane.recv() else { break };
                let last = failures.count(&found);
                take(bundle * WIDTH, found)?;
                if let Some(fault) = last {
                    return self.give_up(bundle, rest, fault, take);
                }
            }
            ControlFlow::Continue(())
        })
    }

    /// Passes the bundles in `rest` to `take` as one range that is missing for the reason of `fault`. They
    /// follow bundle `last` without a gap, upwards or downwards.
    fn give_up<B>(
        &self,
        last: u64,
        mut rest: impl Iterator<Item = u64>,
        fault: MissingRange,
        mut take: impl FnMut(u64, Vec<Found>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let Some(one) = rest.next() else {
            return ControlFlow::Continue(());
        };
        let more = rest.size_hint().0 as u64;
        let other = match one > last {
            true => one.saturating_add(more),
            false => one.saturating_sub(more),
        };
        let first = one.min(other).saturating_mul(WIDTH);
        let end = (one.max(other) + 1).saturating_mul(WIDTH).min(self.size());
        let what = format!(
            "not read, because so many bundles before cannot be read: {}",
            fault.what
        );
        let missing = MissingRange {
            what,
            file: None,
            ..fault
        };
        take(first, vec![Err(missing.at(first).until(end))])
    }

    /// Calls `take` with each entry from index `from` on that meets `passes`, and with each missing
    /// range. The entries under the checkpoint come first, then those of the journal, all in order.
    /// Continues after a missing range, and stops when `take` breaks. If `take` never breaks, returns
    /// the index after the last entry.
    pub(super) fn scan_from<B>(
        &mut self,
        from: u64,
        passes: impl Fn(u64, &[u8]) -> bool + Sync,
        mut take: impl FnMut(Found) -> ControlFlow<B>,
    ) -> ControlFlow<B, u64> {
        let passes = |index, bytes: &[u8]| index >= from && passes(index, bytes);
        let bundles = from / WIDTH..self.bundles();
        let mut take = |found: Found| match found {
            Err(missing) if missing.end.is_some_and(|end| end <= from) => ControlFlow::Continue(()),
            Err(missing) => take(Err(MissingRange {
                index: missing.index.map(|first| first.max(from)),
                ..missing
            })),
            found => take(found),
        };
        self.scan(bundles, passes, |_, found| {
            found.into_iter().try_for_each(&mut take)
        })?;
        self.scan_beyond(passes, take)
    }

    /// The part of [`Self::scan_from`] beyond the checkpoint.
    pub(super) fn scan_beyond<B>(
        &mut self,
        passes: impl Fn(u64, &[u8]) -> bool,
        mut take: impl FnMut(Found) -> ControlFlow<B>,
    ) -> ControlFlow<B, u64> {
        let mut end = self.size();
        for found in self.tail() {
            let (is_wanted, is_last) = match &found {
                Ok(raw) => (passes(raw.index, &raw.bytes), false),
                // Stop at the first fault: nothing proves the journal's entries after that fault.
                Err(_) => (true, true),
            };
            end = found.as_ref().map_or(end, |raw| raw.index + 1);
            if is_wanted {
                take(found)?;
            }
            if is_last {
                break;
            }
        }
        ControlFlow::Continue(end)
    }

    /// Returns the entry with this index. If the checkpoint covers the index, verifies the entry under the
    /// checkpoint; otherwise, reads the entry from the journal. Returns `None` if the log ends before this
    /// index.
    pub(crate) fn entry(&mut self, index: u64) -> Result<Option<Raw>, MissingRange> {
        if index < self.size() {
            return self.reader.entry(index).map(Some);
        }
        let is_before = |raw: &Raw| raw.index < index;
        let mut rest = self
            .tail()
            .skip_while(|raw| raw.as_ref().is_ok_and(is_before));
        rest.next().transpose()
    }

    /// The index from which a reader finds all entries of this time or later. Times in a log ascend
    /// unless the clock was set back, so the search begins [`MAX_STEP_BACK`] earlier. Without a time,
    /// the index is 0.
    pub(super) fn place_of(&self, time: Option<Time>) -> u64 {
        let Some(time) = time else {
            return 0;
        };
        let time = Time(time.micros().saturating_sub(MAX_STEP_BACK));
        let begins = |entries: &[&[u8]]| {
            let head = EntryHead::decode(entries.first()?).ok()?;
            Time::parse(&head.time)
        };
        // Invariant: bundles before `low` begin before the time, and bundles from `high` on do not.
        let (mut low, mut high) = (0, self.bundles());
        while low < high {
            let middle = low.midpoint(high);
            let begin = |bundle: u64| self.reader.bundle(bundle, begins).ok().flatten();
            // A damaged bundle has no known time. Use the next good bundle, which begins no earlier.
            let known = (middle..high).find_map(|bundle| Some((bundle, begin(bundle)?)));
            match known {
                Some((bundle, begin)) if begin < time => low = bundle + 1,
                _ => high = middle,
            }
        }
        low.saturating_sub(1) * WIDTH
    }
}
