//! The second listener: health, metrics, status.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What the admin listener is told by the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen.
    pub address: SocketAddr,
    /// File of the token required for all but health and metrics.
    pub token_file: Option<PathBuf>,
}
