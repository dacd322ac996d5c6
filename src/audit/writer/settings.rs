//! What the config tells the trail.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::audit::status::space;

/// What the trail is told by the config.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder.
    pub directory: PathBuf,
    /// The log's name: visible ASCII without `+`, 1 to 255 bytes.
    pub origin: String,
    /// The signing key, made by `lychgate audit keygen`.
    pub key_file: PathBuf,
    /// A sync slower than this refuses deletions.
    pub sync_timeout: Duration,
    /// Bytes of one journal segment.
    pub segment_bytes: u64,
    /// How much space left on its disk is worth a warning.
    pub space: space::Levels,
    /// Where the newest checkpoint is kept apart from the folder.
    pub seen_file: PathBuf,
    /// An idle trail says so often that it is alive.
    pub heartbeat: Duration,
}

impl Settings {
    /// The seen file of a key where none is named: `KEY_FILE.seen`.
    #[must_use]
    pub fn seen_beside(key_file: &Path) -> PathBuf {
        let mut name = key_file.as_os_str().to_owned();
        name.push(".seen");
        name.into()
    }
}
