//! What is known of a log that is lost: its name, and its newest checkpoint.

use std::io;

use super::aside::parted;
use super::record::read_whole;
use crate::audit::Settings;
use crate::audit::disk::{Disk, Folder, is_lack};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::Key;
use crate::audit::log::note::{MAX_NOTE_BYTES, Note};
use crate::audit::log::verifier_key::VerifierKey;
use crate::audit::writer::recover::VERIFIER;

/// Longer notes than this are not kept: ours have one signature, and fit an entry.
const MAX_KEPT_BYTES: usize = 4_096;

/// The lost log's name and its newest checkpoint, where they are [`known`].
pub(super) fn of(
    disk: &dyn Disk,
    root: &dyn Folder,
    settings: &Settings,
) -> io::Result<(Option<String>, Option<String>)> {
    let own = known(verifier(root))?;
    let key = Key::read(&settings.key_file).ok();
    let key = key.map(|key| key.verifier().clone());
    let origin = own.as_ref().or(key.as_ref()).map(|k| k.origin().to_owned());
    let keys: Vec<VerifierKey> = own.into_iter().chain(key).collect();
    let seen = parted(&settings.seen_file).map(|(folder, name)| {
        let folder = disk.folder(folder, None)?;
        read_whole(&*folder, &name, MAX_NOTE_BYTES)
    });
    let seen = known(seen.unwrap_or(Ok(None)))?;
    let published = known(read_whole(root, "checkpoint", MAX_NOTE_BYTES))?;
    let newest = [seen, published]
        .into_iter()
        .flatten()
        .filter_map(|bytes| judged(bytes, &keys))
        .max_by_key(|(rank, _)| *rank);
    Ok((origin, newest.map(|(_, text)| text)))
}

/// Whatever cannot be read is no reason to stop, for it may be the loss; but a lack of descriptors is none.
pub(super) fn known<T>(read: io::Result<Option<T>>) -> io::Result<Option<T>> {
    match read {
        Err(error) if is_lack(&error) => Err(error),
        read => Ok(read.ok().flatten()),
    }
}

/// The public key that the folder holds, where it is one.
pub(super) fn verifier(folder: &dyn Folder) -> io::Result<Option<VerifierKey>> {
    let bytes = read_whole(folder, VERIFIER, 1_024)?;
    let text = bytes
        .as_deref()
        .and_then(|bytes| std::str::from_utf8(bytes).ok());
    Ok(text.and_then(|text| VerifierKey::parse(text).ok()))
}

/// A checkpoint's text, ranked by whether its signature is right, then by its size.
fn judged(bytes: Vec<u8>, keys: &[VerifierKey]) -> Option<((bool, u64), String)> {
    let note = Note::parse(&bytes).ok()?;
    let size = Checkpoint::parse(note.text()).ok()?.size;
    let genuine = keys.iter().any(|key| Checkpoint::open(&bytes, key).is_ok());
    let text = String::from_utf8(bytes).ok()?;
    (text.len() <= MAX_KEPT_BYTES).then_some(((genuine, size), text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::log::key::test_key;

    fn signed(key: &Key, size: u64) -> Vec<u8> {
        let checkpoint = Checkpoint {
            origin: key.origin().to_owned(),
            size,
            root: [7; 32],
        };
        checkpoint.sign(key)
    }

    #[test]
    fn the_newest_genuine_checkpoint_ranks_highest() {
        let key = test_key();
        let stranger = Key::generate(key.origin()).unwrap();
        let keys = [key.verifier().clone()];
        let rank = |bytes: Vec<u8>| judged(bytes, &keys).map(|(rank, _)| rank);
        assert!(rank(signed(&key, 6)) > rank(signed(&key, 5)));
        assert!(rank(signed(&key, 5)) > rank(signed(&stranger, 9)));
        assert_eq!(rank(signed(&stranger, 9)), Some((false, 9)));
        assert_eq!(rank(b"no note".to_vec()), None);
    }
}
