//! The record of an accepted loss, in a file, until the new log holds it.

use std::io;

use serde::{Deserialize, Serialize};

pub(super) use crate::audit::disk::names::{
    LOSS_MOVED as MOVED, LOSS_MOVING as MOVING, LOSS_NEW as NEW,
};
use crate::audit::disk::{Access, Folder};
use crate::audit::entry::LossAccepted;
use crate::audit::journal::spare::FILE_MODE;

/// A checkpoint and a reason are far shorter.
const MAX_BYTES: usize = 512 << 10;

/// What was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// The new log's name.
    pub(super) origin: String,
    /// Its first entry.
    pub(super) loss: LossAccepted,
}

impl Record {
    /// Reads it, where it is there.
    pub(super) fn read(root: &dyn Folder, name: &str) -> io::Result<Option<Self>> {
        let Some(bytes) = read_whole(root, name, MAX_BYTES)? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{name}: {error}")))
    }

    /// Makes it durable under this name.
    pub(super) fn write(&self, root: &dyn Folder, name: &str) -> io::Result<()> {
        // After a failed sync a file is never synced again, so each attempt has its own.
        match root.remove(NEW) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = root.open(NEW, Access::Create(FILE_MODE))?;
        file.write_at(&serde_json::to_vec(self)?, 0)?;
        file.sync_all()?;
        root.rename(NEW, name)?;
        root.sync()
    }
}

/// A whole file of at most so many bytes; `None` where it is not there.
pub(super) fn read_whole(
    folder: &dyn Folder,
    name: &str,
    most: usize,
) -> io::Result<Option<Vec<u8>>> {
    let file = match folder.open(name, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let count = file.read_at(&mut buffer, bytes.len() as u64)?;
        bytes.extend_from_slice(&buffer[..count]);
        if count == 0 {
            return Ok(Some(bytes));
        }
        if bytes.len() > most {
            let what = format!("{name} is longer than {most} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
    }
}
