//! A small file whose whole content this process knows: `lock` or `verifier`.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::look;
use crate::audit::disk::{File, Folder, Identity};
use crate::audit::status::{Cause, Unavailable, closed, trouble};

/// Two changes within this time may have the same time of change.
const TICK: Duration = Duration::from_millis(50);

/// The last known time of change, and when this process first saw it.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastChange {
    changed: i128,
    first: Instant,
}

impl LastChange {
    pub(super) fn new(changed: i128) -> Self {
        Self {
            changed,
            first: Instant::now(),
        }
    }

    /// Whether this time of change was checked before. If not, notes it; the caller must check the
    /// content.
    pub(super) fn is_checked(&mut self, changed: i128) -> bool {
        let is_new = self.changed != changed;
        if is_new {
            *self = Self::new(changed);
        }
        #[cfg(test)]
        if crate::audit::by_hand::is_wanted() {
            return !is_new;
        }
        self.first.elapsed() > TICK
    }
}

#[derive(Debug)]
pub(crate) struct PinnedFile {
    name: &'static str,
    file: Arc<dyn File>,
    is: Identity,
    content: Vec<u8>,
    last_change: LastChange,
}

impl PinnedFile {
    /// Pins a file with this content.
    pub(crate) fn new(
        name: &'static str,
        file: Arc<dyn File>,
        content: Vec<u8>,
    ) -> io::Result<Self> {
        let is = file.identity()?;
        Ok(Self {
            name,
            file,
            is,
            content,
            last_change: LastChange::new(is.changed),
        })
    }

    /// Checks the file; compares its content if it may have changed.
    pub(super) fn check(&mut self, folder: &dyn Folder) -> Result<(), Unavailable> {
        let now = look(folder, self.name, &self.is)?;
        if self.last_change.is_checked(now.changed) {
            return Ok(());
        }
        self.compare(&*self.file)
            .inspect_err(|_| self.forget_last_change())
    }

    /// Writes the content again after another process has overwritten it.
    pub(super) fn write_again(&mut self) -> io::Result<()> {
        self.forget_last_change();
        self.file.clear()?;
        self.file.write_at(&self.content, 0)
    }

    /// The content.
    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }

    /// The file, if it is the one in this folder.
    pub(super) fn file_in(&self, folder: &dyn Folder) -> io::Result<Option<Arc<dyn File>>> {
        match folder.look(self.name) {
            Ok(now) => Ok(now.same_file(&self.is).then(|| Arc::clone(&self.file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the file holds another writer's line, in the form that each writer leaves in `lock`.
    pub(super) fn is_of_another(&self) -> bool {
        let mut found = [0; 128];
        let length = self.file.read_at(&mut found, 0).unwrap_or(0);
        let Some(line) = found[..length].strip_suffix(b"\n") else {
            return false;
        };
        let is_name = |b: &u8| b.is_ascii_hexdigit() || b" -".contains(b);
        !line.is_empty() && line.iter().all(is_name) && found[..length] != self.content[..]
    }

    fn compare(&self, file: &dyn File) -> Result<(), Unavailable> {
        let mut found = vec![0; self.content.len() + 1];
        let name = self.name;
        let length = file
            .read_at(&mut found, 0)
            .map_err(|e| trouble(&e, &format!("cannot read `{name}`")))?;
        if found[..length] == self.content[..] {
            return Ok(());
        }
        if length < self.content.len() && self.content.starts_with(&found[..length]) {
            return Err(closed(
                Cause::Truncated,
                format!("`{name}` is shorter than it was"),
            ));
        }
        let what = format!("`{name}` holds other bytes than the gateway wrote");
        Err(closed(Cause::Altered, what))
    }

    fn forget_last_change(&mut self) {
        self.last_change = LastChange::new(i128::MIN);
    }
}
