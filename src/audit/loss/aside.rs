//! Moves what is left of a log aside.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use super::facts;
use super::record::{MOVED, MOVING, NEW, Record, read_whole};
use crate::audit::custody::{LOCK, closed, trouble};
use crate::audit::disk::{Disk, Folder};
use crate::audit::note::MAX_NOTE_BYTES;
use crate::audit::recover::FOLDER_MODE;
use crate::audit::{Cause, Closed, Settings};
use crate::clock::Time;

/// How the folders of lost logs begin.
const LOST: &str = "lost-";
/// The record, beside what is left.
const STORY: &str = "loss.json";
/// What stays where it is: the lock, the ways in, and the records.
const STAYS: [&str; 6] = [LOCK, "control.sock", "control.sock.new", MOVING, MOVED, NEW];

/// The folder for what is left of a log that is lost now.
pub(super) fn name(now: Time) -> String {
    let time = now.to_string().replace([':', '-'], "");
    format!("{LOST}{time}")
}

/// Moves all that has not moved yet; then the record says that it has.
pub(super) fn finish(root: &Arc<dyn Folder>, record: &Record) -> Result<(), Closed> {
    let at = |e: std::io::Error| trouble(&e, "cannot move what is left of the log aside");
    let left_in = &record.loss.left_in;
    if !left_in.starts_with(LOST) || left_in.contains('/') {
        let what = format!("`{MOVING}` names {left_in:?}, which is no folder for a lost log");
        return Err(closed(Cause::Damaged, what));
    }
    let aside = root.folder(left_in, Some(FOLDER_MODE)).map_err(at)?;
    let is_left = |name: &&String| !STAYS.contains(&name.as_str()) && !name.starts_with(LOST);
    for name in root.list().map_err(at)?.iter().filter(is_left) {
        root.move_into(name, &*aside, name).map_err(at)?;
    }
    // First where they are now, then where they were: no moment has them nowhere.
    aside.sync().and_then(|()| root.sync()).map_err(at)?;
    // For whoever finds the folder, and in case the new log is lost as well before it begins.
    record.write(&*aside, STORY).map_err(at)?;
    root.rename(MOVING, MOVED)
        .and_then(|()| root.sync())
        .map_err(at)
}

/// Renames the seen file of a log that is lost. Only whoever opens the new log, by a config and a key for
/// it, may do so: while the old log's config is in force, that file is what keeps a second history of
/// its name from being begun. Where it cannot be, opening finds it and says so.
pub(super) fn seen(disk: &dyn Disk, settings: &Settings, record: &Record) {
    let Some((folder, name)) = parted(&settings.seen_file) else {
        return;
    };
    let Ok(folder) = disk.folder(folder, None) else {
        return;
    };
    let found = read_whole(&*folder, &name, MAX_NOTE_BYTES).ok().flatten();
    let of_the_new_log =
        |bytes: &[u8]| bytes.starts_with(format!("{}\n", record.origin).as_bytes());
    if found.is_some_and(|bytes| !of_the_new_log(&bytes)) {
        let aside = format!("{name}.{}", record.loss.left_in);
        let _ = folder.rename(&name, &aside).and_then(|()| folder.sync());
    }
}

/// A name that was lost, now or before, is not taken again.
pub(super) fn refuse_names_of_old(root: &dyn Folder, record: &Record) -> Result<(), Closed> {
    let names = root
        .list()
        .map_err(|e| trouble(&e, "cannot list the trail's folder"))?;
    let lost = names.iter().filter(|name| name.starts_with(LOST));
    let folders = lost.filter_map(|name| root.folder(name, None).ok());
    let mut origins = folders
        .filter_map(|folder| facts::verifier(&*folder))
        .map(|key| key.origin().to_owned())
        .chain(record.loss.old_origin.clone());
    if origins.any(|origin| origin == record.origin) {
        let what = format!(
            "{} is the name of a log that is lost: two histories are never signed under one origin",
            record.origin
        );
        return Err(closed(Cause::KeyUnusable, what));
    }
    Ok(())
}

/// A file's folder and its name.
pub(super) fn parted(path: &Path) -> Option<(&Path, String)> {
    let name = path.file_name().and_then(OsStr::to_str)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    Some((folder.unwrap_or(Path::new(".")), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_lost_log_says_when() {
        let time = Time::parse("2026-11-24T23:30:45.000001Z").unwrap();
        assert_eq!(name(time), "lost-20261124T233045.000001Z");
    }

    #[test]
    fn a_file_has_a_folder_and_a_name() {
        let of = |path: &'static str| parted(Path::new(path)).map(|(f, n)| (f.to_owned(), n));
        assert_eq!(of("/a/b"), Some(("/a".into(), "b".into())));
        assert_eq!(of("b"), Some((".".into(), "b".into())));
        assert_eq!(of("/"), None);
    }
}
