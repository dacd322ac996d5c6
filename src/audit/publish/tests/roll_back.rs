//! The gateway never continues a log that is older than before, another one, damaged or missing.

use std::path::PathBuf;

use super::*;
use crate::audit::TestFolder;
use crate::audit::status::Cause;

/// A log that was stopped twice, and a copy from after the first stop.
struct Twice {
    settings: Settings,
    older: PathBuf,
    _folder: TestFolder,
}

async fn twice() -> Twice {
    let folder = test_folder("roll-back");
    let settings = settings(folder.path());
    let older = folder.path().join("older");
    for round in 0..2 {
        let trail = open(&settings).await;
        delete(&trail, 3).await;
        trail.stop().await;
        if round == 0 {
            copy(&settings.directory, &older);
        }
    }
    Twice {
        settings,
        older,
        _folder: folder,
    }
}

/// The cause and detail of the refusal. Also checks that nothing is signed.
async fn refused(settings: &Settings) -> (Cause, String) {
    let signed = || std::fs::read(settings.directory.join("checkpoint")).ok();
    let before = signed();
    let foreseen = crate::audit::preflight(settings).unwrap_err();
    let trail = open(settings).await;
    let closed = trail.begin(test_intent(1)).await.unwrap_err();
    trail.stop().await;
    assert_eq!(signed(), before);
    assert_eq!(foreseen, closed, "`check` and `run` use the same words");
    (closed.cause, closed.detail)
}

fn replace(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).unwrap();
    copy(from, to);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_an_older_folder_is_rolled_back() {
    let Twice {
        settings, older, ..
    } = &twice().await;
    let newest = settings.directory.with_extension("newest");
    copy(&settings.directory, &newest);
    replace(older, &settings.directory);
    let (cause, detail) = refused(settings).await;
    assert_eq!(cause, Cause::RolledBack);
    assert!(
        detail.contains("knows 16 entries, and the trail holds 8"),
        "{detail}"
    );
    replace(&newest, &settings.directory);
    let trail = open(settings).await;
    assert_eq!(trail.state().closed, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_missing_or_emptied_folder_is_rolled_back() {
    let Twice { settings, .. } = &twice().await;
    std::fs::remove_dir_all(&settings.directory).unwrap();
    assert_eq!(refused(settings).await.0, Cause::RolledBack);
    std::fs::remove_dir_all(&settings.directory).unwrap();
    std::fs::create_dir(&settings.directory).unwrap();
    assert_eq!(refused(settings).await.0, Cause::RolledBack);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_another_history_of_the_same_length_is_rolled_back() {
    let Twice {
        settings, older, ..
    } = &twice().await;
    // The older copy grows past the newest known checkpoint, as it would on another machine.
    let other = Settings {
        directory: older.clone(),
        seen_file: older.with_extension("seen"),
        ..settings.clone()
    };
    let trail = open(&other).await;
    delete(&trail, 9).await;
    trail.stop().await;
    replace(older, &settings.directory);
    let (cause, detail) = refused(settings).await;
    assert_eq!(cause, Cause::RolledBack);
    assert!(detail.contains("first 16 entries are not"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_journal_shorter_than_its_checkpoint_is_damaged() {
    let Twice {
        settings, older, ..
    } = &twice().await;
    replace(&older.join("journal"), &settings.directory.join("journal"));
    std::fs::remove_file(&settings.seen_file).unwrap();
    let (cause, detail) = refused(settings).await;
    assert_eq!(cause, Cause::Damaged);
    assert!(detail.contains("entry 8 is missing"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_changed_tile_bundle_or_checkpoint_is_damaged_and_named() {
    let Twice { settings, .. } = &twice().await;
    let names = ["tile/0/000.p/16", "tile/entries/000.p/16", "checkpoint"];
    for (name, shown) in names.into_iter().zip(["the tiles", names[1], names[2]]) {
        let path = settings.directory.join(name);
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        std::fs::write(&path, bad).unwrap();
        let (cause, detail) = refused(settings).await;
        assert_eq!(cause, Cause::Damaged, "{name}");
        assert!(detail.contains(shown), "{detail}");
        std::fs::write(&path, good).unwrap();
    }
    let trail = open(settings).await;
    assert_eq!(trail.state().closed, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_foreign_seen_file_keeps_deletions_closed() {
    let Twice { settings, .. } = &twice().await;
    let of_another = Checkpoint {
        origin: "lychgate.test/another".into(),
        size: 7,
        root: [7; 32],
    };
    let of_another = of_another.sign(&Key::generate("lychgate.test/another").unwrap());
    for (bad, told) in [
        (b"".as_slice(), "holds no checkpoint: "),
        (b"another\n1\nxx\n", "holds no checkpoint: "),
        (
            &of_another,
            "a checkpoint of lychgate.test/another with 7 entries: not signed by",
        ),
    ] {
        std::fs::write(&settings.seen_file, bad).unwrap();
        let (cause, detail) = refused(settings).await;
        assert_eq!(cause, Cause::RolledBack);
        assert!(detail.contains(told), "{told}: {detail}");
    }
    // Without a seen file the gateway knows no older state, and writes a new file.
    std::fs::remove_file(&settings.seen_file).unwrap();
    let trail = open(settings).await;
    assert_eq!(trail.state().closed, None);
    assert!(settings.seen_file.exists());
}
