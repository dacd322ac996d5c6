//! `/audit/`: its files, their headers, and the checks before them.

use std::io::Read;

use flate2::read::GzDecoder;
use http::header::{CONTENT_ENCODING, VARY};

use super::*;
use crate::audit::read::testing::{publish, put};
use crate::audit::{TestFolder, test_folder};

fn published() -> (TestFolder, Admin) {
    let folder = test_folder("admin-trail");
    let entries: Vec<_> = (0..300)
        .map(|i| format!("entry {i}").into_bytes())
        .collect();
    publish(folder.path(), &entries);
    let admin = of(folder.path(), None);
    (folder, admin)
}

fn of(directory: &std::path::Path, token_file: Option<PathBuf>) -> Admin {
    let settings = Settings {
        address: "127.0.0.1:9080".parse().unwrap(),
        token_file,
        hosts: Vec::new(),
    };
    let view = Arc::new(Fixed(fine()));
    let directory = directory.to_owned();
    Admin::new(&settings, settings.address, view, Metrics::new(), directory).unwrap()
}

#[tokio::test]
async fn files_come_byte_for_byte_with_type_and_cache_lifetime() {
    let (folder, admin) = published();
    for (path, kind, cached) in [
        ("checkpoint", "text/plain; charset=utf-8", "max-age=1"),
        (
            "tile/0/000",
            "application/octet-stream",
            "max-age=31536000, immutable",
        ),
        (
            "tile/0/001.p/44",
            "application/octet-stream",
            "max-age=31536000, immutable",
        ),
        (
            "tile/entries/000",
            "application/octet-stream",
            "max-age=31536000, immutable",
        ),
        (
            "tile/entries/001.p/44",
            "application/octet-stream",
            "max-age=31536000, immutable",
        ),
    ] {
        let response = admin.serve(get(&format!("/audit/{path}"))).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()[CONTENT_TYPE], kind, "{path}");
        assert_eq!(response.headers()[CACHE_CONTROL], cached, "{path}");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(bytes, std::fs::read(folder.path().join(path)).unwrap());
    }
}

#[tokio::test]
async fn only_well_formed_paths_are_looked_for() {
    let (folder, admin) = published();
    put(folder.path(), "lock", b"lock");
    put(folder.path(), "journal/0000000001", b"journal");
    put(folder.path(), "tile/0/secret", b"secret");
    for path in [
        "",
        "lock",
        "verifier",
        "control.sock",
        "journal/0000000001",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/0",
        "tile/00/000",
        "tile/0/000/",
        "tile/0/000.p",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/secret",
        "tile/0/../0/000",
        "../audit/checkpoint",
        "./checkpoint",
        "checkpoint/",
        "/checkpoint",
        "tile/0/%30%30%30",
        "tile//0/000",
        "tile/64/000",
        "tile/entries/../../lock",
        "tile/0/x000/000",
        "Checkpoint",
    ] {
        let response = admin.serve(get(&format!("/audit/{path}"))).await;
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store", "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_and_links_are_not_followed() {
    let (folder, admin) = published();
    let link = |to: &str, path: &str| {
        std::os::unix::fs::symlink(folder.path().join(to), folder.path().join(path)).unwrap();
    };
    link("tile/0/000", "tile/0/005");
    link("tile/0", "tile/3");
    for path in ["tile/0/002", "tile/0/001.p/9", "tile/5/000"] {
        let status = admin.serve(get(&format!("/audit/{path}"))).await.status();
        assert_eq!(status, 404, "{path}");
    }
    for path in ["tile/0/005", "tile/3/000"] {
        let status = admin.serve(get(&format!("/audit/{path}"))).await.status();
        assert_eq!(status, 500, "{path}");
    }
    let nowhere = of(std::path::Path::new("/nowhere/audit"), None);
    let response = nowhere.serve(get("/audit/checkpoint")).await;
    assert_ne!(response.status(), 200);
}

#[tokio::test]
async fn host_token_and_method_are_judged_as_for_every_page() {
    let (folder, admin) = published();
    let foreign = with("/audit/checkpoint", &[("host", "evil.example:9080")]);
    assert_eq!(admin.serve(foreign).await.status(), 421);
    let mut post = get("/audit/checkpoint");
    *post.method_mut() = Method::POST;
    assert_eq!(admin.serve(post).await.status(), 405);
    let token = folder.path().join("admin.token");
    std::fs::write(&token, "s3cret-token\n").unwrap();
    let admin = of(folder.path(), Some(token));
    for (sent, status) in [("Bearer wrong", 401), ("Bearer s3cret-token", 200)] {
        let headers = [("host", "127.0.0.1:9080"), ("authorization", sent)];
        let response = admin.serve(with("/audit/checkpoint", &headers)).await;
        assert_eq!(response.status(), status, "{sent}");
    }
    assert_eq!(admin.serve(get("/audit/checkpoint")).await.status(), 401);
}

#[tokio::test]
async fn so_many_files_are_under_way_at_once() {
    let (_folder, admin) = published();
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(admin.serve(get("/audit/tile/0/000")).await);
    }
    let response = admin.serve(get("/audit/tile/0/000")).await;
    assert_eq!(response.status(), 503);
    drop(held.pop());
    assert_eq!(admin.serve(get("/audit/tile/0/000")).await.status(), 200);
}

#[tokio::test]
async fn entry_bundles_are_compressed_if_the_client_accepts_gzip() {
    let (folder, admin) = published();
    put(folder.path(), "tile/entries/002", &vec![0; (1 << 20) + 1]);
    let ask = async |path: &str, encoding: Option<&str>| {
        let mut headers = vec![("host", "127.0.0.1:9080")];
        headers.extend(encoding.map(|encoding| ("accept-encoding", encoding)));
        let response = admin.serve(with(&format!("/audit/{path}"), &headers)).await;
        assert_eq!(response.status(), 200, "{path}");
        let encoding = response.headers().get(CONTENT_ENCODING).cloned();
        let vary = response.headers().contains_key(VARY);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (encoding, vary, body)
    };
    for path in ["tile/entries/000", "tile/entries/001.p/44"] {
        let plain = std::fs::read(folder.path().join(path)).unwrap();
        for nothing_else in [None, Some("br"), Some("gzip;q=0")] {
            assert_eq!(
                ask(path, nothing_else).await,
                (None, true, plain.clone().into())
            );
        }
        let (encoding, vary, gzip) = ask(path, Some("gzip, br")).await;
        assert_eq!(encoding.unwrap(), "gzip");
        assert!(vary && gzip.len() < plain.len(), "{path}");
        let mut decoded = Vec::new();
        GzDecoder::new(&gzip[..]).read_to_end(&mut decoded).unwrap();
        assert_eq!(decoded, plain, "{path}");
    }
    for never in [
        "tile/0/000",
        "tile/0/001.p/44",
        "checkpoint",
        "tile/entries/002",
    ] {
        let plain = std::fs::read(folder.path().join(never)).unwrap();
        assert_eq!(ask(never, Some("gzip")).await, (None, false, plain.into()));
    }
}

#[tokio::test]
async fn a_client_that_accepts_no_encoding_gets_406() {
    let (_folder, admin) = published();
    let headers = [
        ("host", "127.0.0.1:9080"),
        ("accept-encoding", "identity;q=0"),
    ];
    let response = admin.serve(with("/audit/tile/0/000", &headers)).await;
    assert_eq!(response.status(), 406);
}
