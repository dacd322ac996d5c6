//! Reads logs from a loopback server.

use std::sync::Arc;

use super::*;
use crate::audit::log::key::test_key;
use crate::audit::read::testing::publish;
use crate::audit::read::verify::sample::sound;
use crate::audit::read::verify::{Job, check};
use crate::audit::read::{Location, Log, MissingRange, Trouble};
use crate::audit::test_folder;
use crate::cli::exit::Exit;
use crate::fetch::testing::{Server, ok};

/// Starts a server whose answers come from `answer`; returns its address.
fn served(answer: impl Fn(usize) -> Vec<u8> + Send + 'static) -> (Runtime, Server, String) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(Server::start(answer));
    let place = server.url("");
    (runtime, server, place)
}

fn file(status: &str, body: &str) -> io::Result<Option<Vec<u8>>> {
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (_runtime, _server, place) = served(move |_| text.clone().into_bytes());
    Remote::new(&place, None).unwrap().file("checkpoint", 8)
}

#[test]
fn a_file_is_found_missing_or_unreadable() {
    assert_eq!(file("200 OK", "bytes").unwrap().unwrap(), b"bytes");
    assert_eq!(file("404 Not Found", "none").unwrap(), None);
    assert!(file("200 OK", "too many bytes").is_err());
    assert!(
        file("302 Found", "")
            .unwrap_err()
            .to_string()
            .contains("302")
    );
    let denied = file("401 Unauthorized", "").unwrap_err().to_string();
    assert!(denied.contains("--token-file"), "{denied}");
}

#[test]
fn a_busy_server_is_asked_again() {
    let busy = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n".to_vec();
    let (_runtime, _server, place) = served(move |number| match number {
        0 => busy.clone(),
        _ => ok("bytes"),
    });
    let remote = Remote::new(&place, None).unwrap();
    assert_eq!(remote.file("checkpoint", 8).unwrap().unwrap(), b"bytes");
}

#[test]
fn an_admin_listener_gets_the_audit_prefix_and_the_token() {
    let folder = test_folder("remote");
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    for (path, target) in [
        ("", "/audit/tile/0/000"),
        ("/", "/audit/tile/0/000"),
        ("/log", "/log/tile/0/000"),
    ] {
        let (_runtime, server, place) = served(|_| ok("hash"));
        let remote = Remote::new(&format!("{place}{path}"), Some(&token)).unwrap();
        remote.file("tile/0/000", 8).unwrap();
        let head = &server.heads()[0];
        assert!(
            head.starts_with(&format!("GET {target} HTTP/1.1\r\n")),
            "{head}"
        );
        assert!(head.contains("authorization: Bearer s3cret\r\n"), "{head}");
        assert!(!format!("{remote:?}").contains("s3cret"));
    }
}

#[test]
fn p8_a_token_is_not_sent_unencrypted() {
    let folder = test_folder("remote");
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let refused = Remote::new("http://192.0.2.1:9080", Some(&token)).unwrap_err();
    assert!(
        matches!(refused, Stop::Message(Exit::Usage, _)),
        "{refused:?}"
    );
    assert!(Remote::new("https://192.0.2.1:9080", Some(&token)).is_ok());
    std::fs::write(&token, "\n").unwrap();
    let empty = Remote::new("http://127.0.0.1:9080", Some(&token)).unwrap_err();
    assert!(matches!(empty, Stop::Message(Exit::Io, _)), "{empty:?}");
}

#[test]
fn an_invalid_address_is_a_usage_error() {
    for place in ["http://", "http://a b", "http://a/?x=1", "http://user@a"] {
        let refused = Remote::new(place, None).unwrap_err();
        assert!(matches!(refused, Stop::Message(Exit::Usage, _)), "{place}");
    }
    assert!(is_address(Path::new("http://127.0.0.1:9080")));
    assert!(!is_address(Path::new("audit")) && !is_address(Path::new("/http://a")));
}

#[test]
fn a_server_that_is_gone_is_unreadable_and_not_empty() {
    let (runtime, server, place) = served(|_| ok(""));
    drop(server);
    drop(runtime);
    let remote = Remote::new(&place, None).unwrap();
    let missing: MissingRange = Log::published(Arc::new(remote), None).unwrap_err();
    assert_eq!(missing.trouble, Trouble::Unreadable);
}

#[test]
fn a_log_is_read_through_its_address() {
    let folder = test_folder("remote");
    let entries: Vec<_> = (0..3).map(|i| format!("entry {i}").into_bytes()).collect();
    let checkpoint = publish(folder.path(), &entries);
    let directory = folder.path().to_owned();
    let (_runtime, server, place) = served(move |number| {
        let name = ["checkpoint", "tile/0/000.p/3", "tile/entries/000.p/3"][number];
        let body = std::fs::read(directory.join(name)).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        [head.into_bytes(), body].concat()
    });
    let remote = Arc::new(Remote::new(&place, None).unwrap());
    let log = Log::published(Arc::clone(&remote) as _, None).unwrap();
    assert_eq!(log.checkpoint.as_ref(), Some(&checkpoint));
    let count = log.reader.bundle(0, |entries| entries.len());
    assert_eq!(count, Ok(3));
    assert!(server.heads()[2].starts_with("GET /audit/tile/entries/000.p/3 "));
}

#[test]
fn p4_verify_reads_each_file_of_an_address_once() {
    let folder = test_folder("remote");
    publish(folder.path(), &sound());
    let directory = folder.path().to_owned();
    let names = ["checkpoint", "tile/entries/000.p/7", "tile/0/000.p/7"];
    let serve = |damaged: usize| {
        let directory = directory.clone();
        served(move |number| {
            let mut body = std::fs::read(directory.join(names[number])).unwrap();
            if number == damaged {
                body[40] ^= 1;
            }
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            [head.into_bytes(), body].concat()
        })
    };
    let verify = |place: &str| {
        let location = Location::Published(Arc::new(Remote::new(place, None).unwrap()));
        let key = test_key();
        let job = Job {
            location: &location,
            key: None,
            verifier: Some(key.verifier()),
            against: None,
        };
        check(&job, |_, _, _| {})
    };
    let (_runtime, server, place) = serve(names.len());
    let summary = verify(&place).unwrap();
    assert_eq!((summary.entries, summary.covered), (7, Some(7)));
    assert_eq!(server.heads().len(), names.len());
    for (number, name) in names.iter().enumerate() {
        let (_runtime, _server, place) = serve(number);
        let failure = verify(&place).unwrap_err();
        assert_eq!(failure.trouble, Trouble::Damaged, "{name}: {failure}");
    }
}
