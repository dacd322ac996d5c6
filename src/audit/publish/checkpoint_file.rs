//! A file that holds the newest checkpoint: the log's own or the seen file.

use std::io;
use std::sync::Arc;

use crate::audit::disk::{Folder, read_log_file, write_synced};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::verifier_key::VerifierKey;
use crate::audit::status::{Cause, Unavailable, closed, unread};

/// The file, and the bytes that this process expects in it.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    pub(super) folder: Arc<dyn Folder>,
    name: String,
    temporary_name: String,
    /// The file's content; `None` before the first checkpoint.
    pub(super) known: Option<Vec<u8>>,
    /// The checkpoint of a failed write; the file may hold it all the same.
    attempted: Option<Vec<u8>>,
}

impl CheckpointFile {
    pub(crate) fn new(
        folder: Arc<dyn Folder>,
        name: String,
        temporary_name: String,
        known: Option<Vec<u8>>,
    ) -> Self {
        Self {
            folder,
            name,
            temporary_name,
            known,
            attempted: None,
        }
    }

    /// Reads the file and checks that it holds the last checkpoint of this process.
    pub(super) fn compare(&mut self, key: &VerifierKey) -> Result<(), Unavailable> {
        let found = read_log_file(&*self.folder, &self.name)
            .map_err(|e| unread(&e, &format!("cannot read {}", self.name)))?;
        if found == self.known {
            return Ok(());
        }
        if found.is_some() && found == self.attempted {
            self.known = self.attempted.take();
            return Ok(());
        }
        let name = &self.name;
        let Some(found) = found else {
            return Err(closed(Cause::Unlinked, format!("{name} was unlinked")));
        };
        Err(match Checkpoint::open(&found, key) {
            Ok(Checkpoint { size, .. }) => {
                let what = format!("{name} holds a checkpoint of {size} entries, not ours");
                closed(Cause::SecondWriter, what)
            }
            Err(error) => closed(Cause::Altered, format!("{name}: {error}")),
        })
    }

    /// Replaces the file's content durably; `temporary` is the folder for the temporary file.
    pub(super) fn replace(&mut self, temporary: &dyn Folder, bytes: &[u8]) -> io::Result<()> {
        write_synced(temporary, &self.temporary_name, bytes)?;
        self.attempted = Some(bytes.to_vec());
        temporary.move_into(&self.temporary_name, &*self.folder, &self.name)?;
        self.folder.sync()?;
        self.known = self.attempted.take();
        Ok(())
    }
}
