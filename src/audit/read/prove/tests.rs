//! Proofs from folders, verified with the proof and the public key alone.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::audit::log::key::{Key, test_key};
use crate::audit::log::merkle::leaf;
use crate::audit::read::testing::Flaky;
use crate::audit::read::verify::sample::{long, publish, sound, split, write, write_log};
use crate::audit::read::{CHECKPOINT, FolderFiles, Trouble};
use crate::audit::{TestFolder, test_folder};

/// 300 entries: one `alive`, then intents and outcomes in turn.
fn published(sizes: &[u64]) -> TestFolder {
    let folder = test_folder("prove");
    write_log(folder.path(), &long(300), sizes);
    folder
}

fn proof_of(
    directory: &Path,
    wanted: Wanted,
    side: Side,
    given: Option<&Hash>,
) -> Result<TlogProof, ProveError> {
    let wanted = (&wanted, side);
    let proved = of_folder(directory, &test_key(), wanted, given, Duration::ZERO)?;
    assert_eq!(proved.apart, None);
    Ok(proved.proof)
}

fn of_folder(
    directory: &Path,
    key: &Key,
    wanted: (&Wanted, Side),
    given: Option<&Hash>,
    patience: Duration,
) -> Result<Proved, ProveError> {
    let location = Location::Folder(directory.to_owned());
    let (wanted, side) = wanted;
    prove(&location, key.verifier(), wanted, side, given, patience)
}

/// Proves an entry, verifies the proof, and returns its index.
fn proved(directory: &Path, wanted: Wanted, side: Side) -> Result<u64, ProveError> {
    let proof = proof_of(directory, wanted, side, None)?;
    Ok(shown(&proof).index)
}

/// Verifies a proof from its text.
fn shown(proof: &TlogProof) -> Evidence {
    let read = TlogProof::parse(&proof.to_text()).unwrap();
    let evidence = judge(&read, None, None, test_key().verifier()).unwrap();
    assert!(evidence.size > evidence.index);
    evidence
}

#[test]
fn p5_every_entry_under_the_checkpoint_is_proved_with_its_bytes() {
    let folder = published(&[5, 260, 299]);
    let entries = long(300);
    for index in (0..299).step_by(7).chain([254, 255, 256, 257, 298]) {
        let wanted = Wanted::Index(index);
        let proof = proof_of(folder.path(), wanted, Side::Closing, None).unwrap();
        let of = |index: u64| entries[index as usize].clone();
        let is_closing = index > 0 && index % 2 == 0;
        let extra = match is_closing {
            true => [of(index), of(index - 1)].join(&b'\n'),
            false => of(index),
        };
        assert_eq!(proof.extra, Some(extra));
        let evidence = shown(&proof);
        assert_eq!(evidence.entry, Some(of(index)));
        assert_eq!(evidence.deletion.is_some(), index > 0);
    }
}

#[test]
fn p5_the_proof_of_a_split_deletion_holds_every_part() {
    let folder = test_folder("prove");
    let entries = split(3, 40);
    write_log(folder.path(), &entries, &[4]);
    for wanted in [Wanted::Deletion(0), Wanted::Index(3)] {
        let proof = proof_of(folder.path(), wanted, Side::Closing, None).unwrap();
        let order = [3, 0, 1, 2].map(|index: usize| entries[index].clone());
        assert_eq!(proof.extra, Some(order.join(&b'\n')));
        let deletion = shown(&proof).deletion.unwrap();
        assert_eq!((deletion.index, deletion.users.len()), (0, 120));
    }
    let first = proof_of(folder.path(), Wanted::Deletion(0), Side::Intent, None);
    assert_eq!(first.unwrap().extra.as_ref(), Some(&entries[0]));
    for entry in &entries {
        let given = leaf(entry);
        let wanted = Wanted::Deletion(0);
        assert!(proof_of(folder.path(), wanted, Side::Closing, Some(&given)).is_ok());
    }
}

#[test]
fn p5_intents_without_room_in_the_proof_are_apart() {
    let folder = test_folder("prove");
    let entries = split(2, 2_100);
    write_log(folder.path(), &entries, &[3]);
    let wanted = (&Wanted::Deletion(0), Side::Closing);
    let proved = of_folder(folder.path(), &test_key(), wanted, None, Duration::ZERO).unwrap();
    assert_eq!(proved.proof.extra.as_ref(), Some(&entries[2]));
    let apart = proved.apart.unwrap();
    assert_eq!(apart, entries[..2].join(&b'\n'));
    assert!(apart.len() <= max_bytes_apart(&proved.proof).unwrap());
    let key = test_key();
    let whole = judge(&proved.proof, Some(&apart), None, key.verifier()).unwrap();
    assert_eq!(whole.deletion.unwrap().users.len(), 4_200);
    let alone = judge(&proved.proof, None, None, key.verifier()).unwrap();
    assert_eq!(alone.missing, Some(MissingPart::Intent));
}

#[test]
fn p5_a_closing_entry_with_other_leaves_is_not_proved() {
    let folder = test_folder("prove");
    let mut entries = split(2, 3);
    entries[1] = entries[0].clone();
    write_log(folder.path(), &entries, &[3]);
    let of = |wanted| proved(folder.path(), wanted, Side::Closing);
    assert!(matches!(of(Wanted::Index(2)), Err(ProveError::Log(_))));
    assert_eq!(of(Wanted::Index(0)), Ok(0));
}

#[test]
fn p5_receipt_and_request_id_select_closing_entry_or_intent() {
    let folder = published(&[300]);
    for wanted in [Wanted::Deletion(257), Wanted::Request("request 257".into())] {
        let of = |side| proved(folder.path(), wanted.clone(), side);
        assert_eq!(of(Side::Closing), Ok(258));
        assert_eq!(of(Side::Intent), Ok(257));
    }
    let of = |index, side| proved(folder.path(), Wanted::Index(index), side);
    assert_eq!(of(258, Side::Closing), Ok(258));
    assert_eq!(of(257, Side::Closing), Ok(257));
    assert_eq!(of(258, Side::Intent), Ok(257));
}

#[test]
fn p5_a_refusal_is_proved_by_its_request_id() {
    let folder = test_folder("prove");
    write_log(folder.path(), &sound(), &[7]);
    let of = |id: &str| proved(folder.path(), Wanted::Request(id.into()), Side::Closing);
    assert_eq!(of("c"), Ok(4));
    assert_eq!(of("a"), Ok(5));
    assert!(matches!(of("nobody"), Err(ProveError::NotThere(_))));
}

#[test]
fn p5_only_the_deletions_own_leaves_are_accepted() {
    let folder = published(&[300]);
    let entries = long(300);
    let (intent, closing) = (leaf(&entries[257]), leaf(&entries[258]));
    for wanted in [
        Wanted::Deletion(257),
        Wanted::Request("request 257".into()),
        Wanted::Index(257),
        Wanted::Index(258),
    ] {
        let with =
            |given: &Hash| proof_of(folder.path(), wanted.clone(), Side::Closing, Some(given));
        assert!(with(&intent).is_ok(), "{wanted:?}");
        assert!(with(&closing).is_ok(), "{wanted:?}");
        let other = with(&leaf(&entries[256]));
        assert!(matches!(other, Err(ProveError::AnotherLeaf(_))));
    }
}

#[test]
fn p5_a_deletion_in_flight_has_no_closing_entry_yet() {
    let folder = test_folder("prove");
    write_log(folder.path(), &sound(), &[7]);
    let of = |side| proved(folder.path(), Wanted::Deletion(6), side);
    assert!(matches!(of(Side::Closing), Err(ProveError::NotYet(_))));
    assert_eq!(of(Side::Intent), Ok(6));
}

#[test]
fn p5_an_entry_beyond_the_checkpoint_is_not_proved_yet() {
    let folder = published(&[299]);
    let error = proved(folder.path(), Wanted::Deletion(299), Side::Intent).unwrap_err();
    assert!(
        error.to_string().contains("no checkpoint covers it yet"),
        "{error}"
    );
    let young = test_folder("prove");
    write(young.path(), &sound());
    let error = proved(young.path(), Wanted::Index(0), Side::Closing).unwrap_err();
    assert!(matches!(error, ProveError::NotYet(_)));
}

#[test]
fn p5_prove_waits_for_the_next_checkpoint() {
    let folder = published(&[299]);
    let directory = folder.path().to_owned();
    let publisher = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        publish(&directory, &long(300), &[300], &test_key(), false);
    });
    let wanted = (&Wanted::Index(299), Side::Closing);
    let patience = Duration::from_secs(60);
    let proof = of_folder(folder.path(), &test_key(), wanted, None, patience);
    publisher.join().unwrap();
    assert_eq!(proof.unwrap().proof.index, 299);
}

#[test]
fn p5_a_missing_deletion_is_reported() {
    let folder = published(&[300]);
    for wanted in [
        Wanted::Deletion(0),
        Wanted::Deletion(258),
        Wanted::Deletion(300),
        Wanted::Index(300),
    ] {
        let error = proved(folder.path(), wanted.clone(), Side::Closing).unwrap_err();
        assert!(
            matches!(error, ProveError::NotThere(_)),
            "{wanted:?}: {error}"
        );
    }
}

#[test]
fn p5_only_a_damaged_entry_takes_a_proof() {
    // The proof of this entry needs each of these files: its bundle, its siblings, the other tile's
    // root.
    for (file, index) in [
        ("tile/entries/000", 0),
        ("tile/0/000", 1),
        ("tile/1/000.p/1", 257),
        ("tile/0/001.p/44", 257),
    ] {
        let folder = published(&[300]);
        let path = folder.path().join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[31] ^= 1;
        let of = || proved(folder.path(), Wanted::Index(index), Side::Closing);
        for change in ["altered", "short", "missing"] {
            match change {
                "altered" => std::fs::write(&path, &bytes).unwrap(),
                "short" => std::fs::write(&path, b"short").unwrap(),
                _ => std::fs::remove_file(&path).unwrap(),
            }
            match file.contains("entries") {
                true => assert!(matches!(of(), Err(ProveError::Log(_))), "{file} {change}"),
                false => assert_eq!(of(), Ok(index), "{file} {change}"),
            }
        }
    }
}

#[test]
fn p5_a_journal_that_cannot_be_read_takes_no_covered_proof() {
    let folder = published(&[299]);
    let floor = folder.path().join("journal/floor");
    std::fs::write(floor, "lychgate journal floor v2\n").unwrap();
    let of = |index| proved(folder.path(), Wanted::Index(index), Side::Closing);
    assert_eq!(of(257), Ok(257));
    assert!(matches!(of(299), Err(ProveError::Log(_))));
    let log = Location::Folder(folder.path().to_owned()).open(None);
    let fault = log.unwrap().tail().next().unwrap().unwrap_err();
    assert_eq!(
        (fault.trouble, fault.index),
        (Trouble::Unreadable, Some(299))
    );
}

#[test]
fn p5_a_checkpoint_of_another_key_proves_nothing() {
    let folder = published(&[300]);
    let other = Key::generate("lychgate.test/log").unwrap();
    let wanted = (&Wanted::Index(0), Side::Closing);
    let result = of_folder(folder.path(), &other, wanted, None, Duration::ZERO);
    assert!(
        matches!(result, Err(ProveError::Log(failure)) if failure.file.as_deref() == Some(CHECKPOINT))
    );
}

#[test]
fn p5_published_files_alone_are_enough() {
    let folder = published(&[299]);
    let files = FolderFiles::open(folder.path()).unwrap();
    let log = Location::Published(Arc::new(files));
    let of = |index| {
        let (wanted, key) = (Wanted::Deletion(index), test_key());
        prove(
            &log,
            key.verifier(),
            &wanted,
            Side::Closing,
            None,
            Duration::ZERO,
        )
    };
    assert_eq!(of(1).unwrap().proof.index, 2);
    assert!(matches!(of(299), Err(ProveError::NotThere(_))));
}

/// Proves an entry of a log with unreadable files, and returns the fault.
fn fault(files: Flaky, wanted: Wanted, side: Side) -> MissingRange {
    let log = Location::Published(Arc::new(files));
    let key = test_key();
    match prove(&log, key.verifier(), &wanted, side, None, Duration::ZERO) {
        Err(ProveError::Log(fault)) => fault,
        proof => panic!("{proof:?}"),
    }
}

#[test]
fn p5_an_unreadable_file_is_not_reported_as_missing() {
    let folder = published(&[300]);
    let files = Flaky::new(folder.path(), "tile/entries/001.p/44", |_| true);
    let fault = fault(files, Wanted::Index(299), Side::Closing);
    assert_eq!(fault.trouble, Trouble::Unreadable, "{fault}");
}

#[test]
fn p5_damage_elsewhere_takes_no_proof_of_an_intent() {
    let folder = published(&[300]);
    let path = folder.path().join("tile/entries/000");
    let entry = &long(300)[2];
    let mut bundle = std::fs::read(&path).unwrap();
    let at = bundle.windows(entry.len()).position(|some| some == entry);
    bundle[at.unwrap() + 30] ^= 1;
    std::fs::write(&path, bundle).unwrap();
    // Entry 2 closes the deletion of entry 1.
    let of = |side| proved(folder.path(), Wanted::Deletion(1), side);
    assert_eq!(of(Side::Intent), Ok(1));
    let Err(ProveError::Log(missing)) = of(Side::Closing) else {
        panic!("the closing entry cannot be read");
    };
    assert_eq!(missing.index, Some(2));
}

#[test]
fn p5_a_read_that_fails_does_not_deny_the_receipt() {
    let folder = published(&[300]);
    let files = Flaky::new(folder.path(), "tile/entries/000", |read| read == 1);
    let fault = fault(files, Wanted::Deletion(1), Side::Intent);
    assert_eq!(fault.trouble, Trouble::Unreadable);
}
