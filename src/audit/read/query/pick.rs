//! Deletions picked from a log: all of them in one pass, or the newest by reading backwards.

use std::ops::ControlFlow;

use super::newest::Newest;
use super::prefilter::{Candidate, Prefilter};
use super::search::decode;
use super::{Deletion, Filter, Joiner};
use crate::audit::read::{Hole, Log};

/// The entries that were searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Searched {
    /// The first of them.
    pub first: u64,
    /// The one behind the last.
    pub end: u64,
}

/// Gives the deletions that are wanted, oldest first; with a limit only the newest so many. Memory is
/// bounded by those, and by the deletions that were in flight at any one time.
///
/// # Errors
/// Where a part of the log that had to be searched is a hole, after what could be found; what `each` gives.
pub fn pick<E: From<Hole>>(
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

fn all<E: From<Hole>>(
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
    let mut searched = Searched {
        first: 0,
        end: log.size(),
    };
    let mut join = |candidates: Vec<Candidate>| -> Result<(), E> {
        for one in candidates {
            push(&mut joiner, one)?;
        }
        while let Some(deletion) = joiner.next_closed() {
            take(deletion)?;
        }
        Ok(())
    };
    let bundles: Vec<u64> = (0..log.bundles()).collect();
    let mut broken = Ok(());
    let sift = |first, entries: &[&[u8]]| prefilter.candidates(first, entries);
    let mut ended = log.scan(&bundles, sift, |candidates| {
        broken = join(candidates);
        flow(&broken)
    });
    broken?;
    if ended.is_ok() {
        let beyond = log.tail(|index, bytes| {
            searched.end = index + 1;
            join(prefilter.candidate(index, &bytes).into_iter().collect()).map_err(Ended::Each)
        });
        ended = match beyond {
            Err(Ended::Each(error)) => return Err(error),
            Err(Ended::Hole(hole)) => Err(hole),
            Ok(()) => Ok(()),
        };
    }
    joiner.rest().try_for_each(take)?;
    ended?;
    Ok(searched)
}

fn newest<E: From<Hole>>(
    log: &mut Log,
    filter: &Filter,
    limit: usize,
    each: impl FnMut(Deletion) -> Result<(), E>,
) -> Result<Searched, E> {
    let prefilter = Prefilter::of(filter);
    let size = log.size();
    let mut searched = Searched {
        first: size,
        end: size,
    };
    let mut newest = Newest::new(filter, limit);
    let beyond: Result<(), Hole> = log.tail(|index, bytes| {
        searched.end = index + 1;
        match prefilter.candidate(index, &bytes) {
            Some(candidate) => newest.ahead(size, candidate),
            None => Ok(()),
        }
    });
    // What stands under the checkpoint is found all the same; the answer is no whole one then.
    newest.ahead_ended();
    let mut ended = beyond;
    if ended.is_ok() && !newest.is_full() {
        let bundles: Vec<u64> = (0..log.bundles()).rev().collect();
        let mut broken = Ok(());
        let sift = |first, entries: &[&[u8]]| (first, prefilter.candidates(first, entries));
        ended = log.scan(&bundles, sift, |(first, candidates)| {
            broken = newest.back(first, candidates);
            searched.first = first;
            match newest.is_full() {
                true => ControlFlow::Break(()),
                false => flow(&broken),
            }
        });
        ended = broken.and(ended);
    }
    newest.into_found().try_for_each(each)?;
    ended?;
    Ok(searched)
}

/// An end that is `each`'s, and one that is the log's.
enum Ended<E> {
    Each(E),
    Hole(Hole),
}

impl<E> From<Hole> for Ended<E> {
    fn from(hole: Hole) -> Self {
        Self::Hole(hole)
    }
}

fn flow<T, E>(result: &Result<T, E>) -> ControlFlow<()> {
    match result {
        Ok(_) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

/// Pushes what the joiner can use: what closes a deletion that was dropped is not even decoded.
fn push(joiner: &mut Joiner, candidate: Candidate) -> Result<(), Hole> {
    let (index, bytes) = match candidate {
        Candidate::Closing { intent, .. } if !joiner.holds(intent) => return Ok(()),
        Candidate::Closing { index, bytes, .. } | Candidate::Named(index, bytes) => (index, bytes),
    };
    joiner.push(index, decode(index, &bytes)?);
    Ok(())
}
