//! Somebody touches the trail's files on a real disk while it is written.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::*;
use crate::audit::compose::test_intent;

struct Real {
    trail: Trail,
    settings: Settings,
    _folder: TestFolder,
}

impl Real {
    async fn open() -> Self {
        let folder = test_folder("custody");
        let key_file = folder.path().join("audit.key");
        keygen("lychgate.test/edge-1", &key_file).unwrap();
        let settings = Settings {
            directory: folder.path().join("audit"),
            origin: "lychgate.test/edge-1".into(),
            key_file,
            sync_timeout: Duration::from_secs(10),
            segment_bytes: 256 << 10,
            seen_file: folder.path().join("audit.key.seen"),
            heartbeat: Duration::from_secs(3_600),
        };
        let trail = Trail::open(settings.clone(), Clock::system(), Metrics::new());
        trail.opened().await;
        let real = Self {
            trail,
            settings,
            _folder: folder,
        };
        real.delete().await.unwrap();
        real
    }

    async fn delete(&self) -> Result<(), Cause> {
        let open = self
            .trail
            .begin(test_intent(1))
            .await
            .map_err(|c| c.cause)?;
        open.close(deleted()).await.map(drop).map_err(|u| u.cause)
    }

    /// The segment in use: the spare is the one behind it.
    fn segment(&self) -> PathBuf {
        self.settings.directory.join("journal").join("0000000001")
    }

    fn aside(&self) -> PathBuf {
        self.settings.directory.with_extension("aside")
    }

    /// It stays refused until what is found equals what was known, then it is taken again.
    async fn mended(&self) {
        assert!(self.trail.state().closed.is_some());
        opens(&self.trail).await;
        self.delete().await.unwrap();
        let key = Key::read(&self.settings.key_file).unwrap();
        let reads = journal::read(&self.settings.directory, Some(&key)).unwrap();
        let seen: Vec<Entry> = reads
            .map(|r| serde_json::from_slice(&r.unwrap().bytes).unwrap())
            .collect();
        let intents = kinds(&seen).iter().filter(|k| *k == "intent").count();
        assert_eq!(endings(&seen).len(), intents);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_an_unlinked_segment_refuses_deletions_until_it_is_back() {
    let real = Real::open().await;
    let held = real.aside();
    std::fs::rename(real.segment(), &held).unwrap();
    assert_eq!(real.delete().await, Err(Cause::Unlinked));
    std::fs::rename(&held, real.segment()).unwrap();
    real.mended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_replaced_segment_refuses_deletions_until_the_true_one_is_back() {
    let real = Real::open().await;
    let held = real.aside();
    std::fs::rename(real.segment(), &held).unwrap();
    std::fs::copy(&held, real.segment()).unwrap();
    assert_eq!(real.delete().await, Err(Cause::Replaced));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(real.delete().await, Err(Cause::Replaced));
    std::fs::rename(&held, real.segment()).unwrap();
    real.mended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_truncated_segment_refuses_deletions() {
    let real = Real::open().await;
    let file = OpenOptions::new().write(true).open(real.segment()).unwrap();
    file.set_len(8_192).unwrap();
    assert_eq!(real.delete().await, Err(Cause::Truncated));
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_lock_that_is_another_file_refuses_deletions_until_it_is_back() {
    let real = Real::open().await;
    let (lock, held) = (real.settings.directory.join("lock"), real.aside());
    std::fs::rename(&lock, &held).unwrap();
    assert_eq!(real.delete().await, Err(Cause::Unlinked));
    File::create(&lock).unwrap();
    closes(&real.trail, Cause::Replaced).await;
    std::fs::rename(&held, &lock).unwrap();
    real.mended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_segment_that_is_not_ours_is_a_second_writer() {
    let real = Real::open().await;
    let journal = real.settings.directory.join("journal");
    wait(|| journal.join("0000000002").exists()).await;
    let strange = journal.join("0000000003");
    std::fs::write(&strange, b"").unwrap();
    assert_eq!(real.delete().await, Err(Cause::SecondWriter));
    std::fs::remove_file(&strange).unwrap();
    real.mended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_moved_folder_refuses_deletions_until_it_is_back() {
    let real = Real::open().await;
    std::fs::rename(&real.settings.directory, real.aside()).unwrap();
    assert_eq!(real.delete().await, Err(Cause::FolderMoved));
    std::fs::rename(real.aside(), &real.settings.directory).unwrap();
    real.mended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_altered_records_keep_deletions_closed_even_when_the_files_are_in_place() {
    let real = Real::open().await;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(real.segment())
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 200).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 200).unwrap();
    // What stands in old blocks is judged when custody is in doubt.
    let held = real.aside();
    std::fs::rename(real.segment(), &held).unwrap();
    assert_eq!(real.delete().await, Err(Cause::Unlinked));
    std::fs::rename(&held, real.segment()).unwrap();
    closes(&real.trail, Cause::Altered).await;
    file.write_all_at(&byte, 200).unwrap();
    real.mended().await;
}
