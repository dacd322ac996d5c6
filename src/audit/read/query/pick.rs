//! Selects deletions from a log: all of them in one pass, or the newest by reading backwards.

use std::ops::ControlFlow;

use super::newest::Newest;
use super::prefilter::{Candidate, Prefilter};
use super::search::decode;
use super::{Deletion, Filter, Joiner};
use crate::audit::read::log::BUNDLE;
use crate::audit::read::{Log, MissingRange};

/// The range of entries that a query searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Searched {
    /// The first entry.
    pub first: u64,
    /// The index after the last entry.
    pub end: u64,
}

/// Passes the deletions that the filter admits to `each`, oldest first; with a limit only the
/// newest of them. Holds these in memory, and the deletions that were in flight at the same time.
///
/// # Errors
/// If a needed part of the log is missing, after the deletions that could be found; the errors of
/// `each`.
pub fn pick<E: From<MissingRange>>(
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
        flow(&broken)
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
        flow(&broken)
    });
    // After an error the answer is incomplete, but still has the deletions found so far.
    newest.ahead_ended();
    let end = broken.and(end);
    let mut first = size;
    let mut ended = Ok(());
    if end.is_ok() && !newest.is_full() {
        let wanted = first_wanted(log, filter) / BUNDLE..log.bundles();
        let bundles: Vec<u64> = wanted.rev().collect();
        let mut broken = Ok(());
        let sift = |first, entries: &[&[u8]]| (first, prefilter.candidates(first, entries));
        ended = log.scan(&bundles, sift, |(bundle, candidates)| {
            broken = newest.back(bundle, candidates);
            first = bundle;
            match newest.is_full() {
                true => ControlFlow::Break(()),
                false => flow(&broken),
            }
        });
        ended = broken.and(ended);
    }
    newest.into_found().try_for_each(each)?;
    ended?;
    Ok(Searched { first, end: end? })
}

/// The index to start from for every deletion that the filter can admit.
fn first_wanted(log: &Log, filter: &Filter) -> u64 {
    filter.since.map_or(0, |since| log.place_of(since))
}

fn flow<T, E>(result: &Result<T, E>) -> ControlFlow<()> {
    match result {
        Ok(_) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

/// Pushes an entry into the joiner. Skips, without decoding, the closing entry of a deletion that
/// the filter dropped.
fn push(joiner: &mut Joiner, candidate: Candidate) -> Result<(), MissingRange> {
    let (index, bytes) = match candidate {
        Candidate::Closing { intent, .. } if !joiner.holds(intent) => return Ok(()),
        Candidate::Closing { index, bytes, .. } | Candidate::Named(index, bytes) => (index, bytes),
    };
    joiner.push(index, decode(index, &bytes)?);
    Ok(())
}
