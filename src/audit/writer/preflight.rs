//! Finds why the trail, if it is opened now, would refuse deletions. Changes no file, and holds the lock
//! only for a moment.

use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, accessat};

use super::accept_loss;
use super::open::{cannot_open, is_own_verifier, other_key, own_key, unreadable};
use super::store::SMALL_SEGMENT;
use crate::audit::disk::names::{JOURNAL, LOCK, TEMPORARY, TILES, VERIFIER};
use crate::audit::disk::{Access, Disk, Folder, RealDisk, folder_above, if_exists, read_log_file};
use crate::audit::journal::chain::Chain;
use crate::audit::log::key::Key;
use crate::audit::publish::replay_check::{ReplayCheck, begins};
use crate::audit::status::{Cause, Unavailable, closed, trouble};
use crate::audit::writer::Settings;

/// Checks whether the trail, if it is opened now, would take deletions.
///
/// # Errors
/// If not. The error has the cause and the message of the opening itself. If the cause is `locked`, the
/// log was not checked.
pub(crate) fn preflight(settings: &Settings) -> Result<(), Unavailable> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let key = own_key(settings)?;
    let at = |e| cannot_open(&settings.directory, &e);
    let Some(root) = if_exists(disk.folder(&settings.directory, None)).map_err(at)? else {
        let above = nearest(&settings.directory);
        may_write(above, "cannot open the trail's folder")?;
        has_space(&*disk.folder(above, None).map_err(at)?)?;
        return begins(&*disk, &settings.seen_file, key.verifier());
    };
    is_free(&*root)?;
    if accept_loss::is_pending(&*root, key.origin())? {
        return Ok(());
    }
    is_of_key(&*root, &key, &settings.key_file)?;
    may_write(&settings.directory, "cannot write in the trail's folder")?;
    for name in [JOURNAL, TILES, TEMPORARY, VERIFIER] {
        let path = settings.directory.join(name);
        if path.exists() {
            may_write(&path, &format!("cannot write in `{name}`"))?;
        }
    }
    has_space(&*root)?;
    replay(&disk, &root, settings, &key)
}

/// Fails if another process holds the lock.
fn is_free(root: &dyn Folder) -> Result<(), Unavailable> {
    let at = |doing| move |e| trouble(&e, doing);
    let lock = if_exists(root.open(LOCK, Access::Write)).map_err(at("cannot open the lock"))?;
    // If a gateway starts while this holds the lock, the gateway tries again within a second.
    match lock.map_or(Ok(true), |lock| lock.lock()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(accept_loss::locked(root)),
        Err(error) => Err(trouble(&error, "cannot take the lock")),
    }
}

fn is_of_key(root: &dyn Folder, key: &Key, key_file: &Path) -> Result<(), Unavailable> {
    let found = read_log_file(root, VERIFIER);
    let found = found.map_err(|e| trouble(&e, "cannot read or write `verifier`"))?;
    let line = format!("{}\n", key.verifier());
    match found.is_none_or(|found| is_own_verifier(&found, &line, false)) {
        true => Ok(()),
        false => Err(other_key(root, key, key_file)),
    }
}

fn has_space(folder: &dyn Folder) -> Result<(), Unavailable> {
    match folder.free_bytes() {
        Ok(free) if free < SMALL_SEGMENT => {
            let what = format!("cannot make a segment: {free} bytes are free");
            Err(closed(Cause::DiskFull, what))
        }
        _ => Ok(()),
    }
}

/// Follows the journal as an opening does, and compares it with the folder's checkpoint and the seen
/// file.
fn replay(
    disk: &Arc<dyn Disk>,
    root: &Arc<dyn Folder>,
    settings: &Settings,
    key: &Key,
) -> Result<(), Unavailable> {
    let mut check = ReplayCheck::open(&**disk, root, &settings.seen_file, key.verifier())?;
    let journal = if_exists(root.folder(JOURNAL, None));
    let journal = journal.map_err(|e| trouble(&e, "cannot open the journal"))?;
    if let Some(journal) = journal {
        let mut chain = Chain::new(journal, Some(key), None).map_err(|e| unreadable(&e))?;
        check.begin(chain.last.next_index)?;
        while let Some(batch) = chain.next_batch().map_err(|e| unreadable(&e))? {
            for entry in &batch.entries {
                check.push(entry)?;
            }
        }
    }
    check.finish()
}

/// The folder if it exists, or else its nearest ancestor that exists.
pub(crate) fn nearest(folder: &Path) -> &Path {
    let mut nearest = folder;
    while !nearest.exists() && nearest != folder_above(nearest) {
        nearest = folder_above(nearest);
    }
    nearest
}

fn may_write(path: &Path, doing: &str) -> Result<(), Unavailable> {
    let mut access = rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK;
    if path.is_dir() {
        access |= rustix::fs::Access::EXEC_OK;
    }
    // Checks the rights of the effective user, because an opening uses those.
    accessat(CWD, path, access, AtFlags::EACCESS).map_err(|e| trouble(&e.into(), doing))
}
