//! The admin listener's answers, without sockets.

use http::header::WWW_AUTHENTICATE;
use http_body_util::BodyExt;

use super::*;
use crate::audit::{Cause, State, Unavailable};
use crate::clock::Time;

mod files;

#[derive(Debug)]
struct Fixed(Report);

impl View for Fixed {
    fn report(&self) -> Report {
        self.0.clone()
    }
}

fn fine() -> Report {
    Report {
        reads: Ok(()),
        deletions: Ok(()),
        parts: vec![Part {
            name: "listener".into(),
            trouble: None,
        }],
        started: Time(0),
        now: Time(5_000_000),
        config: "c0ffee".into(),
        reload: None,
        trail: State {
            closed: None,
            since: Time(0),
            next_index: 7,
            open_intents: 0,
            space: crate::audit::status::space::Space::default(),
            unwatched: None,
        },
    }
}

fn disk_full() -> Report {
    let why = "disk-full: no space for the next segment";
    Report {
        deletions: Err(why.into()),
        parts: vec![Part {
            name: "trail".into(),
            trouble: Some((why.into(), Time(0))),
        }],
        trail: State {
            closed: Some(Unavailable {
                cause: Cause::DiskFull,
                detail: "no space for the next segment".into(),
            }),
            ..fine().trail
        },
        ..fine()
    }
}

fn settings(token_file: Option<PathBuf>) -> Settings {
    Settings {
        address: "127.0.0.1:9080".parse().unwrap(),
        token_file,
        hosts: vec!["gate.example:9080".into()],
    }
}

fn admin(report: Report, token_file: Option<PathBuf>) -> Admin {
    let settings = settings(token_file);
    let view = Arc::new(Fixed(report));
    let directory = PathBuf::from("/nowhere/audit");
    Admin::new(&settings, settings.address, view, Metrics::new(), directory).unwrap()
}

fn get(target: &str) -> Request<Body> {
    with(target, &[("host", "127.0.0.1:9080")])
}

fn with(target: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::Empty).unwrap()
}

async fn body(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn livez_is_ok_whatever_else() {
    let response = admin(disk_full(), None).serve(with("/livez", &[])).await;
    assert_eq!(response.status(), 200);
    assert_eq!(body(response).await, "ok\n");
}

#[tokio::test]
async fn p3_a_closed_trail_makes_deletions_unready_and_reads_not() {
    let admin = admin(disk_full(), None);
    assert_eq!(admin.serve(get("/readyz")).await.status(), 200);
    let response = admin.serve(get("/readyz?for=deletions")).await;
    assert_eq!(response.status(), 503);
    assert!(body(response).await.contains("disk-full"));
    let response = admin.serve(get("/readyz?verbose")).await;
    assert_eq!(response.status(), 200);
    let page = body(response).await;
    assert!(
        page.contains("trail: since 1970-01-01T00:00:00.000000Z: disk-full"),
        "{page}"
    );
    assert_eq!(
        admin
            .serve(get("/readyz?verbose&for=deletions"))
            .await
            .status(),
        503
    );
}

#[tokio::test]
async fn a_query_that_readyz_does_not_know_is_400() {
    let admin = admin(fine(), None);
    for query in ["for=deletion", "for", "verbose=1", "Verbose", "verbose&x"] {
        let response = admin.serve(get(&format!("/readyz?{query}"))).await;
        assert_eq!(response.status(), 400, "{query}");
        assert!(body(response).await.contains("for=deletions"), "{query}");
    }
    for query in ["", "verbose", "for=deletions&verbose"] {
        let response = admin.serve(get(&format!("/readyz?{query}"))).await;
        assert_eq!(response.status(), 200, "{query}");
    }
}

#[tokio::test]
async fn p12_a_refused_reload_is_told_by_readyz() {
    let mut report = fine();
    report.reload = Some(Reload {
        time: Time(0),
        refused: Some("listen.address needs a restart".into()),
    });
    let page = body(admin(report, None).serve(get("/readyz?verbose")).await).await;
    assert!(page.contains("reload: refused at"), "{page}");
    assert!(page.contains("needs a restart"), "{page}");
}

#[tokio::test]
async fn p14_a_gateway_that_drains_is_not_ready() {
    let mut report = fine();
    report.reads = Err("draining".into());
    let response = admin(report, None).serve(get("/readyz")).await;
    assert_eq!(response.status(), 503);
    assert_eq!(body(response).await, "draining\n");
}

#[tokio::test]
async fn metrics_are_open_metrics_text() {
    let response = admin(fine(), None).serve(with("/metrics", &[])).await;
    let content_type = response.headers()[CONTENT_TYPE].to_str().unwrap();
    assert!(content_type.starts_with("application/openmetrics-text; version=1.0.0"));
    let page = body(response).await;
    assert!(page.contains("lychgate_audit_open"), "{page}");
    assert!(page.ends_with("# EOF\n"), "{page}");
}

#[tokio::test]
async fn status_is_json_with_what_is_in_force() {
    let page = body(admin(disk_full(), None).serve(get("/status")).await).await;
    let value: serde_json::Value = serde_json::from_str(&page).unwrap();
    assert_eq!(value["config"], "c0ffee");
    assert_eq!(value["uptime_seconds"], 5);
    assert_eq!(value["trail"]["cause"], "disk-full");
    assert_eq!(value["ready"]["deletions"], false);
}

#[tokio::test]
async fn a_host_that_is_not_ours_is_turned_away_beyond_health() {
    let admin = admin(fine(), None);
    for host in [
        "evil.example",
        "evil.example:9080",
        "127.0.0.1:1",
        "10.0.0.1:9080",
        "localhost",
        "localhost:",
        "",
    ] {
        let request = with("/status", &[("host", host)]);
        assert_eq!(admin.serve(request).await.status(), 421, "{host}");
        let request = with("/readyz", &[("host", host)]);
        assert_eq!(admin.serve(request).await.status(), 200, "{host}");
    }
    for host in [
        "127.0.0.1:9080",
        "localhost:9080",
        "LOCALHOST:9080",
        "[::1]:9080",
        "Gate.example:9080",
    ] {
        let request = with("/status", &[("host", host)]);
        assert_eq!(admin.serve(request).await.status(), 200, "{host}");
    }
    let port_80 = Admin {
        guard: Arc::new(Guard::new(&settings(None), "127.0.0.1:80".parse().unwrap()).unwrap()),
        ..admin.clone()
    };
    for host in ["localhost", "localhost:", "[::1]:", "127.0.0.1:80"] {
        let request = with("/status", &[("host", host)]);
        assert_eq!(port_80.serve(request).await.status(), 200, "{host}");
    }
    let two = with("/status", &[("host", "localhost:9080"), ("host", "x")]);
    assert_eq!(admin.serve(two).await.status(), 421);
}

#[tokio::test]
async fn the_admin_token_is_asked_for_and_compared_whole() {
    let path = std::env::temp_dir().join(format!("lychgate-admin-{}", std::process::id()));
    std::fs::write(&path, "s3cret-token\n").unwrap();
    let admin = admin(fine(), Some(path.clone()));
    std::fs::remove_file(&path).unwrap();
    let ask = async |sent: &str| {
        let headers = [("host", "localhost:9080"), ("authorization", sent)];
        admin.serve(with("/status", &headers)).await
    };
    let missing = admin.serve(get("/status")).await;
    assert_eq!(missing.status(), 401);
    assert_eq!(missing.headers()[WWW_AUTHENTICATE], "Bearer");
    for wrong in ["Bearer s3cret-toke", "Bearer s3cret-token1", "Bearer "] {
        let response = ask(wrong).await;
        assert_eq!(response.status(), 401, "{wrong}");
        let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.contains("invalid_token"), "{challenge}");
    }
    assert_eq!(ask("Basic s3cret-token").await.status(), 401);
    assert_eq!(ask("bearer s3cret-token").await.status(), 200);
    assert_eq!(admin.serve(get("/readyz")).await.status(), 200);
    assert_eq!(admin.serve(get("/nothing")).await.status(), 401);
    assert!(!format!("{admin:?}").contains("s3cret"));
}

#[tokio::test]
async fn only_get_and_head_are_answered_and_only_known_paths() {
    let admin = admin(fine(), None);
    let mut request = get("/livez");
    *request.method_mut() = Method::POST;
    let response = admin.serve(request).await;
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()[ALLOW], "GET, HEAD");
    for path in ["/nothing", "/livez/", "/"] {
        assert_eq!(admin.serve(get(path)).await.status(), 404, "{path}");
    }
}

#[test]
fn an_admin_token_that_cannot_be_read_is_said_at_start() {
    let settings = Settings {
        address: "127.0.0.1:9080".parse().unwrap(),
        token_file: Some("/nonexistent/admin.token".into()),
        hosts: Vec::new(),
    };
    let view = Arc::new(Fixed(fine()));
    let directory = PathBuf::from("/nowhere/audit");
    let trouble =
        Admin::new(&settings, settings.address, view, Metrics::new(), directory).unwrap_err();
    assert!(trouble.contains("/nonexistent/admin.token"), "{trouble}");
}
