//! Deletions picked from a trail, and what of it the answer covers.

use super::trail::Trail;
use crate::audit::read::Log;
use crate::audit::read::query;
use crate::audit::read::query::{Deletion, Filter, ReadBacks, Searched};
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
#[derive(Debug)]
pub(super) struct Covered {
    searched: Searched,
    /// The checkpoint's size.
    size: Option<u64>,
    /// Whether a key has judged its signature.
    is_judged: bool,
}

/// Gives the deletions that are wanted, oldest first.
///
/// # Errors
/// If a part that had to be searched is damaged (1) or cannot be read (74), after what could be found;
/// what `each` gives.
pub(super) fn pick(
    trail: &Trail,
    query: &Query,
    each: impl FnMut(Deletion) -> Result<(), Stop>,
) -> Result<Covered, Stop> {
    let mut log = trail.open()?;
    pick_in(trail, &mut log, query, each)
}

/// As [`pick`], of an opened log.
///
/// # Errors
/// As [`pick`].
pub(super) fn pick_in(
    trail: &Trail,
    log: &mut Log,
    query: &Query,
    mut each: impl FnMut(Deletion) -> Result<(), Stop>,
) -> Result<Covered, Stop> {
    let mut read_backs = None;
    let searched = query::pick(log, &query.filter, query.limit, |mut deletion| {
        if deletion.is_in_doubt() {
            // What was read back stands later: it is looked for once, and only where it matters.
            let known = match read_backs.take() {
                Some(known) => known,
                None => ReadBacks::of(&mut trail.open()?, deletion.index)?,
            };
            deletion.reconciled = known.get(deletion.index);
            read_backs = Some(known);
        }
        each(deletion)
    })?;
    Ok(Covered::new(searched, log))
}

impl Covered {
    /// What was searched of this log.
    pub(super) fn new(searched: Searched, log: &Log) -> Self {
        Self {
            searched,
            size: log.checkpoint().map(|checkpoint| checkpoint.size),
            is_judged: log.is_judged(),
        }
    }

    /// As it is, of a log whose entries were searched so far.
    pub(super) fn of(self, searched: Searched) -> Self {
        Self { searched, ..self }
    }

    /// Says on standard error what was searched: an answer of none means none in there.
    pub(super) fn tell(&self, trail: &Trail) {
        let published = match trail.is_address() {
            true => "; only what is published was read",
            false => "",
        };
        tell(format!("{}{published}", self.sentence()));
    }

    fn sentence(&self) -> String {
        let Searched { first, end } = self.searched;
        if first >= end {
            return "no checkpoint covers an entry yet, and nothing stands beyond it".into();
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
            Some(_) if !self.is_judged => "; its signature was not judged: give --key",
            _ => "",
        };
        format!("searched entries {first} to {last}; {under}{judged}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(first: u64, end: u64, size: Option<u64>, is_judged: bool) -> String {
        let searched = Searched { first, end };
        let covered = Covered {
            searched,
            size,
            is_judged,
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
