//! Selects deletions from a log: all of them in one pass, or the newest by reading backwards.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::ControlFlow;

use super::filter::{Candidate, Prefilter};
use super::search::go_on;
use super::{Deletion, Filter, Joiner, Raw};
use crate::audit::entry::{Intent, Kind};
use crate::audit::read::{Log, MissingRange, WIDTH};

/// The range of entries that a query searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Searched {
    pub(crate) first: u64,
    /// The index after the last entry.
    pub(crate) end: u64,
}

/// Passes the deletions that the filter admits to `each`, oldest first; with a limit only the
/// newest of them. Holds these in memory, and the deletions that were in flight at the same time.
/// If a needed part of the log is missing, passes on the deletions that it could find before it
/// returns the error.
pub(crate) fn pick<E: From<MissingRange>>(
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

fn all<E: From<MissingRange>>(
    log: &mut Log,
    filter: &Filter,
    mut each: impl FnMut(Deletion) -> Result<(), E>,
) -> Result<Searched, E> {
    let prefilter = Prefilter::of(filter);
    let mut joiner = Joiner::default();
    let mut take = |deletion: Deletion| match filter.admits(&deletion) {
        true => each(deletion),
        false => Ok(()),
    };
    let mut broken = Ok(());
    let mut join = |candidate| -> Result<(), E> {
        push(&mut joiner, candidate)?;
        while let Some(deletion) = joiner.next_closed() {
            take(deletion)?;
        }
        Ok(())
    };
    let sift = |index, bytes: &[u8]| prefilter.candidate(index, bytes);
    let first = first_wanted(log, filter);
    let ended = log.scan_from(first, sift, |candidate| {
        broken = join(candidate);
        go_on(&broken)
    });
    broken?;
    joiner.rest().try_for_each(take)?;
    let end = ended?;
    Ok(Searched {
        first: first.min(end),
        end,
    })
}

fn newest<E: From<MissingRange>>(
    log: &mut Log,
    filter: &Filter,
    limit: usize,
    each: impl FnMut(Deletion) -> Result<(), E>,
) -> Result<Searched, E> {
    let prefilter = Prefilter::of(filter);
    let size = log.size();
    let mut newest = Newest::new(filter, limit);
    let mut broken = Ok(());
    let end = log.tail(|index, bytes| {
        if let Some(candidate) = prefilter.candidate(index, &bytes) {
            broken = newest.ahead(size, candidate);
        }
        go_on(&broken)
    });
    // After an error the answer is incomplete, but still has the deletions found so far.
    newest.ahead_ended();
    let end = broken.and(end);
    let mut first = size;
    let mut ended = Ok(());
    if end.is_ok() && !newest.is_full() {
        let wanted = first_wanted(log, filter) / WIDTH..log.bundles();
        let bundles: Vec<u64> = wanted.rev().collect();
        let mut broken = Ok(());
        let sift = |first, entries: &[&[u8]]| {
            let entries = (first..).zip(entries);
            let wanted = entries.filter_map(|(index, bytes)| prefilter.candidate(index, bytes));
            (first, wanted.collect::<Vec<_>>())
        };
        ended = log.scan(&bundles, sift, |(bundle, candidates)| {
            broken = newest.back(bundle, candidates);
            first = bundle;
            match newest.is_full() {
                true => ControlFlow::Break(()),
                false => go_on(&broken),
            }
        });
        ended = broken.and(ended);
    }
    newest.found.into_iter().try_for_each(each)?;
    ended?;
    Ok(Searched { first, end: end? })
}

/// The index to start from for every deletion that the filter can admit.
fn first_wanted(log: &Log, filter: &Filter) -> u64 {
    filter.since.map_or(0, |since| log.place_of(since))
}

/// Pushes an entry into the joiner. Skips, without decoding, the closing entry of a deletion that
/// the filter dropped.
fn push(joiner: &mut Joiner, candidate: Candidate) -> Result<(), MissingRange> {
    let Candidate { entry, closes } = candidate;
    if closes.is_none_or(|intent| joiner.holds(intent)) {
        joiner.push(entry.index, entry.decode()?);
    }
    Ok(())
}

/// The newest deletions that a filter admits, joined from a log that is read backwards: the closing
/// entry comes before the intent. Holds these, and the closing entries of the deletions that were in
/// flight at the present position.
#[derive(Debug)]
struct Newest<'f> {
    filter: &'f Filter,
    limit: usize,
    /// Deletions that began beyond the checkpoint; joined forwards.
    ahead: Joiner,
    /// Closing entries by their intent's index.
    closings: BTreeMap<u64, Raw>,
    /// Parts of split deletions before their first part is read; the last part comes first.
    parts: HashMap<String, Vec<Intent>>,
    /// Oldest first.
    found: VecDeque<Deletion>,
}

impl<'f> Newest<'f> {
    fn new(filter: &'f Filter, limit: usize) -> Self {
        Self {
            filter,
            limit,
            ahead: Joiner::default(),
            closings: BTreeMap::new(),
            parts: HashMap::new(),
            found: VecDeque::new(),
        }
    }

    /// Takes the next entry beyond the checkpoint.
    fn ahead(&mut self, size: u64, candidate: Candidate) -> Result<(), MissingRange> {
        match candidate.closes {
            Some(intent) if intent < size => {
                self.closings.entry(intent).or_insert(candidate.entry);
            }
            _ => push(&mut self.ahead, candidate)?,
        }
        while let Some(deletion) = self.ahead.next_closed() {
            self.add_newer(deletion);
        }
        Ok(())
    }

    /// Takes the end of the entries beyond the checkpoint.
    fn ahead_ended(&mut self) {
        for deletion in std::mem::take(&mut self.ahead).rest() {
            self.add_newer(deletion);
        }
    }

    /// Takes the entries of a bundle that precedes all bundles so far.
    fn back(&mut self, first: u64, candidates: Vec<Candidate>) -> Result<(), MissingRange> {
        for Candidate { entry, closes } in candidates.into_iter().rev() {
            if self.is_full() {
                return Ok(());
            }
            match closes {
                // If there are two, the older one closed the intent.
                Some(intent) => drop(self.closings.insert(intent, entry)),
                None => self.add(entry)?,
            }
        }
        // The bundles so far contained every intent from `first` on, so their closing entries are
        // done.
        self.closings.split_off(&first);
        Ok(())
    }

    /// Whether the limit is reached.
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

    fn add_newer(&mut self, deletion: Deletion) {
        if self.limit == 0 || !self.filter.admits(&deletion) {
            return;
        }
        if self.found.len() == self.limit {
            self.found.pop_front();
        }
        self.found.push_back(deletion);
    }
}
