//! What `check` finds on this machine, and that `run` uses the same words.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;
use crate::config::{Level, OfMachine};
use crate::fetch::testing::{Server, ok};

async fn errors(config: &Config) -> Vec<OfMachine> {
    let mut found = machine::findings(config, false).await;
    found.retain(|found| found.level == Level::Error);
    found
}

/// Every file below a folder with its content; `None` for a folder.
fn picture(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(picture(&path));
        }
        found.insert(path.clone(), fs::read(path).ok());
    }
    found
}

/// Asserts that `check` names the cause that the trail then closes with, word for word, and that it
/// changes nothing.
#[track_caller]
fn told(before: &BTreeMap<PathBuf, Option<Vec<u8>>>, folder: &Path, found: &[OfMachine]) -> String {
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(*before == picture(folder), "check changed a file");
    found[0].message.clone()
}

async fn assert_same_words(folder: &Path, config: &Config, cause: &str) {
    let before = picture(folder);
    let message = told(&before, folder, &errors(config).await);
    let trail = kept(config).trail;
    trail.opened().await;
    let closed = trail.state().closed.expect("it does not open");
    trail.stop().await;
    let words = format!("{}: {}", closed.cause.as_str(), closed.detail);
    assert!(message.contains(&words), "{message}\n{words}");
    assert_eq!(closed.cause.as_str(), cause);
}

async fn run_once(config: &Config) {
    let trail = kept(config).trail;
    trail.opened().await;
    assert_eq!(trail.state().closed, None);
    trail.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p12_check_creates_nothing_and_finds_nothing_wrong() {
    let folder = test_folder("needs");
    let config = config(folder.path(), &[]);
    for round in 0..2 {
        let before = picture(folder.path());
        assert_eq!(errors(&config).await, [], "round {round}");
        assert!(before == picture(folder.path()));
        assert_eq!(config.audit.directory.exists(), round > 0);
        run_once(&config).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p12_check_and_run_use_the_same_words_for_the_folder() {
    let folder = test_folder("needs");
    let config = config(folder.path(), &[("\"audit\"", "\"a/audit\"")]);
    fs::write(folder.path().join("a"), "in the way").unwrap();
    assert_same_words(folder.path(), &config, "sync-failed").await;
    fs::remove_file(folder.path().join("a")).unwrap();
    fs::create_dir(folder.path().join("a")).unwrap();
    fs::write(&config.audit.directory, "in the way").unwrap();
    assert_same_words(folder.path(), &config, "sync-failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_check_finds_a_rolled_back_folder() {
    let folder = test_folder("needs");
    let config = config(folder.path(), &[]);
    run_once(&config).await;
    fs::remove_dir_all(&config.audit.directory).unwrap();
    let before = picture(folder.path());
    let message = told(&before, folder.path(), &errors(&config).await);
    assert!(message.contains("rolled-back: "), "{message}");
    assert_same_words(folder.path(), &config, "rolled-back").await;
    fs::remove_dir_all(&config.audit.directory).unwrap();
    fs::create_dir(&config.audit.directory).unwrap();
    assert_same_words(folder.path(), &config, "rolled-back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_check_finds_the_folder_of_another_key() {
    let folder = test_folder("needs");
    run_once(&config(folder.path(), &[])).await;
    let other = [("test/gateway", "test/other"), ("audit.key", "other.key")];
    fs::remove_file(folder.path().join("other.key")).unwrap();
    keygen("lychgate.test/other", &folder.path().join("other.key")).unwrap();
    let text = other
        .iter()
        .fold(BASE.to_owned(), |text, (from, to)| text.replace(from, to));
    let config = Config::parse(&text, &folder.path().join("lychgate.toml")).unwrap();
    assert_same_words(folder.path(), &config, "key-unusable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p12_the_holder_of_the_lock_is_named() {
    let folder = test_folder("needs");
    let config = config(folder.path(), &[]);
    let trail = kept(&config).trail;
    trail.opened().await;
    let found = errors(&config).await;
    assert_eq!(found.len(), 1, "{found:?}");
    let message = &found[0].message;
    // The lock's holder is this very process.
    let told = "locked: another process writes this trail";
    assert!(message.contains(told), "{message}");
    trail.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p12_this_configs_own_gateway_is_a_note() {
    let folder = test_folder("needs");
    let mut config = config(folder.path(), &[]);
    let gateway = Gateway::start(config.clone(), Clock::system())
        .await
        .unwrap();
    let socket = config.audit.directory.join("control.sock");
    while !socket.exists() {
        tokio::task::yield_now().await;
    }
    config.listen.address = gateway.address();
    config.admin.address = gateway.admin_address();
    let mut found = machine::findings(&config, false).await;
    found.retain(|found| found.level != Level::Warning);
    let keys: Vec<&str> = found.iter().map(|found| found.key.as_str()).collect();
    assert_eq!(keys, ["audit.directory", "listen.address", "admin.address"]);
    for note in found {
        assert_eq!(note.level, Level::Note, "{note:?}");
        assert!(
            note.message.contains("the gateway of this config"),
            "{note:?}"
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn p12_the_holder_of_a_port_is_named() {
    let folder = test_folder("needs");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = config(folder.path(), &[]);
    config.admin.address = taken.local_addr().unwrap();
    let found = errors(&config).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].key, "admin.address");
    let holder = format!("process {}", std::process::id());
    assert!(found[0].message.contains(&holder), "{found:?}");
    let refused = Gateway::start(config, Clock::system()).await.unwrap_err();
    let words = format!("{}; {}", found[0].message, found[0].hint);
    assert_eq!(refused.to_string(), words);
}

#[tokio::test]
async fn p12_a_file_that_run_cannot_use_is_found() {
    let folder = test_folder("needs");
    fs::write(
        folder.path().join("keys.json"),
        r#"{"keys":[{"kty":"EC"}]}"#,
    )
    .unwrap();
    let url = "jwks_url = \"http://127.0.0.1:9/keys\"";
    let config = config(folder.path(), &[(url, "jwks_file = \"keys.json\"")]);
    let found = errors(&config).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].key, "issuer.0.jwks_file");
    let refused = Gateway::start(config, Clock::system()).await.unwrap_err();
    assert!(refused.to_string().contains(&found[0].message), "{refused}");
}

#[tokio::test]
async fn p12_only_online_are_keys_fetched() {
    let folder = test_folder("needs");
    let server = Server::start(|_| ok("{}")).await;
    let url = server.url("/keys?s3cr3t");
    let config = config(folder.path(), &[("http://127.0.0.1:9/keys", &url)]);
    assert_eq!(errors(&config).await, []);
    assert_eq!(server.heads().len(), 0);
    let mut found = machine::findings(&config, true).await;
    found.retain(|found| found.level == Level::Error);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].key, "issuer.0.jwks_url");
    assert!(!found[0].message.contains("s3cr3t"), "{found:?}");
}

#[test]
fn p12_too_few_descriptors_are_found() {
    let folder = test_folder("needs");
    let config = config(folder.path(), &[]);
    let needed = 10_000 + 5 + 256 + 64;
    assert_eq!(machine::descriptors(&config, needed), None);
    let found = machine::descriptors(&config, needed - 1).unwrap();
    assert_eq!(found.level, Level::Warning);
    assert!(found.hint.contains(&needed.to_string()), "{found:?}");
    let none = machine::descriptors(&config, 20).unwrap();
    assert_eq!(none.level, Level::Error);
}

#[test]
fn p8_a_token_that_everybody_can_read_is_found() {
    let folder = test_folder("needs");
    let token = folder.path().join("admin.token");
    fs::write(&token, "s3cr3t").unwrap();
    let config = config(
        folder.path(),
        &[("[admin]", "[admin]\ntoken_file = \"admin.token\"")],
    );
    for (mode, is_told) in [(0o600, false), (0o640, false), (0o604, true)] {
        fs::set_permissions(&token, Permissions::from_mode(mode)).unwrap();
        let found = machine::warnings(&config);
        let told = found.iter().find(|found| found.key == "admin.token_file");
        assert_eq!(told.is_some(), is_told, "{mode:o}");
        assert!(told.is_none_or(|told| !told.message.contains("s3cr3t")));
    }
}
