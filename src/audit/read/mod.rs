//! Reads the log: checkpoint, tiles and bundles, from a folder or from any place that serves them. From a
//! folder, also reads the journal's entries beyond the checkpoint.
//!
//! 1. `files` are the sources of the log's files;
//! 2. `reader` reads the files, and returns only tiles and entries that it verified under the
//!    checkpoint;
//! 3. `log` opens a log at its [`Location`], and reads first the bundles, two at a time, and then the
//!    journal's entries beyond the checkpoint. `log` can also read one entry without the entries before it;
//! 4. `missing` describes the parts of the log that cannot be read. The answer to a query lacks these parts.
//!
//! [`query`] joins entries into deletions, [`verify`] checks a whole log, [`prove`](mod@prove) makes a
//! proof of an entry.
//!
//! Readers take no lock, and may run while a writer runs.

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

/// The number of entries in a full bundle, and of hashes in a full tile.
pub(crate) const WIDTH: u64 = FULL as u64;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
