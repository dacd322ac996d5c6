//! Another program changes the trail's files on a real disk while the writer uses them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::audit::entry::compose::test_intent;

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status();
    assert!(copied.unwrap().success());
}

struct Real {
    trail: Trail,
    settings: Settings,
    _folder: TestFolder,
}

impl Real {
    async fn open() -> Self {
        let folder = test_folder("integrity");
        let key_file = folder.path().join("audit.key");
        keygen("lychgate.test/edge-1", &key_file).unwrap();
        let settings = Settings {
            directory: folder.path().join("audit"),
            origin: "lychgate.test/edge-1".into(),
            key_file,
            sync_timeout: Duration::from_secs(600),
            segment_bytes: 256 << 10,
            space: crate::audit::status::space::Levels::default(),
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

    /// The entries of the journal.
    fn entries(&self) -> Vec<Entry> {
        let key = Key::read(&self.settings.key_file).unwrap();
        let reads = journal::read(&self.settings.directory, Some(&key)).unwrap();
        reads
            .map(|r| serde_json::from_slice(&r.unwrap().bytes).unwrap())
            .collect()
    }

    /// Waits for the entry about the end of this trouble; the state itself may be too short to see.
    async fn was(&self, cause: Cause) {
        let is_end = |entry: &Entry| match &entry.kind {
            Kind::Trouble(trouble) => trouble.cause == cause.as_str() && trouble.state == "ended",
            _ => false,
        };
        wait(|| self.entries().iter().any(is_end)).await;
    }

    /// The current segment; the spare is the next one.
    fn segment(&self) -> PathBuf {
        self.settings.directory.join("journal").join("0000000001")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.settings.directory.join(name)
    }

    fn aside(&self) -> PathBuf {
        self.settings.directory.with_extension("aside")
    }

    /// Replaces a file by another with this content, in one step.
    fn replace(&self, path: &Path, bytes: &[u8]) {
        let beside = self.settings.directory.with_extension("beside");
        std::fs::write(&beside, bytes).unwrap();
        std::fs::rename(&beside, path).unwrap();
    }

    /// Deletions stay refused until the files are as the writer left them; then it takes them again.
    async fn mended(&self) {
        self.mended_but(0).await;
    }

    /// [`Self::mended`] with this many open intents.
    async fn mended_but(&self, open: usize) {
        opens(&self.trail).await;
        self.delete().await.unwrap();
        let seen = self.entries();
        let intents = kinds(&seen).iter().filter(|k| *k == "intent").count();
        assert_eq!(endings(&seen).len() + open, intents);
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
async fn p3_a_replaced_segment_refuses_deletions_until_it_is_back() {
    let real = Real::open().await;
    let held = real.aside();
    std::fs::hard_link(real.segment(), &held).unwrap();
    let mut other = std::fs::read(&held).unwrap();
    other[100] ^= 1;
    real.replace(&real.segment(), &other);
    assert_eq!(real.delete().await, Err(Cause::Replaced));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(real.delete().await, Err(Cause::Replaced));
    std::fs::rename(&held, real.segment()).unwrap();
    real.mended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_file_with_the_same_bytes_replaces_the_one_that_is_gone() {
    for name in ["journal/0000000001", "lock", "verifier"] {
        let real = Real::open().await;
        let path = real.file(name);
        real.replace(&path, &std::fs::read(&path).unwrap());
        real.was(Cause::Replaced).await;
        real.mended().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_older_files_are_judged_too_before_anybody_is_answered() {
    let real = Real::open().await;
    // An open intent keeps its segment from pruning.
    let open = real.trail.begin(test_intent(1)).await.unwrap();
    // After a fault and its end, the former current segment is an older one.
    let (lock, held) = (real.file("lock"), real.aside());
    std::fs::rename(&lock, &held).unwrap();
    assert_eq!(real.delete().await, Err(Cause::Unlinked));
    std::fs::rename(&held, &lock).unwrap();
    real.mended_but(1).await;
    for (path, place) in [(real.segment(), 200), (real.file("verifier"), 2), (lock, 2)] {
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, place).unwrap();
        file.write_all_at(b"?", place).unwrap();
        assert_eq!(real.delete().await, Err(Cause::Altered), "{path:?}");
        file.write_all_at(&byte, place).unwrap();
        real.mended_but(1).await;
        let bytes = std::fs::read(&path).unwrap();
        file.set_len(bytes.len() as u64 - 1).unwrap();
        assert_eq!(real.delete().await, Err(Cause::Truncated), "{path:?}");
        std::fs::write(&path, bytes).unwrap();
        real.mended_but(1).await;
    }
    open.close(deleted()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_trouble_shows_where_nobody_deletes() {
    let real = Real::open().await;
    let held = real.aside();
    std::fs::rename(real.segment(), &held).unwrap();
    closes(&real.trail, Cause::Unlinked).await;
    std::fs::rename(&held, real.segment()).unwrap();
    real.mended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_spare_that_is_gone_is_made_anew() {
    let real = Real::open().await;
    let spare = real.file("journal/0000000002");
    wait(|| spare.exists()).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    std::fs::remove_file(&spare).unwrap();
    real.was(Cause::Unlinked).await;
    real.mended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_spare_of_other_bytes_is_never_used() {
    let real = Real::open().await;
    let spare = real.file("journal/0000000002");
    wait(|| spare.exists()).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    let zeros = std::fs::read(&spare).unwrap();
    let other = [&zeros[1..], b"?"].concat();
    real.replace(&spare, &other);
    real.was(Cause::Replaced).await;
    real.mended().await;
    // The publisher may have pruned it.
    assert!(std::fs::read(&spare).is_ok_and(|now| now == other) || !spare.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_folder_or_file_that_is_made_read_only_refuses_deletions() {
    use std::os::unix::fs::PermissionsExt;
    let real = Real::open().await;
    for path in [real.file(""), real.file("journal")] {
        let mode = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode));
        mode(0o550).unwrap();
        assert_eq!(real.delete().await, Err(Cause::ReadOnly), "{path:?}");
        mode(0o750).unwrap();
        real.mended().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_truncated_segment_refuses_deletions() {
    let real = Real::open().await;
    let file = OpenOptions::new().write(true).open(real.segment()).unwrap();
    file.set_len(8_192).unwrap();
    assert_eq!(real.delete().await, Err(Cause::Truncated));
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_lock_that_another_process_holds_refuses_deletions() {
    let real = Real::open().await;
    let lock = real.file("lock");
    std::fs::rename(&lock, real.aside()).unwrap();
    assert_eq!(real.delete().await, Err(Cause::Unlinked));
    let other = File::create(&lock).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let told = || real.trail.state().closed;
    wait(|| told().is_some_and(|found| found.detail.contains("writes this trail"))).await;
    assert_eq!(real.delete().await, Err(Cause::Unlinked));
    drop(other);
    real.mended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_segment_that_is_not_ours_is_a_second_writer() {
    let real = Real::open().await;
    let journal = real.settings.directory.join("journal");
    wait(|| journal.join("0000000002").exists()).await;
    for strange in ["0000000003", "0000000099"] {
        std::fs::write(journal.join(strange), b"").unwrap();
        assert_eq!(real.delete().await, Err(Cause::SecondWriter));
        std::fs::remove_file(journal.join(strange)).unwrap();
        real.mended().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_anothers_name_on_the_lock_is_a_second_writer() {
    let real = Real::open().await;
    // Only the lock's content changed, so the writer restores it.
    let lock = real.file("lock");
    let length = std::fs::metadata(&lock).unwrap().len() as usize;
    let other = format!("{:a<1$}\n", "7 0193-", length - 1);
    let file = OpenOptions::new().write(true).open(&lock).unwrap();
    file.write_all_at(other.as_bytes(), 0).unwrap();
    real.was(Cause::SecondWriter).await;
    real.mended().await;
    let name = std::fs::read_to_string(lock).unwrap();
    assert!(
        name.starts_with(&format!("{} ", std::process::id())),
        "{name}"
    );
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
async fn p4_a_copy_that_another_gateway_wrote_in_stays_closed() {
    let real = Real::open().await;
    let (path, held) = (&real.settings.directory, real.aside());
    std::fs::rename(path, &held).unwrap();
    // The copy too holds the refused attempt after the last record.
    assert_eq!(real.delete().await, Err(Cause::FolderMoved));
    let other = Settings {
        directory: real.settings.directory.with_extension("other"),
        seen_file: real.settings.directory.with_extension("other.seen"),
        ..real.settings.clone()
    };
    copy(&held, &other.directory);
    let gateway = Trail::open(other.clone(), Clock::system(), Metrics::new());
    gateway.opened().await;
    gateway.begin(test_intent(1)).await.unwrap();
    gateway.stop().await;
    std::fs::rename(&other.directory, path).unwrap();
    let told = || real.trail.state().closed;
    wait(|| told().is_some_and(|found| found.detail.contains("another process wrote here"))).await;
    assert_eq!(real.delete().await, Err(Cause::FolderMoved));
    std::fs::remove_dir_all(path).unwrap();
    std::fs::rename(&held, path).unwrap();
    real.mended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_altered_records_in_the_right_files_keep_deletions_closed() {
    let real = Real::open().await;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(real.segment())
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 200).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 200).unwrap();
    assert_eq!(real.delete().await, Err(Cause::Altered));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(real.delete().await, Err(Cause::Altered));
    file.write_all_at(&byte, 200).unwrap();
    real.mended().await;
}
