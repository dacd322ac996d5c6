//! Searches entries by their bytes before it decodes them.

use std::ops::ControlFlow;

use memchr::memmem;

use crate::audit::entry::{Entry, EntryHead, Needle, Spelled};
use crate::audit::log::merkle::{Hash, leaf};
use crate::audit::read::{Log, MissingRange};

/// An entry's bytes with their index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) index: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Raw {
    pub(crate) fn leaf(&self) -> Hash {
        leaf(&self.bytes)
    }

    /// Decodes the entry. An entry that this version does not know is an error.
    pub(crate) fn decode(&self) -> Result<Entry, MissingRange> {
        Entry::decode(&self.bytes).map_err(|what| MissingRange::damaged(what).at(self.index))
    }

    /// The first intent of the deletion that the entry belongs to, if any.
    pub(crate) fn deletion(&self) -> Option<u64> {
        deletion(self.index, &self.bytes)
    }
}

fn deletion(index: u64, bytes: &[u8]) -> Option<u64> {
    EntryHead::decode(bytes).ok()?.summary.deletion(index)
}

/// Passes the entries from an index on to `each` if they meet `passes`, in order, until that
/// breaks. Returns the index after the last entry that was read.
fn search(
    log: &mut Log,
    from: u64,
    passes: impl Fn(u64, &[u8]) -> bool + Sync,
    each: impl FnMut(Raw) -> ControlFlow<()>,
) -> Result<u64, MissingRange> {
    let raw = |index, bytes: &[u8]| {
        let raw = || Raw {
            index,
            bytes: bytes.to_vec(),
        };
        passes(index, bytes).then(raw)
    };
    log.scan_from(from, raw, each)
}

/// Passes the entries from an index on to `each`, decoded, if their bytes meet `passes`. Returns
/// the index after the last entry that was read.
pub(super) fn each_entry<E: From<MissingRange>>(
    log: &mut Log,
    from: u64,
    passes: impl Fn(u64, &[u8]) -> bool + Sync,
    mut each: impl FnMut(u64, Entry) -> Result<(), E>,
) -> Result<u64, E> {
    let mut ended = Ok(());
    let end = search(log, from, passes, |raw| {
        let entry = raw.decode().map_err(E::from);
        ended = entry.and_then(|entry| each(raw.index, entry));
        go_on(&ended)
    })?;
    ended.map(|()| end)
}

/// Ends a scan at the first error.
pub(super) fn go_on<E>(result: &Result<(), E>) -> ControlFlow<()> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

/// Passes the entries of the deletion whose (first) intent has this index to `each`, in order,
/// until that breaks. Reads nothing before that intent.
pub(crate) fn entries_of(
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
pub(crate) fn first_of(
    log: &mut Log,
    from: u64,
    request_id: &str,
) -> Result<Option<Raw>, MissingRange> {
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
