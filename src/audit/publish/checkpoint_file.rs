//! A file that holds the newest checkpoint: the log's own or the seen file.

use std::io;
use std::sync::Arc;

use crate::audit::disk::{Folder, read_log_file, write_synced};
use crate::audit::integrity::unread;
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::verifier_key::VerifierKey;
use crate::audit::status::closed;
use crate::audit::status::{Cause, Unavailable};

/// The file, and the bytes that this process expects in it.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    folder: Arc<dyn Folder>,
    name: String,
    /// The folder for the temporary file.
    temporary: Arc<dyn Folder>,
    temporary_name: String,
    /// The file's content; `None` before the first checkpoint.
    known: Option<Vec<u8>>,
    /// The checkpoint of a failed write; the file may hold it all the same.
    attempted: Option<Vec<u8>>,
}

impl CheckpointFile {
    pub(crate) fn new(
        folder: Arc<dyn Folder>,
        name: &str,
        temporary: Arc<dyn Folder>,
        temporary_name: &str,
        known: Option<Vec<u8>>,
    ) -> Self {
        Self {
            folder,
            name: name.to_owned(),
            temporary,
            temporary_name: temporary_name.to_owned(),
            known,
            attempted: None,
        }
    }

    /// Sets the folder for the temporary file.
    pub(super) fn set_temporary_folder(&mut self, temporary: &Arc<dyn Folder>) {
        self.temporary = Arc::clone(temporary);
    }

    /// The content that this process expects.
    pub(super) fn known(&self) -> Option<&[u8]> {
        self.known.as_deref()
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
            Ok(other) => {
                let what = format!(
                    "{name} holds a checkpoint of {} entries, not ours",
                    other.size
                );
                closed(Cause::SecondWriter, what)
            }
            Err(error) => closed(Cause::Altered, format!("{name}: {error}")),
        })
    }

    /// Replaces the file's content durably.
    pub(super) fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        write_synced(&*self.temporary, &self.temporary_name, bytes)?;
        self.attempted = Some(bytes.to_vec());
        self.temporary
            .move_into(&self.temporary_name, &*self.folder, &self.name)?;
        self.folder.sync()?;
        self.known = self.attempted.take();
        Ok(())
    }
}
