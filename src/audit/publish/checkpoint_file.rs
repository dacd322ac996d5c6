//! A file that holds the newest checkpoint, in the log's folder or apart from it.

use std::io;
use std::sync::Arc;

use crate::audit::disk::names::FILE_MODE;
use crate::audit::disk::read_log_file;
use crate::audit::disk::{Access, Folder};
use crate::audit::integrity::unread;
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::verifier_key::VerifierKey;
use crate::audit::status::closed;
use crate::audit::status::{Cause, Unavailable};

/// The file, and what this process knows of it.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    folder: Arc<dyn Folder>,
    name: String,
    /// Where its bytes stand until they are durable.
    passing: Arc<dyn Folder>,
    passing_name: String,
    /// What it holds; `None` before the first.
    known: Option<Vec<u8>>,
    /// What was being put there when that failed: it may stand there all the same.
    attempted: Option<Vec<u8>>,
}

impl CheckpointFile {
    pub(crate) fn new(
        folder: Arc<dyn Folder>,
        name: &str,
        passing: Arc<dyn Folder>,
        passing_name: &str,
        known: Option<Vec<u8>>,
    ) -> Self {
        Self {
            folder,
            name: name.to_owned(),
            passing,
            passing_name: passing_name.to_owned(),
            known,
            attempted: None,
        }
    }

    /// From now on its bytes stand in this folder until they are durable.
    pub(super) fn pass_through(&mut self, passing: &Arc<dyn Folder>) {
        self.passing = Arc::clone(passing);
    }

    /// What it is known to hold.
    pub(super) fn known(&self) -> Option<&[u8]> {
        self.known.as_deref()
    }

    /// Reads it again: it must be as this process left it.
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

    /// Puts a new checkpoint there, durably.
    pub(super) fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        // After a failed sync a file is never synced again, so each attempt has its own.
        match self.passing.remove(&self.passing_name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mode = Access::Create(FILE_MODE);
        let file = self.passing.open(&self.passing_name, mode)?;
        file.write_at(bytes, 0)?;
        file.sync_all()?;
        self.attempted = Some(bytes.to_vec());
        self.passing
            .move_into(&self.passing_name, &*self.folder, &self.name)?;
        self.folder.sync()?;
        self.known = self.attempted.take();
        Ok(())
    }
}
