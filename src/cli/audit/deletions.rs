//! Selects deletions from a trail, and says which entries the answer covers and which it lacks.

use std::ops::Range;

use super::trail::Trail;
use crate::audit::read::query::{Deletion, Filter, ReadBacks, Searched};
use crate::audit::read::{Log, Missing, Trouble, query};
use crate::cli::exit::{Exit, Stop};
use crate::cli::output::tell;

/// Which entries an answer covers.
#[derive(Debug)]
pub(super) struct Covered {
    searched: Range<u64>,
    /// The size of the checkpoint.
    size: Option<u64>,
    /// Whether the checkpoint's signature was verified.
    is_judged: bool,
    missing: Missing,
}

/// How many missing ranges are named.
const MOST_NAMED: usize = 10;

/// Passes the matching deletions to `each`, oldest first; with a limit only the newest.
pub(super) fn pick(
    trail: &Trail,
    log: &mut Log,
    filter: &Filter,
    limit: Option<u32>,
    mut each: impl FnMut(Deletion) -> Result<(), Stop>,
) -> Result<Covered, Stop> {
    let limit = limit.map(|limit| limit as usize);
    let mut read_backs = None;
    let mut searched = query::pick(log, filter, limit, |mut deletion| {
        if deletion.is_in_doubt() {
            // Read-back entries come later in the trail, so search for them once, and only if
            // needed.
            let known = match read_backs.take() {
                Some(known) => known,
                None => ReadBacks::of(&mut trail.open()?, deletion.index),
            };
            deletion.reconciled = known.0.get(deletion.index);
            read_backs = Some(known);
        }
        each(deletion)
    })?;
    if let Some((_, missing)) = read_backs {
        searched.missing.append(missing);
    }
    Ok(Covered::new(searched, log))
}

impl Covered {
    /// Names the searched entries and the checkpoint that covers them.
    pub(super) fn new(searched: Searched, log: &Log) -> Self {
        Self {
            searched: searched.range,
            size: log.checkpoint.as_ref().map(|c| c.size),
            is_judged: log.is_judged,
            missing: searched.missing,
        }
    }

    /// Reports the searched entries and the missing ones on standard error, so that the reader knows
    /// what an empty answer covers.
    pub(super) fn tell(self, trail: &Trail) -> Exit {
        let published = match trail.is_address() {
            true => "; only what is published was read",
            false => "",
        };
        tell(format!("{}{published}", self.sentence()));
        tell_missing(self.missing)
    }

    fn sentence(&self) -> String {
        let Range { start: first, end } = self.searched;
        if first >= end {
            return "no checkpoint covers an entry yet, and there are no later entries".into();
        }
        let last = end - 1;
        let under = match self.size {
            None | Some(0) => "no checkpoint covers them yet".into(),
            Some(size) if size >= end => format!("the checkpoint of {size} entries covers them"),
            Some(size) if size <= first => {
                format!("the checkpoint of {size} entries does not cover them yet")
            }
            Some(size) => format!(
                "the checkpoint of {size} entries covers those up to {}",
                size - 1
            ),
        };
        let judged = match self.size {
            Some(_) if !self.is_judged => "; its signature was not verified: give --key",
            _ => "",
        };
        format!("searched entries {first} to {last}; {under}{judged}")
    }
}

/// Names the missing ranges on standard error. Returns the exit code of an answer without them.
pub(super) fn tell_missing(missing: Missing) -> Exit {
    let (ranges, more) = missing.ranges();
    let is_whole = more == 0 && ranges.iter().all(|range| range.index.is_none());
    for range in ranges.iter().take(MOST_NAMED) {
        match range.index {
            Some(_) => tell(format!("NOT in this answer: {range}")),
            None => tell(format!("damaged, but no entry is missing for it: {range}")),
        }
    }
    let more = more + ranges.len().saturating_sub(MOST_NAMED) as u64;
    if more > 0 {
        tell(format!("and {more} more such places"));
    }
    if !is_whole {
        tell("a deletion shown as open may have ended in a missing range");
    }
    if ranges
        .iter()
        .any(|range| range.trouble == Trouble::Unreadable)
    {
        return Exit::Io;
    }
    match ranges.is_empty() {
        true => Exit::Fine,
        false => {
            tell("the trail is damaged: `lychgate audit verify` names the first fault");
            Exit::No
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(first: u64, end: u64, size: Option<u64>, is_judged: bool) -> String {
        let covered = Covered {
            searched: first..end,
            size,
            is_judged,
            missing: Missing::default(),
        };
        covered.sentence()
    }

    #[test]
    fn an_answer_says_what_it_covers() {
        assert_eq!(
            sentence(0, 10, Some(10), true),
            "searched entries 0 to 9; the checkpoint of 10 entries covers them"
        );
        assert!(sentence(0, 10, Some(8), true).ends_with("covers those up to 7"));
        assert!(sentence(8, 10, Some(8), true).ends_with("does not cover them yet"));
        assert!(sentence(0, 10, None, true).ends_with("no checkpoint covers them yet"));
        assert!(sentence(0, 10, Some(10), false).ends_with("give --key"));
        assert!(sentence(0, 0, None, true).starts_with("no checkpoint covers an entry yet"));
    }
}
