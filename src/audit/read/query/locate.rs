//! Finds the entries of one deletion, by its intent's index or by the request's id.

use std::ops::ControlFlow;

use memchr::memmem;

use super::search::{Raw, search};
use crate::audit::entry::{Entry, EntryHead, Needle, Spelled};
use crate::audit::read::{Log, MissingRange};

impl Raw {
    /// The first intent of the deletion that the entry belongs to, if any.
    #[must_use]
    pub fn deletion(&self) -> Option<u64> {
        deletion(self.index, &self.bytes)
    }
}

fn deletion(index: u64, bytes: &[u8]) -> Option<u64> {
    EntryHead::decode(bytes).ok()?.summary.deletion(index)
}

/// Passes the entries of the deletion whose (first) intent has this index to `each`, in order,
/// until that breaks. Reads nothing before that intent.
///
/// # Errors
/// If a needed part of the log is missing.
pub fn entries_of(
    log: &mut Log,
    first: u64,
    each: impl FnMut(Raw) -> ControlFlow<()>,
) -> Result<(), MissingRange> {
    let is_of_it = |index, bytes: &[u8]| {
        may_be_of(first, index, bytes) && deletion(index, bytes) == Some(first)
    };
    search(log, first, is_of_it, each).map(drop)
}

/// Whether an entry may belong to a deletion, from its bytes: much faster than the decoder.
fn may_be_of(first: u64, index: u64, bytes: &[u8]) -> bool {
    let Some(spelled) = Spelled::of(bytes) else {
        return true;
    };
    match spelled.kind {
        b"intent" => index == first || memmem::find(bytes, b"\"part\":").is_some(),
        b"outcome" | b"reconciled" => spelled.intent().is_none_or(|intent| intent == first),
        _ => false,
    }
}

/// The first entry of a request, from an index on.
///
/// # Errors
/// If a needed part of the log is missing.
pub fn first_of(log: &mut Log, from: u64, request_id: &str) -> Result<Option<Raw>, MissingRange> {
    let needle = Needle::string(request_id);
    let is_of_it = |_, bytes: &[u8]| {
        needle.may_be_in(bytes)
            && Entry::decode(bytes).is_ok_and(|entry| entry.request_id() == Some(request_id))
    };
    let mut found = None;
    search(log, from, is_of_it, |raw| {
        found = Some(raw);
        ControlFlow::Break(())
    })?;
    Ok(found)
}
