//! The names that Lychgate gives in the audit folder. What has another name is another program's: it is
//! left alone, and never a fault.

/// The name of the lock file.
pub(crate) const LOCK: &str = "lock";
/// The name of the checkpoint in the log's folder.
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// The name of the file with the public key.
pub(crate) const VERIFIER: &str = "verifier";
/// The name of the folder that holds the segments.
pub(crate) const JOURNAL: &str = "journal";
/// The folder of files that are not at their places yet.
pub(crate) const PASSING: &str = "tmp";
/// The folder of tiles and bundles.
pub(crate) const TILES: &str = "tile";
/// How the folders of lost logs begin.
pub(crate) const LOST: &str = "lost-";
/// The space that is kept in reserve.
pub(crate) const RESERVE: &str = "reserve";
/// The control socket.
pub const SOCKET: &str = "control.sock";
/// A new control socket before it gets its name.
pub(crate) const SOCKET_NEW: &str = "control.sock.new";
/// The record of an accepted loss while things move.
pub(crate) const LOSS_MOVING: &str = "loss.moving";
/// That record when all has moved.
pub(crate) const LOSS_MOVED: &str = "loss.moved";
/// That record before it is durable.
pub(crate) const LOSS_NEW: &str = "loss.new";
/// That record beside what is left of the lost log.
pub(crate) const LOSS_STORY: &str = "loss.json";
/// In the journal: where it begins once segments were pruned.
pub(crate) const FLOOR: &str = "floor";
/// In the journal: the same before it is durable.
pub(crate) const FLOOR_NEW: &str = "floor.new";
/// In the journal: a spare whose number is not given yet.
pub(crate) const SPARE: &str = "spare";
/// In the journal: a segment that is being made while the writer waits.
pub(crate) const NEXT: &str = "next";
/// The mode of the folders that Lychgate makes.
pub(crate) const FOLDER_MODE: u32 = 0o750;
/// The mode of the lock file.
pub(crate) const LOCK_MODE: u32 = 0o600;
/// The mode of all other files.
pub(crate) const FILE_MODE: u32 = 0o640;
/// What makes a log, and moves aside with it.
const OF_THE_LOG: [&str; 6] = [CHECKPOINT, VERIFIER, JOURNAL, TILES, PASSING, RESERVE];
/// What stands beside it.
const BESIDE: [&str; 7] = [
    LOCK,
    SOCKET,
    SOCKET_NEW,
    LOSS_MOVING,
    LOSS_MOVED,
    LOSS_NEW,
    LOSS_STORY,
];

/// The name of a segment.
#[must_use]
pub fn segment_name(number: u64) -> String {
    format!("{number:010}")
}

/// The number of a segment; `None` for a name that is none.
#[must_use]
pub fn segment_number(text: &str) -> Option<u64> {
    let number = text.parse().ok().filter(|n| *n > 0)?;
    (segment_name(number) == text).then_some(number)
}

/// Whether this name in the audit folder is the log's.
pub(crate) fn is_of_the_log(name: &str) -> bool {
    OF_THE_LOG.contains(&name)
}

/// Whether Lychgate gives this name in the audit folder.
pub(crate) fn is_own(name: &str) -> bool {
    is_of_the_log(name) || BESIDE.contains(&name) || name.starts_with(LOST)
}

/// Whether it gives this name in the journal.
pub(crate) fn is_own_in_journal(name: &str) -> bool {
    segment_number(name).is_some() || [FLOOR, FLOOR_NEW, SPARE, NEXT].contains(&name)
}

/// Whether it gives this name to a file that is not at its place yet.
pub(crate) fn is_own_in_passing(name: &str) -> bool {
    name == CHECKPOINT || is_number(name)
}

/// Whether it is a name of digits alone, as passing files and partial ones have.
pub(crate) fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}
