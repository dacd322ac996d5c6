//! Follows the deletions that close between one checkpoint and the next.

use super::search::each_entry;
use super::{Deletion, Joiner, Raw};
use crate::audit::entry::{Entry, Kind, Outcome};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::read::{Log, MissingRange, Reader};

/// Remembers how far it has read a log.
#[derive(Debug)]
pub(crate) struct Follower {
    checkpoint: Option<Checkpoint>,
    joiner: Joiner,
}

impl Follower {
    /// Starts after the last entry of this log.
    pub(crate) fn new(log: &Log) -> Self {
        Self {
            checkpoint: log.checkpoint().cloned(),
            joiner: Joiner::default(),
        }
    }

    /// Passes to `each` the deletions that closed since the last call, in the order of their
    /// closing entries. `log` is a later state of the same log; an error if it does not continue the
    /// log so far.
    pub(crate) fn advance<E: From<MissingRange>>(
        &mut self,
        mut log: Log,
        mut each: impl FnMut(Deletion) -> Result<(), E>,
    ) -> Result<(), E> {
        let reader = log.reader();
        let next = self.must_continue(&log, &reader)?;
        if next == log.size() {
            return Ok(());
        }
        each_entry(
            &mut log,
            next,
            |_, _| true,
            |index, entry| match self.take(&reader, index, entry)? {
                Some(closed) => each(closed),
                None => Ok(()),
            },
        )?;
        self.checkpoint = log.checkpoint().cloned();
        Ok(())
    }

    /// The first new entry; checks that the log continues the one so far.
    fn must_continue(&self, log: &Log, reader: &Reader) -> Result<u64, MissingRange> {
        let Some(old) = &self.checkpoint else {
            return Ok(0);
        };
        let Some(new) = log.checkpoint() else {
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
        if reader.root_at(old.size)? != old.root {
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
            Kind::Outcome(outcome) if !self.joiner.holds(outcome.intent) => {
                return began_before(reader, index, outcome);
            }
            Kind::Outcome(outcome) => Some(outcome.intent),
            Kind::Refused(_) => Some(index),
            _ => None,
        };
        self.joiner.push(index, entry);
        Ok(closed.and_then(|closed| self.joiner.take(closed)))
    }
}

/// The deletion of an intent that precedes the part that was followed.
fn began_before(
    reader: &Reader,
    index: u64,
    outcome: &Outcome,
) -> Result<Option<Deletion>, MissingRange> {
    let mut joiner = Joiner::default();
    let (mut at, mut end) = (outcome.intent, outcome.intent.saturating_add(1));
    while at < end.min(index) {
        let bytes = reader.entry(at)?;
        let entry = Raw { index: at, bytes }.decode()?;
        if let Kind::Intent(intent) = &entry.kind
            && at == outcome.intent
        {
            end = at.saturating_add(intent.parts.unwrap_or(1).into());
        }
        joiner.push(at, entry);
        at += 1;
    }
    Ok(joiner.take(outcome.intent).map(|mut deletion| {
        deletion.close(index, outcome.clone());
        deletion
    }))
}
