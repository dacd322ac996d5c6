//! A small file of the trail whose whole content this process knows: `lock` and `verifier`.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{found, look};
use crate::audit::disk::{Access, File, Folder, Identity};
use crate::audit::status::{Cause, Unavailable};
use crate::audit::status::{closed, trouble};

/// A change in so short a time after the last one may leave no trace in the time of change.
const TICK: Duration = Duration::from_millis(50);

/// When something was last seen to change, by the file system's own clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    changed: i128,
    first: Instant,
}

impl Seen {
    pub(super) fn new(changed: i128) -> Self {
        Self {
            changed,
            first: Instant::now(),
        }
    }

    /// Whether it is as it was judged before; where not, it is noted and must be judged now.
    pub(super) fn is_judged(&mut self, changed: i128) -> bool {
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

/// The file, and what it holds.
#[derive(Debug)]
pub(crate) struct Text {
    name: &'static str,
    file: Arc<dyn File>,
    is: Identity,
    content: Vec<u8>,
    seen: Seen,
}

impl Text {
    /// A file that holds just this.
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
            seen: Seen::new(is.changed),
        })
    }

    /// Judges it; its content is read where it may have changed.
    pub(super) fn check(&mut self, folder: &dyn Folder) -> Result<(), Unavailable> {
        let now = look(folder, self.name, &self.is)?;
        if self.seen.is_judged(now.changed) {
            return Ok(());
        }
        self.compare(&*self.file).inspect_err(|_| self.doubt())
    }

    /// Judges it anew; another file that holds the same is taken in its place.
    pub(super) fn judge_again(
        &mut self,
        folder: &dyn Folder,
        locked: bool,
    ) -> Result<(), Unavailable> {
        self.doubt();
        let judged = self.check(folder);
        if !matches!(&judged, Err(found) if found.cause == Cause::Replaced) {
            return judged;
        }
        let Ok(file) = folder.open(self.name, Access::Write) else {
            return judged;
        };
        if self.compare(&*file).is_err() || locked && !file.lock().unwrap_or(false) {
            return judged;
        }
        self.is = found(file.identity(), self.name)?;
        self.file = file;
        Ok(())
    }

    /// The file, if it is the one under its name in this folder.
    pub(super) fn file_in(&self, folder: &dyn Folder) -> Option<Arc<dyn File>> {
        let now = folder.look(self.name).ok()?;
        now.same_file(&self.is).then(|| Arc::clone(&self.file))
    }

    /// Writes its content again, over what somebody else wrote in its place.
    pub(super) fn write_again(&mut self) -> io::Result<()> {
        self.doubt();
        self.file.clear()?;
        self.file.write_at(&self.content, 0)
    }

    /// Whether it holds a line as each writer leaves one in `lock`, and not ours.
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
        let what = format!("`{name}` holds other bytes than were written");
        Err(closed(Cause::Altered, what))
    }

    fn doubt(&mut self) {
        self.seen = Seen::new(i128::MIN);
    }
}
