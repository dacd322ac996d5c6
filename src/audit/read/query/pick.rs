//! Selects deletions from a log: all in one pass, the newest by reading backwards, or those that
//! close between one checkpoint and the next.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::{ControlFlow, Range};

use super::search::{each_entry, until_error};
use super::{Deletion, Filter, Joiner};
use crate::audit::entry::{Entry, Intent, Kind, Spelled};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::read::{Log, MissingRange, Raw, Reader, WIDTH};

/// Passes the deletions that the filter admits to `each`, oldest first; with a limit only the
/// newest of them. Holds these in memory, the entries beyond the checkpoint, and the deletions that
/// were in flight at the same time. If a needed part of the log is missing, passes on the deletions
/// that it could find before it returns the error. Returns the range of entries that it searched.
pub(crate) fn pick<E: From<MissingRange>>(
    log: &mut Log,
    filter: &Filter,
    limit: Option<usize>,
    each: impl FnMut(Deletion) -> Result<(), E>,
) -> Result<Range<u64>, E> {
    match limit {
        Some(limit) => newest(log, filter, limit, each),
        None => all(log, filter, each),
    }
}

fn all<E: From<MissingRange>>(
    log: &mut Log,
    filter: &Filter,
    mut each: impl FnMut(Deletion) -> Result<(), E>,
) -> Result<Range<u64>, E> {
    let mut joiner = Joiner::default();
    let mut take = |deletion: Deletion| match filter.admits(&deletion) {
        true => each(deletion),
        false => Ok(()),
    };
    let mut join = |raw: Raw| -> Result<(), E> {
        // Skips, without decoding, the closing entry of a deletion that the filter dropped.
        if closes(&raw).is_none_or(|intent| joiner.held.contains_key(&intent)) {
            joiner.push(raw.index, raw.decode()?);
        }
        while let Some(deletion) = joiner.next_closed() {
            take(deletion)?;
        }
        Ok(())
    };
    let first = log.place_of(filter.since);
    let scanned = log.scan_from(first, filter.prefilter(), |raw| until_error(join(raw)));
    let ended = match scanned {
        Ok(ControlFlow::Continue(end)) => Ok(end),
        Ok(ControlFlow::Break(error)) => return Err(error),
        Err(missing) => Err(missing),
    };
    joiner.rest().try_for_each(take)?;
    let end = ended?;
    Ok(first.min(end)..end)
}

/// The intent that an entry closes; `None` for a kind or a spelling that needs the decoder.
fn closes(raw: &Raw) -> Option<u64> {
    let spelled = Spelled::of(&raw.bytes)?;
    (spelled.kind == b"outcome").then(|| spelled.intent())?
}

fn newest<E: From<MissingRange>>(
    log: &mut Log,
    filter: &Filter,
    limit: usize,
    each: impl FnMut(Deletion) -> Result<(), E>,
) -> Result<Range<u64>, E> {
    let passes = filter.prefilter();
    let mut first = log.size();
    let (mut end, mut beyond) = (first, Vec::new());
    let read = log.tail().try_for_each(|raw| {
        let raw = raw?;
        end = raw.index + 1;
        if passes(raw.index, &raw.bytes) {
            beyond.push(raw);
        }
        Ok(())
    });
    let mut newest = Newest {
        filter,
        limit,
        closings: BTreeMap::new(),
        parts: HashMap::new(),
        found: VecDeque::new(),
    };
    let mut ended = newest.take(first, beyond).and(read);
    if ended.is_ok() && !newest.is_full() {
        let wanted = log.place_of(filter.since) / WIDTH..log.bundles();
        let bundles: Vec<u64> = wanted.rev().collect();
        let scanned = log.scan(&bundles, passes, |bundle, entries| {
            first = bundle;
            match newest.take(bundle, entries) {
                Ok(()) if !newest.is_full() => ControlFlow::Continue(()),
                taken => ControlFlow::Break(taken),
            }
        });
        ended = scanned.and_then(|flow| flow.break_value().unwrap_or(Ok(())));
    }
    // After an error the answer is incomplete, but still has the deletions found so far.
    newest.found.into_iter().try_for_each(each)?;
    ended?;
    Ok(first..end)
}

/// The newest deletions that a filter admits, joined from a log that is read backwards: the closing
/// entry comes before the intent.
struct Newest<'f> {
    filter: &'f Filter,
    limit: usize,
    /// Closing entries whose intents are not read yet, by the intent's index.
    closings: BTreeMap<u64, Raw>,
    /// Parts of split deletions before their first part is read; the last part comes first.
    parts: HashMap<String, Vec<Intent>>,
    /// Oldest first.
    found: VecDeque<Deletion>,
}

impl Newest<'_> {
    /// Takes the entries from `first` up to those of the last call: a bundle, or the journal's part
    /// beyond the checkpoint.
    fn take(&mut self, first: u64, entries: Vec<Raw>) -> Result<(), MissingRange> {
        for raw in entries.into_iter().rev() {
            if self.is_full() {
                return Ok(());
            }
            match closes(&raw) {
                // If there are two, the older one closed the intent.
                Some(intent) => drop(self.closings.insert(intent, raw)),
                None => self.add(raw)?,
            }
        }
        // All intents from `first` on are read, so no unread intent needs these closing entries.
        self.closings.split_off(&first);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.found.len() >= self.limit
    }

    fn add(&mut self, raw: Raw) -> Result<(), MissingRange> {
        let (index, entry) = (raw.index, raw.decode()?);
        let mut deletion = match entry.kind {
            Kind::Intent(intent) => match self.gather(intent) {
                Some(whole) => Deletion::of_intent(index, entry.time, whole),
                None => return Ok(()),
            },
            Kind::Refused(refused) => Deletion::of_refused(index, entry.time, refused),
            // An outcome in an unusual spelling.
            Kind::Outcome(outcome) => {
                self.closings.insert(outcome.intent, raw);
                return Ok(());
            }
            _ => return Ok(()),
        };
        if let Some(closing) = self.closings.remove(&index)
            && let Kind::Outcome(outcome) = closing.decode()?.kind
        {
            deletion.close(closing.index, outcome);
        }
        if self.filter.admits(&deletion) {
            self.found.push_front(deletion);
        }
        Ok(())
    }

    /// The whole intent, once its first part is read.
    fn gather(&mut self, mut intent: Intent) -> Option<Intent> {
        let Some(group) = &intent.group else {
            return Some(intent);
        };
        if intent.part.is_some_and(|part| part > 1) {
            let parts = self.parts.entry(group.clone()).or_default();
            parts.push(intent);
            return None;
        }
        let later = self.parts.remove(group).unwrap_or_default();
        let users = later.into_iter().rev().flat_map(|part| part.users);
        intent.users.extend(users);
        Some(intent)
    }
}

/// Follows a log from checkpoint to checkpoint.
#[derive(Debug)]
pub(crate) struct Follower {
    checkpoint: Option<Checkpoint>,
    joiner: Joiner,
}

impl Follower {
    /// Starts after the last entry of this log.
    pub(crate) fn new(log: &Log) -> Self {
        Self {
            checkpoint: log.checkpoint.clone(),
            joiner: Joiner::default(),
        }
    }

    /// Passes to `each` the deletions that closed since the last call, in the order of their
    /// closing entries. `log` is a later state of the same log; if it does not continue the state of
    /// the last call, this is an error.
    pub(crate) fn advance<E: From<MissingRange>>(
        &mut self,
        mut log: Log,
        mut each: impl FnMut(Deletion) -> Result<(), E>,
    ) -> Result<(), E> {
        let next = self.must_continue(&log)?;
        if next == log.size() {
            return Ok(());
        }
        let reader = log.reader.clone();
        each_entry(
            &mut log,
            next,
            |_, _| true,
            |index, entry| match self.take(&reader, index, entry)? {
                Some(closed) => each(closed),
                None => Ok(()),
            },
        )?;
        self.checkpoint = log.checkpoint;
        Ok(())
    }

    /// Checks that `log` continues the state of the last call. Returns the first new entry's index.
    fn must_continue(&self, log: &Log) -> Result<u64, MissingRange> {
        let Some(old) = &self.checkpoint else {
            return Ok(0);
        };
        let Some(new) = &log.checkpoint else {
            return Err(MissingRange::damaged("the checkpoint is gone"));
        };
        if new.origin != old.origin {
            let what = format!("{} ends here, and {} begins", old.origin, new.origin);
            return Err(MissingRange::damaged(what));
        }
        if new.size < old.size {
            let what = format!(
                "rolled back: a checkpoint of {} entries was there, now it is one of {}",
                old.size, new.size
            );
            return Err(MissingRange::damaged(what).at(new.size));
        }
        if log.reader.root_at(old.size)? != old.root {
            let what = "forked: the log does not begin with the one that was followed";
            return Err(MissingRange::damaged(what));
        }
        Ok(old.size)
    }

    /// Takes the next entry. Returns the deletion that it closes.
    fn take(
        &mut self,
        reader: &Reader,
        index: u64,
        entry: Entry,
    ) -> Result<Option<Deletion>, MissingRange> {
        let closed = match &entry.kind {
            Kind::Outcome(outcome) => {
                if !self.joiner.held.contains_key(&outcome.intent) {
                    self.read_intent(reader, outcome.intent, index)?;
                }
                outcome.intent
            }
            _ => index,
        };
        self.joiner.push(index, entry);
        Ok(self.joiner.take_closed(closed))
    }

    /// Takes all parts of an intent that precedes the first followed entry.
    fn read_intent(&mut self, reader: &Reader, first: u64, end: u64) -> Result<(), MissingRange> {
        let (mut index, mut parts) = (first, 1);
        while index < end && index - first < parts {
            let entry = reader.entry(index)?.decode()?;
            let Kind::Intent(intent) = &entry.kind else {
                break;
            };
            parts = intent.parts.unwrap_or(1).into();
            self.joiner.push(index, entry);
            index += 1;
        }
        Ok(())
    }
}
