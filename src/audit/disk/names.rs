//! The names that Lychgate uses in the audit folder. A file with any other name belongs to another
//! program: Lychgate ignores it and never reports it as a fault.

pub(crate) const LOCK: &str = "lock";
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// The file with the public key.
pub(crate) const VERIFIER: &str = "verifier";
/// The folder of journal segments.
pub(crate) const JOURNAL: &str = "journal";
/// The folder for new files that Lychgate has not yet moved to their final path.
pub(crate) const TEMPORARY: &str = "tmp";
/// The folder of tiles and bundles.
pub(crate) const TILES: &str = "tile";
/// The prefix of the name of each quarantine folder. `accept-loss` moves the files of a lost log there.
pub(crate) const LOST: &str = "lost-";
/// The reserve: a file that occupies disk space until the writer needs the space.
pub(crate) const RESERVE: &str = "reserve";
pub(crate) const SOCKET: &str = "control.sock";
/// The control socket before Lychgate renames it to [`SOCKET`].
pub(crate) const SOCKET_NEW: &str = "control.sock.new";
/// The record of an accepted loss, while `accept-loss` moves the files of the lost log.
pub(crate) const LOSS_MOVING: &str = "loss.moving";
/// The record of an accepted loss, after `accept-loss` has moved the last file.
pub(crate) const LOSS_MOVED: &str = "loss.moved";
/// The record of an accepted loss, before the record is durable.
pub(crate) const LOSS_NEW: &str = "loss.new";
/// The record of an accepted loss, in the quarantine folder.
pub(crate) const LOSS_STORY: &str = "loss.json";
/// In the journal: the file that names the first segment of a pruned journal.
pub(crate) const FLOOR: &str = "floor";
/// In the journal: the name of [`FLOOR`] before that file is durable.
pub(crate) const FLOOR_NEW: &str = "floor.new";
/// In the journal: a spare segment before it gets a number.
pub(crate) const SPARE: &str = "spare";
/// In the journal: a segment that the writer makes because no spare is ready or long enough. This is the
/// segment's name before the segment gets a number.
pub(crate) const NEXT: &str = "next";
pub(crate) const FOLDER_MODE: u32 = 0o750;
pub(crate) const LOCK_MODE: u32 = 0o600;
/// The mode of all files except the lock.
pub(crate) const FILE_MODE: u32 = 0o640;
/// The files and folders of a log. `accept-loss` moves them to the quarantine folder.
const OF_THE_LOG: [&str; 6] = [CHECKPOINT, VERIFIER, JOURNAL, TILES, TEMPORARY, RESERVE];
/// Lychgate's files in the audit folder that are not part of the log.
const BESIDE: [&str; 7] = [
    LOCK,
    SOCKET,
    SOCKET_NEW,
    LOSS_MOVING,
    LOSS_MOVED,
    LOSS_NEW,
    LOSS_STORY,
];

pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:010}")
}

/// The number in a segment's name; `None` if this is not the name of a segment.
pub(crate) fn segment_number(text: &str) -> Option<u64> {
    let number = text.parse().ok().filter(|n| *n > 0)?;
    (segment_name(number) == text).then_some(number)
}

/// Whether the file or folder of this name in the audit folder is part of the log.
pub(crate) fn is_of_the_log(name: &str) -> bool {
    OF_THE_LOG.contains(&name)
}

/// Whether Lychgate uses this name in the audit folder.
pub(crate) fn is_own(name: &str) -> bool {
    is_of_the_log(name) || BESIDE.contains(&name) || name.starts_with(LOST)
}

/// Whether Lychgate uses this name in the journal folder.
pub(crate) fn is_own_in_journal(name: &str) -> bool {
    segment_number(name).is_some() || [FLOOR, FLOOR_NEW, SPARE, NEXT].contains(&name)
}

/// Whether Lychgate uses this name in the folder [`TEMPORARY`].
pub(crate) fn is_own_temporary(name: &str) -> bool {
    name == CHECKPOINT || is_number(name)
}

/// Whether the name consists of digits. New files in [`TEMPORARY`] and partial tiles have such names.
pub(crate) fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}
