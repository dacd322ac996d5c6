//! Deletions picked from a trail, and what of it the answer covers.

use std::collections::VecDeque;

use super::source::Folder;
use crate::audit::query::{Deletion, Filter, Joiner};
use crate::cli::exit::Stop;
use crate::cli::output::tell;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Query {
    /// Which.
    pub filter: Filter,
    /// Only the newest so many.
    pub limit: Option<usize>,
}

/// What of the trail an answer covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Covered {
    /// Entries from here …
    pub first: u64,
    /// … up to, not with, this one were searched.
    pub end: u64,
}

/// Gives the deletions that are wanted, oldest first.
///
/// # Errors
/// Where the trail is damaged (1) or cannot be read (74), after what stands before; what `each` gives.
pub(super) fn pick(
    folder: &Folder,
    query: &Query,
    mut each: impl FnMut(Deletion) -> Result<(), Stop>,
) -> Result<Covered, Stop> {
    let mut joiner = Joiner::default();
    let mut newest = VecDeque::new();
    let mut covered = Covered::default();
    let mut take = |deletion: Deletion| -> Result<(), Stop> {
        if !query.filter.admits(&deletion) {
            return Ok(());
        }
        let Some(limit) = query.limit else {
            return each(deletion);
        };
        if newest.len() == limit {
            newest.pop_front();
        }
        newest.push_back(deletion);
        Ok(())
    };
    let ended = folder.entries(|index, entry, _| {
        covered.end = index + 1;
        joiner.push(index, entry);
        while let Some(deletion) = joiner.next_closed() {
            take(deletion)?;
        }
        Ok(())
    });
    if let Err(Stop::Output(error)) = ended {
        return Err(Stop::Output(error));
    }
    let strays = joiner.strays();
    for deletion in joiner.rest() {
        take(deletion)?;
    }
    newest.into_iter().try_for_each(each)?;
    if strays > 0 {
        tell(format!(
            "{strays} outcomes close no open intent; see `lychgate audit verify`"
        ));
    }
    ended.map(|()| covered)
}

impl Covered {
    /// Says on standard error what was searched: an answer of none means none in there.
    pub(super) fn tell(&self) {
        match self.end.checked_sub(1) {
            None => tell("the trail holds no entry yet"),
            Some(last) => tell(format!("searched entries {} to {last}", self.first)),
        }
    }
}
