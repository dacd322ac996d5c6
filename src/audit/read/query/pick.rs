//! Selects deletions from a log. Reads all deletions in one pass, reads backwards for the newest
//! deletions, or follows the log from checkpoint to checkpoint.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::convert::Infallible;
use std::iter::from_fn;
use std::ops::{ControlFlow, Range};

use super::search::{each_entry, until_error};
use super::{Deletion, Filter, Joiner};
use crate::audit::entry::{Entry, Intent, Kind, Spelled};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::read::{Found, Log, Missing, MissingRange, Raw, Reader, WIDTH};

/// The entries that a search went through.
#[derive(Debug)]
pub(crate) struct Searched {
    pub(crate) range: Range<u64>,
    /// The parts of the range that could not be read.
    pub(crate) missing: Missing,
}

/// Calls `each` with every deletion that the filter admits, oldest first. If there is a limit, calls
/// `each` only with the newest of them. Continues after a missing range. Returns an error only if
/// `each` fails.
///
/// Holds in memory the deletions that were in flight at the same time. If there is a limit, also holds
/// the newest deletions and the entries beyond the checkpoint.
pub(crate) fn pick<E>(
    log: &mut Log,
    filter: &Filter,
    limit: Option<usize>,
    each: impl FnMut(Deletion) -> Result<(), E>,
) -> Result<Searched, E> {
    match limit {
        Some(limit) => newest(log, filter, limit, each),
        None => all(log, filter, each),
    }
}

fn all<E>(
    log: &mut Log,
    filter: &Filter,
    mut each: impl FnMut(Deletion) -> Result<(), E>,
) -> Result<Searched, E> {
    let (mut joiner, mut missing) = (Joiner::default(), Missing::default());
    let mut take = |deletion: Deletion| match filter.admits(&deletion) {
        true => each(deletion),
        false => Ok(()),
    };
    let first = log.place_of(filter.since);
    let scanned = log.scan_from(first, filter.prefilter(), |found| {
        if let Err(range) = found.and_then(|raw| join(&mut joiner, raw)) {
            joiner.skip(&range);
            missing.add(range);
        }
        until_error(from_fn(|| joiner.next_closed()).try_for_each(&mut take))
    });
    let end = match scanned {
        ControlFlow::Continue(end) => end,
        ControlFlow::Break(error) => return Err(error),
    };
    joiner.rest().try_for_each(take)?;
    let range = first.min(end)..end;
    Ok(Searched { range, missing })
}

fn join(joiner: &mut Joiner, raw: Raw) -> Result<(), MissingRange> {
    // If the joiner does not hold the intent, usually because the filter dropped the deletion, skip the
    // closing entry without decoding it.
    if closes(&raw).is_none_or(|intent| joiner.held.contains_key(&intent)) {
        joiner.push(raw.index, raw.decode()?);
    }
    Ok(())
}

/// The index of the intent that an entry closes, read from the entry's bytes without decoding. `None` if the
/// entry is no outcome, or if only the decoder can read the entry.
fn closes(raw: &Raw) -> Option<u64> {
    let spelled = Spelled::of(&raw.bytes)?;
    (spelled.kind == b"outcome").then(|| spelled.intent())?
}

fn newest<E>(
    log: &mut Log,
    filter: &Filter,
    limit: usize,
    each: impl FnMut(Deletion) -> Result<(), E>,
) -> Result<Searched, E> {
    let passes = filter.prefilter();
    let mut first = log.size();
    let mut beyond = Vec::new();
    let ControlFlow::Continue(end) = log.scan_beyond(&passes, |found| {
        beyond.push(found);
        ControlFlow::<Infallible>::Continue(())
    });
    let mut newest = Newest {
        filter,
        limit,
        closings: BTreeMap::new(),
        parts: HashMap::new(),
        found: VecDeque::new(),
        missing: Missing::default(),
    };
    if newest.take(first, beyond).is_continue() {
        let bundles = log.place_of(filter.since) / WIDTH..log.bundles();
        // The scan breaks when it has enough deletions.
        let _ = log.scan(bundles.rev(), passes, |bundle, found| {
            first = bundle;
            newest.take(bundle, found)
        });
    }
    newest.found.into_iter().try_for_each(each)?;
    let (range, missing) = (first..end, newest.missing);
    Ok(Searched { range, missing })
}

/// The newest deletions that a filter admits. They are joined from a log that is read backwards, so a
/// closing entry comes before its intent.
struct Newest<'f> {
    filter: &'f Filter,
    limit: usize,
    /// Closing entries whose intents are not read yet, by the intent's index.
    closings: BTreeMap<u64, Raw>,
    /// For each group whose first part is not read yet: the other parts read so far, last part first.
    parts: HashMap<String, Later>,
    /// The admitted deletions so far, oldest first.
    found: VecDeque<Deletion>,
    missing: Missing,
}

/// Parts of a split deletion whose first part is not read yet.
#[derive(Default)]
struct Later {
    /// The index at which the first part should be.
    first: u64,
    intents: Vec<Intent>,
}

impl Newest<'_> {
    /// Takes the wanted entries of a bundle, or those of the journal beyond the checkpoint. All these entries
    /// are at index `first` or later, and before the entries of the previous call. Breaks when the limit is
    /// reached.
    fn take(&mut self, first: u64, found: Vec<Found>) -> ControlFlow<()> {
        for found in found.into_iter().rev() {
            // When the limit is reached, only the damage in the rest of the bundle counts.
            let is_full = self.found.len() >= self.limit;
            let pushed = match found {
                Ok(_) if is_full => Ok(()),
                Ok(raw) => self.push(raw),
                Err(range) => Err(range),
            };
            if let Err(range) = pushed {
                self.missing.add(range);
            }
        }
        if self.found.len() >= self.limit {
            return ControlFlow::Break(());
        }
        // All intents from index `first` on have been read. Drop the remaining closing entries that name such
        // an intent, because no unread intent needs them.
        self.closings.split_off(&first);
        // The same holds for the parts of a deletion whose first part is missing.
        self.parts.retain(|_, later| later.first < first);
        ControlFlow::Continue(())
    }

    fn push(&mut self, raw: Raw) -> Result<(), MissingRange> {
        match closes(&raw) {
            // If two outcomes name the intent, the older one closed it. The older one is read last and
            // replaces the newer one.
            Some(intent) => drop(self.closings.insert(intent, raw)),
            None => self.add(raw)?,
        }
        Ok(())
    }

    fn add(&mut self, raw: Raw) -> Result<(), MissingRange> {
        let (index, entry) = (raw.index, raw.decode()?);
        let mut deletion = match entry.kind {
            Kind::Intent(intent) => match self.gather(index, intent) {
                Some(whole) => Deletion::of_intent(index, entry.time, whole),
                None => return Ok(()),
            },
            Kind::Refused(refused) => Deletion::of_refused(index, entry.time, refused),
            // An outcome that only the decoder can read.
            Kind::Outcome(outcome) => {
                self.closings.insert(outcome.intent, raw);
                return Ok(());
            }
            _ => return Ok(()),
        };
        if let Some(closing) = self.closings.remove(&index) {
            match closing.decode().map(|entry| entry.kind) {
                Ok(Kind::Outcome(outcome)) => deletion.close(closing.index, outcome),
                Ok(_) => {}
                Err(range) => self.missing.add(range),
            }
        }
        if self.filter.admits(&deletion) {
            self.found.push_front(deletion);
        }
        Ok(())
    }

    /// Returns the whole intent when its first part is read. Keeps any other part and returns `None`.
    fn gather(&mut self, index: u64, mut intent: Intent) -> Option<Intent> {
        let Some(group) = &intent.group else {
            return Some(intent);
        };
        if let Some(part) = intent.part.filter(|part| *part > 1) {
            let later = self.parts.entry(group.clone()).or_default();
            later.first = (index + 1).saturating_sub(part.into());
            later.intents.push(intent);
            return None;
        }
        let later = self.parts.remove(group).unwrap_or_default().intents;
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
    /// Starts after the last entry that this log's checkpoint covers.
    pub(crate) fn new(log: &Log) -> Self {
        Self {
            checkpoint: log.checkpoint.clone(),
            joiner: Joiner::default(),
        }
    }

    /// Calls `each` with the deletions that were closed or refused since the last call, in log order.
    /// `log` must be a later state of the log of the last call; otherwise, fails. If a file cannot be read,
    /// fails too and stays where it is, so that the next call tries again. Returns the ranges that are
    /// damaged, once.
    pub(crate) fn advance<E: From<MissingRange>>(
        &mut self,
        mut log: Log,
        mut each: impl FnMut(Deletion) -> Result<(), E>,
    ) -> Result<Missing, E> {
        let next = self.must_continue(&log)?;
        if next == log.size() {
            return Ok(Missing::default());
        }
        let reader = log.reader.clone();
        let before = self.joiner.clone();
        let (mut ended, mut unread) = (Vec::new(), Missing::default());
        let take = |index, entry| -> Result<(), E> {
            match self.take(&reader, index, entry) {
                Ok(closed) => ended.extend(closed),
                Err(range) => unread.add(range),
            }
            Ok(())
        };
        let (_, mut missing) = each_entry(&mut log, next, |_, _| true, take)?;
        missing.append(unread);
        if let Some(range) = missing.unreadable() {
            self.joiner = before;
            return Err(E::from(range.clone()));
        }
        self.checkpoint = log.checkpoint;
        ended.into_iter().try_for_each(&mut each)?;
        Ok(missing)
    }

    /// Checks that `log` continues the log of the last call. Returns the index of the first new entry.
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

    /// Takes the next entry. If the entry closes or refuses a deletion, returns that deletion.
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

    /// Reads all parts of an intent that the joiner does not hold, because the intent is before the followed
    /// entries. Passes these parts to the joiner.
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
