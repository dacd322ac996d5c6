//! Key sources: files and URLs that change, fail and recover.

use std::path::PathBuf;

use super::super::{Algorithm, mint};
use super::*;
use crate::fetch::testing::{Server, ok};
use crate::tls::ClientTls;

const QUICK: Pace = Pace {
    poll: Duration::from_millis(5),
    refresh: Duration::from_millis(5),
    asked: Duration::from_millis(5),
    first_retry: Duration::from_millis(5),
    longest_retry: Duration::from_millis(20),
    timeout: Duration::from_secs(60),
};

/// Refreshes only on request.
const WHEN_ASKED: Pace = Pace {
    refresh: Duration::from_secs(3600),
    ..QUICK
};

fn jwks() -> String {
    mint::Key::generate(Algorithm::EdDSA).unwrap().public_jwks()
}

fn open(source: &KeySource, seed: Option<&Keys>, pace: Pace) -> Result<Keys, String> {
    let fetch = Fetch::new(ClientTls::new(None).unwrap());
    let (metrics, clock) = (Metrics::new(), Clock::system());
    Keys::new("i", source, seed, fetch, metrics, clock, pace)
}

fn generation(keys: &Keys) -> u64 {
    keys.current().as_ref().map_or(0, |one| one.generation)
}

/// Waits; only a broken build reaches the bound.
async fn until(what: impl Fn() -> bool) {
    for _ in 0..24_000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the condition did not come true");
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("lychgate-keys-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_file_is_read_at_once_and_again_when_it_changes() {
    let folder = Folder::new("change");
    let path = folder.write("keys", &jwks());
    let keys = open(&KeySource::File(path.clone()), None, QUICK).unwrap();
    assert_eq!((generation(&keys), keys.trouble()), (1, None));
    folder.write("keys", &jwks());
    until(|| generation(&keys) == 2).await;
    // Replaced by a rename, as editors and mounted secrets do.
    let other = folder.write("other", &jwks());
    std::fs::rename(other, &path).unwrap();
    until(|| generation(&keys) == 3 && keys.trouble().is_none()).await;
}

#[tokio::test]
async fn a_link_with_a_new_target_is_noticed() {
    let folder = Folder::new("link");
    let (one, two) = (folder.write("one", &jwks()), folder.write("two", &jwks()));
    let (link, fresh) = (folder.0.join("link"), folder.0.join("fresh"));
    std::os::unix::fs::symlink(one, &link).unwrap();
    let keys = open(&KeySource::File(link.clone()), None, QUICK).unwrap();
    std::os::unix::fs::symlink(two, &fresh).unwrap();
    std::fs::rename(fresh, link).unwrap();
    until(|| generation(&keys) == 2).await;
}

#[tokio::test]
async fn p10_a_bad_file_keeps_the_old_keys_and_shows_as_trouble() {
    let folder = Folder::new("bad");
    let path = folder.write("keys", &jwks());
    let keys = open(&KeySource::File(path.clone()), None, QUICK).unwrap();
    let shows = |text: &str| keys.trouble().is_some_and(|(why, _)| why.contains(text));
    folder.write("keys", "{");
    until(|| shows("not JSON")).await;
    assert!(shows("the keys read before stay in force"));
    folder.write("keys", r#"{"keys":[]}"#);
    until(|| shows("no usable key")).await;
    std::fs::remove_file(&path).unwrap();
    until(|| shows("cannot be read")).await;
    assert_eq!(generation(&keys), 1);
    folder.write("keys", &jwks());
    until(|| keys.trouble().is_none()).await;
    assert_eq!(generation(&keys), 2);
}

#[tokio::test]
async fn a_rewrite_of_the_same_content_keeps_the_generation() {
    let folder = Folder::new("same");
    let text = jwks();
    let path = folder.write("keys", &text);
    let source = KeySource::File(path);
    let keys = open(&source, None, QUICK).unwrap();
    let read = keys.shared.metrics.key_refreshes.get();
    folder.write("keys", &text);
    until(|| keys.shared.metrics.key_refreshes.get() > read + 1).await;
    assert_eq!(generation(&keys), 1);
}

#[tokio::test]
async fn a_file_that_cannot_be_used_at_start_is_named() {
    let folder = Folder::new("start");
    let long = format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(300 * 1024));
    for (path, expected) in [
        (folder.0.join("missing"), "cannot be read"),
        (folder.0.clone(), "is not a file"),
        (folder.write("empty", ""), "not JSON"),
        (folder.write("none", r#"{"keys":[]}"#), "no usable key"),
        (folder.write("long", &long), "longer than 256 KiB"),
    ] {
        let why = open(&KeySource::File(path.clone()), None, QUICK).unwrap_err();
        assert!(why.contains(expected), "{why}");
        assert!(why.starts_with(path.to_str().unwrap()), "{why}");
    }
}

#[tokio::test]
async fn a_url_is_fetched_again_until_it_returns_keys() {
    let text = jwks();
    let server = Server::start(move |number| match number {
        0 => b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_vec(),
        1 => ok("{}"),
        _ => ok(&text),
    })
    .await;
    let keys = open(&KeySource::Url(server.url("/k?secret")), None, WHEN_ASKED).unwrap();
    assert!(keys.trouble().is_some(), "nothing was read yet");
    until(|| generation(&keys) == 1).await;
    until(|| keys.trouble().is_none()).await;
    assert_eq!(server.heads().len(), 3);
}

#[tokio::test]
async fn p10_keys_stay_in_force_while_a_url_fails() {
    let text = jwks();
    let server = Server::start(move |number| match number {
        0 => ok(&text),
        _ => ok(r#"{"keys":[]}"#),
    })
    .await;
    let keys = open(&KeySource::Url(server.url("/k?secret")), None, QUICK).unwrap();
    until(|| generation(&keys) == 1 && keys.trouble().is_some()).await;
    until(|| server.heads().len() > 3).await;
    assert_eq!(generation(&keys), 1);
    let (trouble, _) = keys.trouble().unwrap();
    assert!(
        trouble.contains("/k: the key set holds no usable key"),
        "{trouble}"
    );
    assert!(!trouble.contains("secret"), "{trouble}");
}

#[tokio::test]
async fn a_url_is_fetched_again_in_the_background() {
    let server = Server::start(|_| ok(&jwks())).await;
    let keys = open(&KeySource::Url(server.url("/k")), None, QUICK).unwrap();
    until(|| generation(&keys) > 2).await;
}

#[tokio::test]
async fn an_unknown_key_causes_one_fetch_not_one_a_request() {
    let server = Server::start(|_| ok(&jwks())).await;
    let keys = open(&KeySource::Url(server.url("/k")), None, WHEN_ASKED).unwrap();
    until(|| generation(&keys) == 1).await;
    keys.ask();
    until(|| generation(&keys) == 2).await;
    let rare = Pace {
        asked: Duration::from_secs(3600),
        ..WHEN_ASKED
    };
    let keys = open(&KeySource::Url(server.url("/rare")), None, rare).unwrap();
    until(|| generation(&keys) == 1).await;
    for _ in 0..10_000 {
        keys.ask();
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let rare = server
        .heads()
        .iter()
        .filter(|head| head.contains("/rare"))
        .count();
    assert_eq!(rare, 1);
}

#[tokio::test]
async fn p10_keys_taken_over_are_in_force_without_a_fetch() {
    let server = Server::start(|_| ok(&jwks())).await;
    let source = KeySource::Url(server.url("/k"));
    let old = open(&source, None, WHEN_ASKED).unwrap();
    until(|| generation(&old) == 1).await;
    assert!(old.are_of("i", &source) && !old.are_of("j", &source));
    let new = open(&source, Some(&old), WHEN_ASKED).unwrap();
    drop(old);
    assert_eq!((generation(&new), new.trouble()), (1, None));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.heads().len(), 1);
    new.ask();
    until(|| generation(&new) == 2).await;
}

#[tokio::test]
async fn p10_a_file_that_turned_bad_does_not_fail_a_reload() {
    let folder = Folder::new("reload");
    let path = folder.write("keys", &jwks());
    let source = KeySource::File(path);
    let old = open(&source, None, WHEN_ASKED).unwrap();
    folder.write("keys", "{");
    let new = open(&source, Some(&old), WHEN_ASKED).unwrap();
    assert_eq!(generation(&new), 1);
    assert!(new.trouble().unwrap().0.contains("not JSON"));
}

#[tokio::test]
async fn dropping_the_keys_ends_their_task() {
    let folder = Folder::new("drop");
    let server = Server::start(|_| ok(&jwks())).await;
    let path = folder.write("keys", &jwks());
    for source in [KeySource::Url(server.url("/k")), KeySource::File(path)] {
        let keys = open(&source, None, QUICK).unwrap();
        until(|| generation(&keys) > 0).await;
        let shared = Arc::downgrade(&keys.shared);
        drop(keys);
        until(|| shared.upgrade().is_none()).await;
    }
}

#[tokio::test]
async fn an_invalid_url_is_an_error_at_start() {
    let why = open(&KeySource::Url("ftp://a/k".into()), None, QUICK).unwrap_err();
    assert_eq!(why, "jwks_url must begin with https:// or http://");
}
