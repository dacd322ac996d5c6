//! An accepted loss: what is left of a log is moved aside, and a new one, of another name, may begin.
//!
//! In this order, so that whoever opens the trail next finishes what a crash cut off:
//! 1. `loss.moving` says what is lost, by whose word, and where the rest goes; durable first;
//! 2. all that is the log's moves into that folder (`aside`); then the record
//!    becomes `loss.moved`, and no log of another name than the new one is opened;
//! 3. with the new name's key the seen file of the old log is renamed, the new log's first entry is made of
//!    the record, and once that is durable the record goes.
//!
//! Two histories are never signed under one origin: a name that was lost is not taken again.

mod aside;
mod facts;
mod record;

use std::sync::Arc;

use super::recover::{FOLDER_MODE, LOCK_MODE};
use crate::audit::disk::{Access, Disk, File, Folder};
use crate::audit::entry::{Actor, LossAccepted};
use crate::audit::integrity::{LOCK, closed, trouble};
use crate::audit::log::verifier_key::origin_fault;
use crate::audit::{Cause, Closed, Settings};
use crate::clock::Time;
use record::{MOVED, MOVING, Record};

/// What somebody accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// Why, in the operator's words.
    pub reason: String,
    /// The new log's name.
    pub origin: String,
    /// Who.
    pub actor: Actor,
}

/// What became of what was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The folder in the audit folder that holds it.
    pub left_in: String,
    /// The lost log's name, where it is known.
    pub old_origin: Option<String>,
    /// Its newest known checkpoint, the signed note.
    pub old_checkpoint: Option<String>,
    /// Why it is not all there yet, where it is not: the next opening moves the rest.
    pub unfinished: Option<String>,
}

impl Cause {
    /// Whether a trail that is closed for it may be lost; the others end by themselves.
    #[must_use]
    pub const fn may_be_lost(self) -> bool {
        self.is_custody() || matches!(self, Self::RolledBack | Self::Damaged | Self::KeyUnusable)
    }
}

/// An acceptance that is on stable storage: whoever opens the folder next carries it out.
#[derive(Debug)]
pub(crate) struct Decided(Record);

/// Puts an acceptance on stable storage; from then on there is no way back. The caller knows that the
/// trail is closed for a cause that may be a loss; `held` is the folder whose lock it has, if it has one.
pub(crate) fn decide(
    disk: &dyn Disk,
    settings: &Settings,
    acceptance: &Acceptance,
    now: Time,
    held: Option<&Arc<dyn Folder>>,
) -> Result<Decided, Closed> {
    if let Some(fault) = origin_fault(&acceptance.origin) {
        return Err(closed(Cause::KeyUnusable, fault));
    }
    let still_there = |held: &&Arc<dyn Folder>| {
        let (known, now) = (held.identity(), disk.look(&settings.directory));
        matches!((known, now), (Ok(known), Ok(now)) if known.same_file(&now))
    };
    let (root, _lock) = match held.filter(still_there) {
        Some(held) => (Arc::clone(held), None),
        None => {
            let (root, lock) = enter(disk, settings)?;
            (root, Some(lock))
        }
    };
    let record = draw_up(disk, &root, settings, acceptance, now)?;
    aside::refuse_names_of_old(&*root, &record)?;
    record
        .write(&*root, MOVING)
        .map_err(|e| trouble(&e, "cannot write `loss.moving`"))?;
    Ok(Decided(record))
}

/// Moves what is left aside; nobody in this process holds the folder any more. The loss stays accepted
/// where that fails.
pub(crate) fn carry_out(disk: &dyn Disk, settings: &Settings, decided: Decided) -> Accepted {
    let finished = enter(disk, settings).and_then(|(root, _lock)| aside::finish(&root, &decided.0));
    let loss = decided.0.loss;
    Accepted {
        left_in: loss.left_in,
        old_origin: loss.old_origin,
        old_checkpoint: loss.old_checkpoint,
        unfinished: finished.err().map(|found| found.detail),
    }
}

/// The folder, and its lock for as long as that is open.
type Held = (Arc<dyn Folder>, Arc<dyn File>);

fn enter(disk: &dyn Disk, settings: &Settings) -> Result<Held, Closed> {
    let root = disk
        .folder(&settings.directory, Some(FOLDER_MODE))
        .map_err(|e| trouble(&e, "cannot open the trail's folder"))?;
    let lock = root
        .open(LOCK, Access::Create(LOCK_MODE))
        .map_err(|e| trouble(&e, "cannot open the lock"))?;
    if !lock
        .lock()
        .map_err(|e| trouble(&e, "cannot take the lock"))?
    {
        return Err(closed(Cause::Locked, "another process writes this trail"));
    }
    Ok((root, lock))
}

/// The record of this acceptance: where one was cut off, or its new log has not begun, the loss is
/// still that one.
fn draw_up(
    disk: &dyn Disk,
    root: &Arc<dyn Folder>,
    settings: &Settings,
    acceptance: &Acceptance,
    now: Time,
) -> Result<Record, Closed> {
    let unread = |e: std::io::Error| trouble(&e, "cannot read what was accepted before");
    let cut_off = Record::read(&**root, MOVING).map_err(unread)?;
    let not_begun = || match root.look(crate::audit::journal::FOLDER) {
        Ok(_) => Ok(None),
        Err(_) => Record::read(&**root, MOVED),
    };
    let before = match cut_off {
        Some(record) => Some(record),
        None => not_begun().map_err(unread)?,
    };
    let (old_origin, old_checkpoint, left_in) = match before.map(|record| record.loss) {
        Some(loss) => (loss.old_origin, loss.old_checkpoint, loss.left_in),
        None => {
            let (origin, checkpoint) = facts::of(disk, &**root, settings).map_err(unread)?;
            (origin, checkpoint, aside::name(now))
        }
    };
    Ok(Record {
        origin: acceptance.origin.clone(),
        loss: LossAccepted {
            accepted: now.to_string(),
            reason: acceptance.reason.clone(),
            actor: acceptance.actor,
            old_origin,
            old_checkpoint,
            left_in,
        },
    })
}

/// Finishes what a crash cut off; gives the loss that the new log must begin with, if there is one.
/// The caller holds the lock, and has not looked at anything else in the folder.
pub(crate) fn resume(
    disk: &dyn Disk,
    root: &Arc<dyn Folder>,
    settings: &Settings,
    key_origin: &str,
) -> Result<Option<LossAccepted>, Closed> {
    let unread = |e: std::io::Error| trouble(&e, "cannot read what loss was accepted");
    if let Some(record) = Record::read(&**root, MOVING).map_err(unread)? {
        aside::finish(root, &record)?;
    }
    let Some(record) = Record::read(&**root, MOVED).map_err(unread)? else {
        return Ok(None);
    };
    if record.origin != key_origin {
        let old = record.loss.old_origin.as_deref().unwrap_or("the log");
        let what = format!(
            "the loss of {old} was accepted: name origin {} and its key in the config, and restart",
            record.origin
        );
        return Err(closed(Cause::KeyUnusable, what));
    }
    aside::seen(disk, settings, &record)
        .map_err(|e| trouble(&e, "cannot rename the lost log's seen file"))?;
    Ok(Some(record.loss))
}

/// The new log's first entry is durable: the record goes.
pub(crate) fn begun(root: &dyn Folder) -> Result<(), Closed> {
    root.remove(MOVED)
        .and_then(|()| root.sync())
        .map_err(|e| trouble(&e, "cannot remove `loss.moved`"))
}

#[cfg(test)]
mod tests;
