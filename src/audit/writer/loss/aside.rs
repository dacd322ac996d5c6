//! Moves what is left of a log aside.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::facts;
use super::record::{MOVED, MOVING, Record, read_whole};
use crate::audit::disk::names::{LOSS_STORY as STORY, LOST, is_of_the_log};
use crate::audit::disk::{Disk, Folder, is_no_file_of_a_log};
use crate::audit::integrity::{closed, trouble};
use crate::audit::log::note::MAX_NOTE_BYTES;
use crate::audit::writer::recover::FOLDER_MODE;
use crate::audit::{Cause, Closed, Settings};
use crate::clock::Time;

/// The folder for what is left of a log that is lost now.
pub(super) fn name(now: Time) -> String {
    let time = now.to_string().replace([':', '-'], "");
    format!("{LOST}{time}")
}

/// Moves all of the log that has not moved yet, and no file of another program; then the record says that
/// it has.
pub(super) fn finish(root: &Arc<dyn Folder>, record: &Record) -> Result<(), Closed> {
    let at = |e: io::Error| trouble(&e, "cannot move what is left of the log aside");
    let left_in = &record.loss.left_in;
    if !left_in.starts_with(LOST) || left_in.contains('/') {
        let what = format!("`{MOVING}` names {left_in:?}, which is no folder for a lost log");
        return Err(closed(Cause::Damaged, what));
    }
    let aside = root.folder(left_in, Some(FOLDER_MODE)).map_err(at)?;
    let names = root.list().map_err(at)?;
    for name in names.iter().filter(|name| is_of_the_log(name)) {
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
/// its name from being begun. One that is not there, not ours to
/// read or no such file is left to opening, which says so.
pub(super) fn seen(disk: &dyn Disk, settings: &Settings, record: &Record) -> io::Result<()> {
    let Some((folder, name)) = parted(&settings.seen_file) else {
        return Ok(());
    };
    let read = disk.folder(folder, None).and_then(|folder| {
        let bytes = read_whole(&*folder, &name, MAX_NOTE_BYTES)?;
        Ok((folder, bytes))
    });
    let (folder, found) = match read {
        Ok(found) => found,
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => return Ok(()),
            // Nor is what no checkpoint can be.
            kind if is_no_file_of_a_log(kind) => return Ok(()),
            _ => return Err(error),
        },
    };
    let of_the_new_log =
        |bytes: &[u8]| bytes.starts_with(format!("{}\n", record.origin).as_bytes());
    if found.is_some_and(|bytes| !of_the_new_log(&bytes)) {
        let aside = format!("{name}.{}", record.loss.left_in);
        folder.rename(&name, &aside)?;
        folder.sync()?;
    }
    Ok(())
}

/// A name that was lost, now or before, is not taken again.
pub(super) fn refuse_names_of_old(root: &dyn Folder, record: &Record) -> Result<(), Closed> {
    let unread = |e: io::Error| trouble(&e, "cannot look for names of lost logs");
    let names = root.list().map_err(unread)?;
    let mut keys = Vec::new();
    for name in names.iter().filter(|name| name.starts_with(LOST)) {
        let key = root.folder(name, None);
        let key = key.and_then(|folder| facts::verifier(&*folder));
        keys.extend(facts::known(key).map_err(unread)?);
    }
    let mut origins = keys
        .iter()
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
    use crate::audit::disk::RealDisk;
    use crate::audit::entry::{Actor, LossAccepted};
    use crate::audit::test_folder;

    #[test]
    fn files_of_other_programs_stay_where_they_are() {
        let outer = test_folder("aside");
        let path = |name: &str| outer.path().join(name);
        for name in ["checkpoint", "verifier", ".DS_Store"] {
            std::fs::write(path(name), name).unwrap();
        }
        std::fs::create_dir(path("lost+found")).unwrap();
        let root = RealDisk.folder(outer.path(), None).unwrap();
        let record = Record {
            origin: "lychgate.test/new".into(),
            loss: LossAccepted {
                accepted: "2026-11-24T23:30:45.000001Z".into(),
                reason: "the disk is gone".into(),
                actor: Actor { uid: 7 },
                old_origin: None,
                old_checkpoint: None,
                left_in: "lost-1".into(),
            },
        };
        record.write(&*root, MOVING).unwrap();
        finish(&root, &record).unwrap();
        assert!(path("lost-1/checkpoint").exists() && path("lost-1/verifier").exists());
        assert!(path(".DS_Store").exists() && path("lost+found").exists());
        assert!(!path("checkpoint").exists());
    }

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
