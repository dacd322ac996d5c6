//! The names that Lychgate uses in the audit folder. A file with any other name belongs to another
//! program: Lychgate ignores it and never reports it as a fault.

pub(crate) const LOCK: &str = "lock";
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// The file with the public key.
pub(crate) const VERIFIER: &str = "verifier";
/// The folder of journal segments.
pub(crate) const JOURNAL: &str = "journal";
/// The folder of files that are not at their final place yet.
pub(crate) const TEMPORARY: &str = "tmp";
/// The folder of tiles and bundles.
pub(crate) const TILES: &str = "tile";
/// The prefix of the folders of abandoned logs.
pub(crate) const LOST: &str = "lost-";
/// The file that keeps disk space in reserve.
pub(crate) const RESERVE: &str = "reserve";
pub(crate) const SOCKET: &str = "control.sock";
/// The control socket before its rename to [`SOCKET`].
pub(crate) const SOCKET_NEW: &str = "control.sock.new";
/// The record of an accepted loss while files are still being moved.
pub(crate) const LOSS_MOVING: &str = "loss.moving";
/// The same record after the last move.
pub(crate) const LOSS_MOVED: &str = "loss.moved";
/// The same record before it is durable.
pub(crate) const LOSS_NEW: &str = "loss.new";
/// The same record in the folder of the abandoned log.
pub(crate) const LOSS_STORY: &str = "loss.json";
/// In the journal: the file that gives the first segment after pruning.
pub(crate) const FLOOR: &str = "floor";
/// In the journal: [`FLOOR`] before it is durable.
pub(crate) const FLOOR_NEW: &str = "floor.new";
/// In the journal: a spare segment that has no number yet.
pub(crate) const SPARE: &str = "spare";
/// In the journal: a segment that the writer creates itself because no spare is ready.
pub(crate) const NEXT: &str = "next";
pub(crate) const FOLDER_MODE: u32 = 0o750;
pub(crate) const LOCK_MODE: u32 = 0o600;
/// The mode of all other files.
pub(crate) const FILE_MODE: u32 = 0o640;
/// The parts of a log, which `accept-loss` moves to the quarantine folder.
const OF_THE_LOG: [&str; 6] = [CHECKPOINT, VERIFIER, JOURNAL, TILES, TEMPORARY, RESERVE];
/// Lychgate's other files in the audit folder.
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

/// The number of a segment; `None` if the name is not a segment's.
pub(crate) fn segment_number(text: &str) -> Option<u64> {
    let number = text.parse().ok().filter(|n| *n > 0)?;
    (segment_name(number) == text).then_some(number)
}

/// Whether this name in the audit folder is a part of the log.
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

/// Whether Lychgate uses this name in [`TEMPORARY`].
pub(crate) fn is_own_temporary(name: &str) -> bool {
    name == CHECKPOINT || is_number(name)
}

/// Whether the name consists of digits, as in [`TEMPORARY`] and in the folders of partial tiles.
pub(crate) fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}
