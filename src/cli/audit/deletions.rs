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
        let what = match trail.is_address() {
            true => "published ",
            false => "",
        };
        self.sentences(what).into_iter().for_each(tell);
        tell_missing(self.missing)
    }

    /// How many entries were searched, which, and whether a signed checkpoint covers them.
    fn sentences(&self, what: &str) -> Vec<String> {
        let Range { start: first, end } = self.searched;
        let Some(last) = end.checked_sub(1).filter(|last| *last >= first) else {
            let none = match self.size {
                None | Some(0) => format!("no {what}entry to search: no checkpoint covers one yet"),
                Some(size) => format!("searched none of the {size} {what}entries"),
            };
            return vec![none];
        };
        let searched = match (first, end - first) {
            (0, 1) => format!("searched 1 {what}entry: 0"),
            (0, count) => format!("searched {count} {what}entries: 0 to {last}"),
            (_, 1) => format!("searched the newest of {end} {what}entries: {last}"),
            (_, count) => {
                format!("searched the newest {count} of {end} {what}entries: {first} to {last}")
            }
        };
        let Some(size) = self.size.filter(|size| *size > 0) else {
            return vec![searched, "no checkpoint covers them yet".into()];
        };
        let covers = match size {
            _ if size >= end => "covers all of them".into(),
            _ if size <= first => "covers none of them yet".into(),
            _ => format!("covers them up to {} so far", size - 1),
        };
        let entries = match size {
            1 => "entry",
            _ => "entries",
        };
        let covered = format!("the signed checkpoint of {size} {entries} {covers}");
        let judged = match self.is_judged {
            true => None,
            false => Some("its signature was not checked: give --key".to_owned()),
        };
        [searched, covered].into_iter().chain(judged).collect()
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

    fn sentences(searched: Range<u64>, size: Option<u64>, is_judged: bool) -> Vec<String> {
        let covered = Covered {
            searched,
            size,
            is_judged,
            missing: Missing::default(),
        };
        let sentences = covered.sentences("");
        assert!(
            sentences.iter().all(|line| line.len() < 70),
            "{sentences:?}"
        );
        sentences
    }

    #[test]
    fn an_answer_says_which_entries_were_searched() {
        for (searched, said) in [
            (0..10, "searched 10 entries: 0 to 9"),
            (0..1, "searched 1 entry: 0"),
            (8..10, "searched the newest 2 of 10 entries: 8 to 9"),
            (9..10, "searched the newest of 10 entries: 9"),
            (10..10, "searched none of the 10 entries"),
        ] {
            assert_eq!(sentences(searched, Some(10), true)[0], said);
        }
        let none = sentences(0..0, None, true);
        assert_eq!(none, ["no entry to search: no checkpoint covers one yet"]);
    }

    #[test]
    fn an_answer_says_whether_a_checkpoint_covers_it() {
        for (size, said) in [
            (
                Some(10),
                "the signed checkpoint of 10 entries covers all of them",
            ),
            (
                Some(9),
                "the signed checkpoint of 9 entries covers them up to 8 so far",
            ),
            (
                Some(7),
                "the signed checkpoint of 7 entries covers none of them yet",
            ),
            (None, "no checkpoint covers them yet"),
        ] {
            assert_eq!(sentences(7..10, size, true)[1..], [said]);
        }
        let unjudged = sentences(0..10, Some(10), false);
        assert_eq!(unjudged[2], "its signature was not checked: give --key");
    }
}
