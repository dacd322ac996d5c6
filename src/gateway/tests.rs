//! Tests of reload: the changes that it applies, the parts that it keeps, and its report.

mod needs;

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::audit::log::key::keygen;
use crate::audit::test_folder;
use crate::metrics::ReloadLabels;
use crate::stack::Parts;

const BASE: &str = r#"
[listen]
address = "127.0.0.1:0"
[admin]
address = "127.0.0.1:0"
[limits]
max_deletions = 10
[[issuer]]
issuer = "https://login.example"
audience = ["lychgate"]
algorithms = ["ES256"]
jwks_url = "http://127.0.0.1:9/keys"
[domains.accounts]
"12345678" = "https://va.example"
[upstream]
max_connections = 5
[audit]
directory = "audit"
origin = "lychgate.test/gateway"
key_file = "audit.key"
sync_timeout = "60s"
"#;

/// The base config with some texts replaced.
fn config(folder: &Path, changes: &[(&str, &str)]) -> Config {
    let mut text = BASE.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let origin = if text.contains("test/other") {
        "lychgate.test/other"
    } else {
        "lychgate.test/gateway"
    };
    for key in ["audit.key", "other.key"] {
        let path = folder.join(key);
        let made = || std::fs::read_to_string(&path).is_ok_and(|text| text.contains(origin));
        if !made() {
            let _ = std::fs::remove_file(&path);
            keygen(origin, &path).unwrap();
        }
    }
    let parsed = Config::parse(&text, &folder.join("lychgate.toml"));
    parsed.unwrap_or_else(|problems| panic!("{}", problems.rendered))
}

fn kept(config: &Config) -> Kept {
    let (clock, metrics) = (Clock::system(), Metrics::new());
    Kept {
        trail: Trail::open(config.audit.clone(), clock.clone(), metrics.clone()),
        deletions: Deletions::new(1),
        metrics,
        clock,
    }
}

fn rebuilt(changes: &[(&str, &str)]) -> (Parts, Parts) {
    let folder = test_folder("gateway");
    let old = config(folder.path(), &[]);
    let new = config(folder.path(), changes);
    let kept = kept(&old);
    let before = kept.build(&old, None).unwrap();
    let after = kept.build(&new, Some((&old, &before))).unwrap();
    (before, after)
}

#[test]
fn p12_a_change_that_needs_a_restart_is_refused_and_named() {
    let folder = test_folder("gateway");
    let old = config(folder.path(), &[]);
    for (from, to, key) in [
        (
            "[listen]",
            "[listen]\nmax_connections = 7",
            "listen.max_connections",
        ),
        (
            "[listen]",
            "[listen]\nhead_timeout = \"7s\"",
            "listen.head_timeout",
        ),
        ("[admin]", "[admin]\nhosts = [\"a\"]", "admin.hosts"),
        ("\"60s\"", "\"59s\"", "audit.sync_timeout"),
        (
            "\"60s\"",
            "\"60s\"\nreconcile_token_file = \"audit.key\"",
            "audit.reconcile_token_file",
        ),
        ("test/gateway", "test/other", "audit.origin"),
        ("\"audit\"", "\"other\"", "audit.directory"),
        // The default seen file changes with the key; the config has no key for it here.
        ("audit.key", "other.key", "audit.key_file"),
        (
            "\"60s\"",
            "\"60s\"\nfree_space_low = 0\nseen_file = \"x\"",
            "audit.free_space_low` and `audit.seen_file",
        ),
    ] {
        let why = restart::needed(&old, &config(folder.path(), &[(from, to)])).unwrap();
        let said = format!("a change to `{key}` needs a restart");
        assert!(why.starts_with(&said), "{why}");
    }
}

#[test]
fn p12_a_refused_reload_names_every_key_that_needs_a_restart() {
    let folder = test_folder("gateway");
    let old = config(folder.path(), &[]);
    let changes = [
        ("[listen]", "[listen]\ndrain_timeout = \"1s\""),
        ("[admin]", "[admin]\nhosts = [\"a\"]"),
        ("\"60s\"", "\"59s\"\nreconcile_token_file = \"audit.key\""),
        ("va.example", "vb.example"),
    ];
    let why = restart::needed(&old, &config(folder.path(), &changes)).unwrap();
    let keys = "`listen.drain_timeout`, `admin.hosts`, `audit.sync_timeout` and `audit.reconcile_token_file`";
    assert!(
        why.starts_with(&format!("a change to {keys} needs")),
        "{why}"
    );
}

#[test]
fn a_change_that_a_reload_applies_needs_no_restart() {
    let folder = test_folder("gateway");
    let old = config(folder.path(), &[]);
    assert_eq!(restart::needed(&old, &config(folder.path(), &[])), None);
    for change in [
        ("va.example", "vb.example"),
        ("login.example", "other.example"),
        ("max_connections = 5", "max_connections = 6"),
        ("[limits]", "[log]\nlevel = \"debug\"\n[limits]"),
    ] {
        let new = config(folder.path(), &[change]);
        assert_eq!(restart::needed(&old, &new), None, "{change:?}");
    }
}

#[tokio::test]
async fn p14_a_reload_keeps_unchanged_verifiers_and_credentials() {
    let (before, after) = rebuilt(&[("va.example", "vb.example")]);
    assert!(Arc::ptr_eq(&before.verifier, &after.verifier));
    assert!(Arc::ptr_eq(&before.credentials, &after.credentials));
    assert_ne!(before.config, after.config);
    let origin = after.domains.origin("12345678").unwrap();
    assert_eq!(origin.to_string(), "https://vb.example");
}

#[tokio::test]
async fn a_reload_with_another_issuer_drops_verified_tokens() {
    let (before, after) = rebuilt(&[("login.example", "other.example")]);
    assert!(!Arc::ptr_eq(&before.verifier, &after.verifier));
    assert!(Arc::ptr_eq(&before.credentials, &after.credentials));
}

#[tokio::test]
async fn a_reload_with_other_upstream_limits_builds_a_new_client() {
    let (before, after) = rebuilt(&[("max_connections = 5", "max_connections = 6")]);
    assert_eq!(before.client.settings().max_connections, 5);
    assert_eq!(after.client.settings().max_connections, 6);
    assert!(Arc::ptr_eq(&before.verifier, &after.verifier));
}

#[tokio::test]
async fn the_error_names_an_address_in_use_and_its_config_table() {
    let folder = test_folder("gateway");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut config = config(folder.path(), &[]);
    config.listen.address = address;
    let error = Gateway::start(config, Clock::system()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&address.to_string()), "{text}");
    assert!(text.contains("[listen]"), "{text}");
}

/// Sends one request on an open connection and reads the answer up to its `content-length`.
async fn ask(stream: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    loop {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).await.unwrap();
        assert!(read > 0, "closed without an answer: {answer}");
        answer.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        let Some((head, body)) = answer.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if length.is_some_and(|length| body.len() == length.parse::<usize>().unwrap()) {
            return answer;
        }
    }
}

/// Half of the reloads are refused; every request on every connection still gets an answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_reloads_under_load_drop_no_request() {
    let folder = test_folder("gateway");
    let gateway = Gateway::start(config(folder.path(), &[]), Clock::system());
    let gateway = Arc::new(gateway.await.unwrap());
    let address = gateway.address();
    let stop = tokio_util::sync::CancellationToken::new();
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let stop = stop.clone();
            tokio::spawn(async move {
                let mut answers = 0;
                let mut stream = TcpStream::connect(address).await.unwrap();
                while !stop.is_cancelled() || answers == 0 {
                    let answer = ask(&mut stream, "/elsewhere").await;
                    assert!(
                        answer.contains("lychgate-refusal: operation-unknown"),
                        "{answer}"
                    );
                    answers += 1;
                }
            })
        })
        .collect();
    for round in 0..50 {
        let host = format!("v{round}.example");
        let change = match round % 2 {
            0 => ("va.example", host.as_str()),
            _ => ("\"60s\"", "\"59s\""),
        };
        let reloaded = gateway.reload(config(folder.path(), &[change])).await;
        assert_eq!(reloaded.is_ok(), round % 2 == 0, "{reloaded:?}");
        tokio::task::yield_now().await;
    }
    stop.cancel();
    for caller in callers {
        caller.await.unwrap();
    }
    let refused = ReloadLabels { result: "refused" };
    assert_eq!(
        gateway.kept.metrics.reloads.get_or_create(&refused).get(),
        25
    );
    Arc::into_inner(gateway).unwrap().stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn p12_a_refused_reload_keeps_the_old_config_and_says_why() {
    let folder = test_folder("gateway");
    let gateway = Gateway::start(config(folder.path(), &[]), Clock::system());
    let gateway = gateway.await.unwrap();
    let hash = || gateway.health.current().config.hash.clone();
    let before = hash();
    let last = || {
        gateway
            .health
            .last_reload
            .lock()
            .unwrap()
            .clone()
            .unwrap()
            .refused
    };

    let error = gateway
        .reload(config(folder.path(), &[("test/gateway", "test/other")]))
        .await;
    assert!(error.unwrap_err().to_string().contains("`audit.origin`"));
    assert!(last().unwrap().contains("needs a restart"));
    let problems = Config::parse("[listen]\n\nkey = 1\n", Path::new("lychgate.toml")).unwrap_err();
    gateway.refuse_reload(&ReloadRefused::invalid(&problems));
    assert!(
        last().unwrap().contains("lychgate.toml:3:1: "),
        "{:?}",
        last()
    );
    assert_eq!(hash(), before);

    // A successful reload clears the reason.
    gateway
        .reload(config(folder.path(), &[("va.example", "vb.example")]))
        .await
        .unwrap();
    assert_eq!(last(), None);
    assert_ne!(hash(), before);
    gateway.stop().await;
}

#[tokio::test]
async fn both_listeners_answer_a_head_that_is_no_request() {
    let folder = test_folder("gateway");
    let gateway = Gateway::start(config(folder.path(), &[]), Clock::system());
    let gateway = gateway.await.unwrap();
    for (address, says) in [
        (gateway.address(), "\"code\":\"request-malformed\""),
        (gateway.admin_address(), "the head is not valid HTTP/1.1"),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/3.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains(says), "{answer}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn p14_both_listeners_answer_right_after_the_start() {
    let folder = test_folder("gateway");
    let gateway = Gateway::start(config(folder.path(), &[]), Clock::system());
    let gateway = gateway.await.unwrap();
    let mut stream = TcpStream::connect(gateway.admin_address()).await.unwrap();
    assert!(ask(&mut stream, "/livez").await.ends_with("\r\n\r\nok\n"));
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    let answer = ask(&mut stream, "/elsewhere").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    gateway.stop().await;
}
