//! What a proof shows: the proved entry and, if it is a closing entry, the deletion that it closes.
//!
//! The `extra` line of a proof encodes the entry's bytes. If the entry is a closing entry, the intents
//! that it closes follow, in the order of its `leaves`. A line feed precedes each intent. If the entry
//! and the intents exceed [`MAX_EXTRA_BYTES`], the intents are in a file of their own, with a line feed
//! between two intents. The code calls these intents `apart`.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::audit::entry::{Entry, Kind, MAX_BYTES, Outcome};
use crate::audit::log::key::VerifierKey;
use crate::audit::log::merkle::{Hash, leaf};
use crate::audit::log::proof::TlogProof;
use crate::audit::log::{hash_from_base64, to_base64};
use crate::audit::read::Raw;
use crate::audit::read::query::{Deletion, Joiner};

/// The most bytes that an `extra` line encodes. Some programs of other projects accept at most 49,146
/// bytes.
const MAX_EXTRA_BYTES: usize = MAX_BYTES;

/// What a valid proof shows, as `audit verify --proof --json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Evidence {
    /// The proved entry's index.
    pub(crate) index: u64,
    /// The size of the log in the proof's checkpoint.
    pub(crate) size: u64,
    /// The proved entry's leaf hash.
    #[serde(serialize_with = "base64")]
    pub(crate) leaf: Hash,
    /// The proved entry's bytes, if the proof holds them. If they are not JSON, `null` is printed.
    #[serde(serialize_with = "json")]
    pub(crate) entry: Option<Vec<u8>>,
    /// The deletion that the proof's entries record. `None` if the entries do not name the caller and
    /// the users.
    pub(crate) deletion: Option<Deletion>,
    /// The part that the proof lacks, if any.
    pub(crate) missing: Option<MissingPart>,
}

/// A part that a proof lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MissingPart {
    /// The proof holds no entry; the caller gave its leaf hash.
    Entry,
    /// The proof holds a closing entry without its intent.
    Intent,
    /// The proof holds an intent without its closing entry.
    Closing,
}

/// Returns the bytes for the `extra` line. If the line has no room for the intents, also returns the bytes
/// for a separate file with the intents.
pub(super) fn compose(entry: Raw, intents: &[Raw]) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut extra = entry.bytes;
    if intents.is_empty() {
        return (extra, None);
    }
    let intents: Vec<&[u8]> = intents.iter().map(|raw| &*raw.bytes).collect();
    let intents = intents.join(&b'\n');
    if extra.len() + 1 + intents.len() > MAX_EXTRA_BYTES {
        return (extra, Some(intents));
    }
    extra.push(b'\n');
    extra.extend(intents);
    (extra, None)
}

/// Splits the bytes of an `extra` line into the entry and the intents. An entry contains no line feed,
/// because a JSON string spells a line feed as `\n`.
fn split(extra: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = extra.splitn(2, |byte| *byte == b'\n');
    (parts.next().unwrap_or_default(), parts.next())
}

/// The maximum length, in bytes, of the separate file with the intents. `None` unless the proof holds a
/// closing entry without its intents.
pub(crate) fn max_bytes_apart(proof: &TlogProof) -> Option<usize> {
    let (entry, within) = split(proof.extra.as_deref()?);
    let entry = Entry::decode(entry).ok().filter(|_| within.is_none())?;
    let leaves = &outcome(&entry)?.leaves;
    // A leaf hash takes room in the closing entry, so this bounds their number.
    let are_hashes = leaves.iter().all(|leaf| hash_from_base64(leaf).is_some());
    are_hashes.then_some(leaves.len() * (MAX_BYTES + 1))
}

fn outcome(entry: &Entry) -> Option<&Outcome> {
    match &entry.kind {
        Kind::Outcome(outcome) => Some(outcome),
        _ => None,
    }
}

/// Verifies a proof: every byte of its `extra` line and of the separate intents (`apart`). If `given` is a
/// leaf hash, it must be that of the entry or of an intent that the entry closes.
///
/// # Errors
/// The reason why the proof does not hold.
pub(crate) fn judge(
    proof: &TlogProof,
    apart: Option<&[u8]>,
    given: Option<&Hash>,
    key: &VerifierKey,
) -> Result<Evidence, String> {
    let (bytes, within) = proof.extra.as_deref().map(split).unzip();
    let intents = within.flatten().or(apart);
    let hash = bytes.map(leaf).or(given.copied());
    let hash = hash.ok_or("the proof does not hold the entry: give --leaf BASE64")?;
    let checkpoint = proof
        .verify(&hash, key)
        .map_err(|error| error.to_string())?;
    // From here on, it is proved that the log contains the entry.
    let entry = bytes.and_then(|bytes| Entry::decode(bytes).ok());
    let closing = entry.as_ref().and_then(outcome);
    if let Some(given) = given.filter(|given| **given != hash) {
        let given = to_base64(given);
        if !closing.is_some_and(|closing| closing.leaves.contains(&given)) {
            return Err("the leaf given is not that of the entry in the proof, nor of an intent that the entry closes".into());
        }
    }
    let missing = match (bytes, entry.as_ref().map(|entry| &entry.kind), intents) {
        (None, ..) => Some(MissingPart::Entry),
        (_, Some(Kind::Outcome(_)), None) => Some(MissingPart::Intent),
        (_, Some(Kind::Intent(_)), _) => Some(MissingPart::Closing),
        _ => None,
    };
    Ok(Evidence {
        index: proof.index,
        size: checkpoint.size,
        leaf: hash,
        deletion: deletion(proof.index, entry, intents)?,
        entry: bytes.map(Into::into),
        missing,
    })
}

/// Joins an entry and the intents that it closes into a deletion. `None` for a closing entry without
/// its intents, and for an entry that the [`Joiner`] ignores.
fn deletion(
    index: u64,
    entry: Option<Entry>,
    intents: Option<&[u8]>,
) -> Result<Option<Deletion>, String> {
    let mut joiner = Joiner::default();
    let closing = entry.as_ref().and_then(outcome);
    let is_closed = match (closing, intents) {
        (Some(_), None) => return Ok(None),
        (None, Some(_)) => {
            return Err("bytes follow the entry in the proof, but only a closing entry is followed by others: its intents".into());
        }
        (None, None) => false,
        (Some(closing), Some(intents)) => {
            let intents = named(closing, intents)?;
            for (place, intent) in (0..).zip(intents) {
                joiner.push(closing.intent.saturating_add(place), intent);
            }
            true
        }
    };
    if let Some(entry) = entry {
        joiner.push(index, entry);
    }
    let deletions: Vec<Deletion> = joiner.rest().collect();
    if is_closed && !matches!(&deletions[..], [one] if one.closing_index == Some(index)) {
        return Err("the closing entry and the intents that it names are not one deletion".into());
    }
    Ok(deletions.into_iter().next())
}

/// Splits and decodes the intents. Fails unless their leaf hashes are exactly those in the closing
/// entry, in the same order.
fn named(closing: &Outcome, intents: &[u8]) -> Result<Vec<Entry>, String> {
    let intents: Vec<&[u8]> = intents.split(|byte| *byte == b'\n').collect();
    let leaves = intents.iter().map(|intent| to_base64(&leaf(intent)));
    if !leaves.eq(closing.leaves.iter().cloned()) {
        return Err(
            "the intents in the proof are not those whose leaf hashes the closing entry holds"
                .into(),
        );
    }
    intents.into_iter().map(Entry::decode).collect()
}

fn base64<S: Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_base64(hash))
}

fn json<S: Serializer>(entry: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    let raw = entry.as_deref().map(serde_json::from_slice::<&RawValue>);
    raw.and_then(Result::ok).serialize(serializer)
}

#[cfg(test)]
mod tests;
