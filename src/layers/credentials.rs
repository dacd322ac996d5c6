//! The caller's token off, upstream's on.

use std::path::PathBuf;

/// Which credentials go upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settings {
    /// None: the caller's token is taken away.
    Strip,
    /// The caller's own token, as it came.
    Forward,
    /// A bearer token from a file, read again when it changes.
    Bearer(PathBuf),
}
