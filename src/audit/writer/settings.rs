//! The trail's settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::audit::status::space;

/// The trail's settings, from the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The audit folder.
    pub directory: PathBuf,
    /// The log's name: visible ASCII without `+`, 1 to 255 bytes.
    pub origin: String,
    /// The signing key, made by `lychgate audit keygen`.
    pub key_file: PathBuf,
    /// The trail refuses deletions if a sync takes longer than this.
    pub sync_timeout: Duration,
    /// The length of a journal segment, in bytes.
    pub segment_bytes: u64,
    /// The levels of free space below which the gateway warns.
    pub space: space::Levels,
    /// The path of the seen file: a copy of the newest checkpoint, kept apart from the audit folder.
    pub seen_file: PathBuf,
    /// The time after which an idle trail writes an `alive` entry.
    pub heartbeat: Duration,
}

impl Settings {
    /// The default seen file of a key: `KEY_FILE.seen`.
    #[must_use]
    pub fn seen_beside(key_file: &Path) -> PathBuf {
        let mut name = key_file.as_os_str().to_owned();
        name.push(".seen");
        name.into()
    }
}
