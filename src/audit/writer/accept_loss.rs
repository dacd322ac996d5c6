//! `audit accept-loss`: abandons a log that cannot be opened, so that a log with a new name can begin.
//! It works offline, under the trail's lock. Each step is durable before the next:
//!
//! 1. decide: `loss.moving` records the lost log, the operator and the quarantine folder;
//! 2. quarantine: all files of the old log move into the quarantine folder, then the record becomes
//!    `loss.moved`;
//! 3. begin: with the new key, an opening renames the old seen file and makes the record the new log's
//!    first entry;
//! 4. report: [`Accepted`] names the quarantine folder and any unfinished step.
//!
//! After a crash, the next opening of the trail finishes steps 2 and 3. Lychgate never signs two
//! histories under one origin, so no new log gets the name of a lost log.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::audit::disk::names::{
    CHECKPOINT, FOLDER_MODE, JOURNAL, LOCK, LOCK_MODE, LOSS_MOVED, LOSS_MOVING, LOSS_NEW,
    LOSS_STORY, LOST, VERIFIER, is_of_the_log,
};
use crate::audit::disk::{
    Access, Disk, File, Folder, if_exists, is_lack, is_no_file_of_a_log, read_log_file, replace,
};
use crate::audit::entry::{Actor, LossAccepted};
use crate::audit::integrity::published_log::{PublishedLogCheck, ROOT};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::{Key, VerifierKey, origin_fault};
use crate::audit::publish::folder_of;
use crate::audit::status::{Cause, Unavailable, closed, trouble};
use crate::audit::writer::Settings;
use crate::clock::Time;

/// The length of the longest checkpoint that an entry has room for. Our checkpoints have one signature
/// and are far shorter.
const MAX_CHECKPOINT_BYTES: usize = 4_096;

/// The operator's decision to accept the loss of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The reason, in the operator's words.
    pub reason: String,
    /// The new log's name.
    pub origin: String,
    /// The operator.
    pub actor: Actor,
}

/// The result of an accepted loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The quarantine folder, which holds the old log. It is in the audit folder.
    pub left_in: String,
    /// The old log's name, if known.
    pub old_origin: Option<String>,
    /// The old log's newest known checkpoint: the signed note.
    pub old_checkpoint: Option<String>,
    /// Whether the seen file knows the old log. If not, a newer checkpoint may exist.
    pub is_seen: bool,
    /// Why some files are still to be moved; `None` if all are moved. The next opening moves the rest.
    pub unfinished: Option<String>,
}

/// Why the loss is not accepted. The log keeps its name and its records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// The log can be opened.
    #[error("deletions are taken, and nothing is lost")]
    NothingIsLost,
    /// The log that opens has the new name already.
    #[error(
        "the config names {0} already, and its log takes deletions: if its first entry is no `loss_accepted`, nothing can record the loss any more; keep the seen file and the checkpoints of the log before it"
    )]
    HasBegun(String),
    /// The folder is missing or empty, and so is the seen file.
    #[error(
        "{} holds no log, and the seen file {} does not exist, so nothing is known of a lost log; if `key_file` or `seen_file` in [audit] changed since, set the old one, run this command again, then set the new one",
        .directory.display(), .seen_file.display()
    )]
    NoLog {
        /// The audit folder.
        directory: PathBuf,
        /// The seen file.
        seen_file: PathBuf,
    },
    /// Another process holds the lock. The value is the process id, if the lock file names one.
    #[error(
        "{} holds the trail's lock: stop the gateway, run this command again, then start the gateway with the new origin",
        .0.map_or("another process".into(), |pid| format!("process {pid}"))
    )]
    Held(Option<u32>),
    /// The log is closed for a cause that ends by itself, the new name is refused, or the disk failed.
    #[error("{}: {}", .0.cause.as_str(), .0.detail)]
    Unavailable(Unavailable),
}

/// Fails if there is no trace of a log: to open the folder would begin one under the config's name.
pub(crate) fn must_have_log(disk: &dyn Disk, settings: &Settings) -> Result<(), NotAccepted> {
    // A file that cannot be read counts as there: opening the log then reports the error.
    let is_there = |look: io::Result<()>| !matches!(if_exists(look), Ok(None));
    let in_folder = |name: &str| {
        let root = disk.folder(&settings.directory, None);
        is_there(root.and_then(|root| root.look(name).map(|_| ())))
    };
    let traces = [VERIFIER, JOURNAL, CHECKPOINT, LOSS_MOVING, LOSS_MOVED];
    let seen = folder_of(disk, &settings.seen_file);
    let seen = seen.and_then(|(folder, name)| folder.look(&name).map(|_| ()));
    if traces.into_iter().any(in_folder) || is_there(seen) {
        return Ok(());
    }
    Err(NotAccepted::NoLog {
        directory: settings.directory.clone(),
        seen_file: settings.seen_file.clone(),
    })
}

/// The fault of the published files, if there is one. An opening reads only the published files that the
/// journal covers; only the scrub would find a fault in the others.
pub(crate) fn published_fault(disk: &dyn Disk, settings: &Settings) -> Option<Unavailable> {
    let key = Arc::new(Key::read(&settings.key_file).ok()?);
    let root = disk.folder(&settings.directory, None).ok()?;
    // A new log has no checkpoint yet.
    root.look(CHECKPOINT).ok()?;
    let mut check = PublishedLogCheck::new(&root, &key);
    loop {
        match check.next() {
            Ok(ROOT) => return None,
            Ok(_) => {}
            Err(wrong) => return Some(wrong.found),
        }
    }
}

/// Abandons the log in the folder. `found` is the cause that keeps the log closed, or `None` if the log
/// opens.
pub(crate) fn accept(
    disk: &dyn Disk,
    settings: &Settings,
    acceptance: &Acceptance,
    found: Option<Unavailable>,
    now: Time,
) -> Result<Accepted, NotAccepted> {
    let refused = |closed: Unavailable| match closed.cause {
        Cause::Locked => NotAccepted::Held(lock_holder(disk, settings)),
        _ => NotAccepted::Unavailable(closed),
    };
    match found {
        None if settings.origin == acceptance.origin => {
            return Err(NotAccepted::HasBegun(settings.origin.clone()));
        }
        None => return Err(NotAccepted::NothingIsLost),
        Some(found) if !found.cause.may_be_lost() => return Err(refused(found)),
        Some(_) => {}
    }
    let (root, _lock) = enter(disk, settings).map_err(refused)?;
    let record = decide(disk, &*root, settings, acceptance, now).map_err(refused)?;
    let unfinished = quarantine(&root, &record).err();
    let loss = record.loss;
    Ok(Accepted {
        is_seen: is_seen(disk, settings, loss.old_origin.as_deref()),
        left_in: loss.left_in,
        old_origin: loss.old_origin,
        old_checkpoint: loss.old_checkpoint,
        unfinished: unfinished.map(|found| found.detail),
    })
}

impl Cause {
    /// Whether a log that is closed for this cause may be lost; other causes end by themselves.
    pub(crate) const fn may_be_lost(self) -> bool {
        self.is_integrity() || matches!(self, Self::RolledBack | Self::Damaged | Self::KeyUnusable)
    }
}

/// The folder and its lock file. The lock is held while the lock file is open.
type Held = (Arc<dyn Folder>, Arc<dyn File>);

fn enter(disk: &dyn Disk, settings: &Settings) -> Result<Held, Unavailable> {
    let root = disk
        .folder(&settings.directory, Some(FOLDER_MODE))
        .map_err(|e| trouble(&e, "cannot open the trail's folder"))?;
    let lock = root
        .open(LOCK, Access::Create(LOCK_MODE))
        .map_err(|e| trouble(&e, "cannot open the lock"))?;
    match lock.lock() {
        Ok(true) => Ok((root, lock)),
        Ok(false) => Err(locked(&*root)),
        Err(error) => Err(trouble(&error, "cannot take the lock")),
    }
}

/// The process id in the lock file. The writer writes its id there once it holds the lock.
pub(crate) fn lock_holder(disk: &dyn Disk, settings: &Settings) -> Option<u32> {
    let root = disk.folder(&settings.directory, None).ok()?;
    lock_holder_in(&*root)
}

/// The error if another process holds the lock.
pub(super) fn locked(root: &dyn Folder) -> Unavailable {
    // If the folder is a copy, its lock file may name this process, which wrote the original.
    let holder = lock_holder_in(root).filter(|pid| *pid != std::process::id());
    let holder = holder.map_or_else(|| "another process".into(), |pid| format!("process {pid}"));
    closed(Cause::Locked, format!("{holder} writes this trail"))
}

fn lock_holder_in(root: &dyn Folder) -> Option<u32> {
    let line = String::from_utf8(read_log_file(root, LOCK).ok()??).ok()?;
    line.split(' ').next()?.parse().ok()
}

/// Step 1: makes the decision durable. From then on, only a log with the new name can open here.
fn decide(
    disk: &dyn Disk,
    root: &dyn Folder,
    settings: &Settings,
    acceptance: &Acceptance,
    now: Time,
) -> Result<Record, Unavailable> {
    if let Some(fault) = origin_fault(&acceptance.origin) {
        return Err(closed(Cause::KeyUnusable, fault));
    }
    let unread = |e: io::Error| trouble(&e, "cannot read what was accepted before");
    let (old_origin, old_checkpoint, left_in) = match unfinished_loss(root).map_err(unread)? {
        Some(loss) => (loss.old_origin, loss.old_checkpoint, loss.left_in),
        None => {
            let (origin, checkpoint) = known_of_old(disk, root, settings).map_err(unread)?;
            (origin, checkpoint, quarantine_name(now))
        }
    };
    let record = Record {
        origin: acceptance.origin.clone(),
        loss: LossAccepted {
            accepted: now.to_string(),
            reason: acceptance.reason.clone(),
            actor: acceptance.actor,
            old_origin,
            old_checkpoint,
            left_in,
        },
    };
    refuse_lost_names(root, &record)?;
    let unwritten = |e: io::Error| trouble(&e, "cannot write `loss.moving`");
    record.write(root, LOSS_MOVING).map_err(unwritten)?;
    Ok(record)
}

/// The loss that was accepted before, if its new log has not begun. The present acceptance is about the
/// same loss.
fn unfinished_loss(root: &dyn Folder) -> io::Result<Option<LossAccepted>> {
    let mut record = Record::read(root, LOSS_MOVING)?;
    if record.is_none() && root.look(JOURNAL).is_err() {
        record = Record::read(root, LOSS_MOVED)?;
    }
    Ok(record.map(|record| record.loss))
}

/// The old log's name and its newest checkpoint. Each is `None` if no readable file holds it.
fn known_of_old(
    disk: &dyn Disk,
    root: &dyn Folder,
    settings: &Settings,
) -> io::Result<(Option<String>, Option<String>)> {
    let own = known(verifier(root))?;
    let key = Key::read(&settings.key_file).ok();
    let keys: Vec<_> = own
        .into_iter()
        .chain(key.map(|key| key.verifier().clone()))
        .collect();
    let seen = known(seen(disk, settings))?;
    let published = known(read_log_file(root, CHECKPOINT))?;
    let newest = [seen, published]
        .into_iter()
        .flatten()
        .filter_map(|bytes| ranked(bytes, &keys))
        .max_by_key(|(rank, _)| *rank);
    let origin = keys.first().map(|key| key.origin().to_owned());
    Ok((origin, newest.map(|(_, text)| text)))
}

/// The seen file's content.
fn seen(disk: &dyn Disk, settings: &Settings) -> io::Result<Option<Vec<u8>>> {
    let (folder, name) = folder_of(disk, &settings.seen_file)?;
    read_log_file(&*folder, &name)
}

/// Whether the seen file is that of the old log.
fn is_seen(disk: &dyn Disk, settings: &Settings, old_origin: Option<&str>) -> bool {
    let seen = seen(disk, settings).ok().flatten();
    let (Some(seen), Some(old)) = (seen, old_origin) else {
        return false;
    };
    seen.starts_with(format!("{old}\n").as_bytes())
}

/// Treats an unreadable file as missing, because the loss may be that very file. Fails only on a lack of
/// descriptors or memory.
fn known<T>(read: io::Result<Option<T>>) -> io::Result<Option<T>> {
    match read {
        Err(error) if is_lack(&error) => Err(error),
        read => Ok(read.ok().flatten()),
    }
}

/// The public key in a folder, if it holds one.
fn verifier(folder: &dyn Folder) -> io::Result<Option<VerifierKey>> {
    let bytes = read_log_file(folder, VERIFIER)?;
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(text.and_then(|text| VerifierKey::parse(&text).ok()))
}

/// A checkpoint's text and its rank. A right signature counts first, then the size.
fn ranked(bytes: Vec<u8>, keys: &[VerifierKey]) -> Option<((bool, u64), String)> {
    let size = Checkpoint::unverified(&bytes).ok()?.size;
    let genuine = keys.iter().any(|key| Checkpoint::open(&bytes, key).is_ok());
    let text = String::from_utf8(bytes).ok()?;
    (text.len() <= MAX_CHECKPOINT_BYTES).then_some(((genuine, size), text))
}

/// Refuses a new name that a lost log has: the log that is lost now, or an earlier one.
fn refuse_lost_names(root: &dyn Folder, record: &Record) -> Result<(), Unavailable> {
    let unread = |e: io::Error| trouble(&e, "cannot look for names of lost logs");
    let mut lost: Vec<String> = record.loss.old_origin.clone().into_iter().collect();
    let names = root.list().map_err(unread)?;
    for name in names.iter().filter(|name| name.starts_with(LOST)) {
        let key = root.folder(name, None);
        let key = known(key.and_then(|folder| verifier(&*folder))).map_err(unread)?;
        lost.extend(key.map(|key| key.origin().to_owned()));
    }
    if lost.contains(&record.origin) {
        let what = format!(
            "{} is the name of a log that is lost: two histories are never signed under one origin",
            record.origin
        );
        return Err(closed(Cause::KeyUnusable, what));
    }
    Ok(())
}

/// The name of the quarantine folder of a log that is lost now.
fn quarantine_name(now: Time) -> String {
    let time = now.to_string().replace([':', '-'], "");
    format!("{LOST}{time}")
}

/// Step 2: moves the remaining files of the log to the quarantine folder, and leaves the files of other
/// programs. Then renames the record to `loss.moved`.
fn quarantine(root: &Arc<dyn Folder>, record: &Record) -> Result<(), Unavailable> {
    let at = |e: io::Error| trouble(&e, "cannot move what is left of the log aside");
    let left_in = &record.loss.left_in;
    if !left_in.starts_with(LOST) || left_in.contains('/') {
        let what = format!("`{LOSS_MOVING}` names {left_in:?}, which is no folder for a lost log");
        return Err(closed(Cause::Damaged, what));
    }
    let aside = root.folder(left_in, Some(FOLDER_MODE)).map_err(at)?;
    let names = root.list().map_err(at)?;
    for name in names.iter().filter(|name| is_of_the_log(name)) {
        root.move_into(name, &*aside, name).map_err(at)?;
    }
    // Syncs the quarantine folder first, so that after a power loss each file is in one of the two
    // folders.
    aside.sync().and_then(|()| root.sync()).map_err(at)?;
    // This copy explains the quarantine folder to a reader, even if the new log is lost before it
    // begins.
    record.write(&*aside, LOSS_STORY).map_err(at)?;
    root.rename(LOSS_MOVING, LOSS_MOVED)
        .and_then(|()| root.sync())
        .map_err(at)
}

/// Step 3, at an opening: if a loss was accepted, finishes step 2 and returns the loss for the new log's
/// first entry. The caller holds the lock and has read nothing else in the folder.
pub(crate) fn resume(
    disk: &dyn Disk,
    root: &Arc<dyn Folder>,
    settings: &Settings,
    key_origin: &str,
) -> Result<Option<LossAccepted>, Unavailable> {
    let unread = |e: io::Error| trouble(&e, "cannot read what loss was accepted");
    if let Some(record) = Record::read(&**root, LOSS_MOVING).map_err(unread)? {
        quarantine(root, &record)?;
    }
    let Some(record) = Record::read(&**root, LOSS_MOVED).map_err(unread)? else {
        return Ok(None);
    };
    record.is_for(key_origin)?;
    rename_seen_file(disk, settings, &record)
        .map_err(|e| trouble(&e, "cannot rename the lost log's seen file"))?;
    Ok(Some(record.loss))
}

/// Whether the opening begins a new log after an accepted loss.
pub(super) fn is_pending(root: &dyn Folder, key_origin: &str) -> Result<bool, Unavailable> {
    let unread = |e: io::Error| trouble(&e, "cannot read what loss was accepted");
    for name in [LOSS_MOVING, LOSS_MOVED] {
        if let Some(record) = Record::read(root, name).map_err(unread)? {
            return record.is_for(key_origin).map(|()| true);
        }
    }
    Ok(false)
}

/// Renames the old log's seen file. Only an opening with the new key may rename the file: with the old
/// key, the file prevents a second history under the old name. If no readable file is there, this does
/// nothing, and the opening handles that.
fn rename_seen_file(disk: &dyn Disk, settings: &Settings, record: &Record) -> io::Result<()> {
    let read = folder_of(disk, &settings.seen_file).and_then(|(folder, name)| {
        let bytes = read_log_file(&*folder, &name)?;
        Ok((folder, name, bytes))
    });
    let (folder, name, found) = match read {
        Ok(found) => found,
        Err(error) if cannot_be_a_seen_file(error.kind()) => return Ok(()),
        Err(error) => return Err(error),
    };
    let new = format!("{}\n", record.origin);
    if found.is_some_and(|bytes| !bytes.starts_with(new.as_bytes())) {
        let aside = format!("{name}.{}", record.loss.left_in);
        folder.rename(&name, &aside)?;
        folder.sync()?;
    }
    Ok(())
}

fn cannot_be_a_seen_file(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{InvalidFilename, NotFound, PermissionDenied};
    matches!(kind, InvalidFilename | NotFound | PermissionDenied) || is_no_file_of_a_log(kind)
}

/// Ends step 3: removes `loss.moved`, because the new log's first entry now holds the record durably.
pub(crate) fn begun(root: &dyn Folder) -> Result<(), Unavailable> {
    root.remove(LOSS_MOVED)
        .and_then(|()| root.sync())
        .map_err(|e| trouble(&e, "cannot remove `loss.moved`"))
}

/// The record of an accepted loss. A file holds the record until the new log does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// The new log's name.
    origin: String,
    /// The content of the new log's first entry.
    loss: LossAccepted,
}

impl Record {
    /// Reads the record from the file of this name; `None` if there is no such file.
    fn read(root: &dyn Folder, name: &str) -> io::Result<Option<Self>> {
        let Some(bytes) = read_log_file(root, name)? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{name}: {error}")))
    }

    /// Fails if the new log's name is not the origin of this key.
    fn is_for(&self, key_origin: &str) -> Result<(), Unavailable> {
        if self.origin == key_origin {
            return Ok(());
        }
        let old = self.loss.old_origin.as_deref().unwrap_or("the log");
        let what = format!(
            "the loss of {old} was accepted: name origin {} and its key in the config, and restart",
            self.origin
        );
        Err(closed(Cause::KeyUnusable, what))
    }

    /// Writes the record durably under this name.
    fn write(&self, root: &dyn Folder, name: &str) -> io::Result<()> {
        replace(root, LOSS_NEW, name, &serde_json::to_vec(self)?)
    }
}

#[cfg(test)]
mod tests;
