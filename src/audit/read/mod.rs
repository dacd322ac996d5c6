//! Reads the log: checkpoint, tiles and bundles, from a folder or from any place that serves them.
//! From a folder it also reads the journal's entries beyond the checkpoint.
//!
//! 1. `files` are the source of the log's files;
//! 2. `reader` reads them, and returns only tiles and entries that it verified under the checkpoint;
//! 3. `log` opens a log at its [`Location`]. It reads the bundles, two at a time, then the journal's
//!    entries beyond the checkpoint, and finds an entry without reading the log before it;
//! 4. `missing` names the parts of the log that an answer lacks.
//!
//! [`query`] joins entries into deletions, [`verify`] checks a whole log, [`prove`](mod@prove) makes
//! a proof of an entry.
//!
//! Takes no lock and may run beside a writer.

pub(crate) mod prove;
pub mod query;
pub mod verify;

mod files;
mod log;
mod missing;
mod reader;

pub use files::Files;
pub(crate) use files::{FolderFiles, MAX_TILE_BYTES, TileFile};
pub use log::Location;
pub(crate) use log::{Found, Log};
pub(crate) use missing::Missing;
pub use missing::{MissingRange, Trouble};
pub(crate) use reader::{OnDamage, Raw, Reader};

pub(crate) use crate::audit::disk::names::CHECKPOINT;

use crate::audit::log::tiles::FULL;

/// How many entries a full bundle has, and how many hashes a full tile.
pub(crate) const WIDTH: u64 = FULL as u64;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
