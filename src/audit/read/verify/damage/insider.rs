//! Attacks by an insider with the signing key: an earlier checkpoint or a receipt reveals them.

use proptest::prelude::*;

use super::history::{History, history};
use super::snapshot::{Snapshot, put};
use super::{ACTS, config, verify};
use crate::audit::entry::{Entry, Kind};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::{Key, test_key};
use crate::audit::log::merkle::leaf;
use crate::audit::read::Location;
use crate::audit::read::verify::sample::{bytes, checkpoint};
use crate::audit::read::verify::{Claim, Finding, Job, check};
use crate::audit::test_folder;

/// One attack, with a number that chooses its place.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Restores the whole folder from an earlier publication.
    Restore(u32),
    /// Restores only the checkpoint.
    CutBack(u32),
    /// Alters an entry and signs everything again; the entries after it may differ too.
    SignAgain(u32),
    /// The same with another key, which replaces the folder's.
    SwapKey(u32),
}

fn act() -> impl Strategy<Value = Act> {
    (0..4, any::<u32>()).prop_map(|(kind, at)| match kind {
        0 => Act::Restore(at),
        1 => Act::CutBack(at),
        2 => Act::SignAgain(at),
        _ => Act::SwapKey(at),
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn p4_p5_an_insider_is_found_by_what_was_kept(
        history in history(),
        acts in prop::collection::vec(act(), ACTS),
    ) {
        let folder = test_folder("insider");
        let key = test_key();
        history.write(folder.path(), &key);
        let sound = Snapshot::of(folder.path());
        let kept = checkpoint(&history.entries[..history.covered()], &key);
        let whole = verify(folder.path(), key.verifier(), Some(&kept));
        prop_assert!(whole.is_ok(), "untouched: {whole:?}");
        let receipts = receipts(&history);
        for act in acts {
            let Some(altered) = act.on(&history, &sound, folder.path()) else {
                sound.restore(folder.path());
                continue;
            };
            let by_checkpoint = verify(folder.path(), key.verifier(), Some(&kept));
            let by_receipt = receipts
                .iter()
                .find(|(closing, _)| *closing >= altered)
                .map(|(_, claim)| bears_out(folder.path(), &key, claim));
            sound.restore(folder.path());
            prop_assert!(by_checkpoint.is_err(), "{act:?} was not found by a checkpoint");
            // If only the checkpoint was restored, the journal may still confirm the receipt.
            if !matches!(act, Act::CutBack(_)) {
                prop_assert_ne!(by_receipt, Some(true), "{:?} was not found by a receipt", act);
            }
        }
    }
}

impl Act {
    /// Attacks. Returns the first entry that differs, or `None` if nothing changed.
    fn on(self, history: &History, sound: &Snapshot, folder: &std::path::Path) -> Option<u64> {
        let covered = history.covered();
        match self {
            Self::Restore(at) => {
                let earlier = history.earlier(1 + at as usize % history.sizes.len());
                let size = earlier.covered();
                (size < covered).then(|| {
                    sound.restore(folder);
                    for part in ["tile", "journal"] {
                        std::fs::remove_dir_all(folder.join(part)).unwrap();
                    }
                    earlier.write(folder, &test_key());
                    size as u64
                })
            }
            Self::CutBack(at) => {
                let earlier = history.earlier(1 + at as usize % history.sizes.len());
                let size = earlier.covered();
                let older = checkpoint(&earlier.entries, &test_key()).sign(&test_key());
                put(folder, "checkpoint", &older);
                (size < covered).then_some(size as u64)
            }
            Self::SignAgain(at) => Some(forge(history, folder, at, &test_key())),
            Self::SwapKey(at) => {
                let other = Key::generate(test_key().origin()).unwrap();
                Some(forge(history, folder, at, &other))
            }
        }
    }
}

/// Writes another sound history from an entry on, and signs it with a key.
fn forge(history: &History, folder: &std::path::Path, at: u32, key: &Key) -> u64 {
    let index = at as usize % history.covered();
    let mut entries = history.entries[..index].to_vec();
    entries.push(bytes(9_999, Kind::Alive {}));
    for part in ["tile", "journal"] {
        std::fs::remove_dir_all(folder.join(part)).unwrap();
    }
    history.of_others(entries).write(folder, key);
    index as u64
}

/// The index of the closing entry and the claim, for every deletion closed under the checkpoint.
fn receipts(history: &History) -> Vec<(u64, Claim)> {
    let closed = |(index, bytes): (u64, &Vec<u8>)| {
        let entry: Entry = serde_json::from_slice(bytes).unwrap();
        let Kind::Outcome(outcome) = entry.kind else {
            return None;
        };
        let claim = Claim {
            index: outcome.intent,
            leaf: leaf(bytes),
        };
        Some((index, claim))
    };
    (0..)
        .zip(&history.entries[..history.covered()])
        .filter_map(closed)
        .collect()
}

fn bears_out(folder: &std::path::Path, key: &Key, claim: &Claim) -> bool {
    let mut finding = Finding::new(claim.clone());
    let job = Job {
        location: &Location::Folder(folder.to_owned()),
        key: None,
        verifier: Some(key.verifier()),
        against: None::<&Checkpoint>,
    };
    let verified = check(&job, |index, entry, leaf| finding.push(index, entry, leaf));
    verified.is_ok() && finding.result.is_ok()
}
