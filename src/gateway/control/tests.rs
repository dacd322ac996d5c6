//! Tests of the reading back at the start.

use super::*;
use crate::audit::entry::{Ending, Found, Intent, Reason, Sent, Verdict};
use crate::audit::log::key::keygen;
use crate::audit::read::Location;
use crate::audit::read::query::tests::intent;
use crate::audit::read::query::{Pending, in_doubt};
use crate::audit::{TestFolder, test_folder};
use crate::clock::Time;
use crate::fetch::testing::{Server as Upstream, ok};
use crate::gateway::Gateway;
use crate::metrics::Metrics;

const UNKNOWN: Ending = Ending {
    outcome: Verdict::Unknown,
    reason: Some(Reason::Timeout),
    sent: Sent::Unknown,
    status: None,
    revision: None,
    attempts: 1,
};

/// A trail that holds one deletion with an unknown outcome, and the config of its gateway.
async fn unknown(upstream: &Upstream, clock: &Clock, when: &str) -> (TestFolder, Config) {
    let folder = test_folder("on-start");
    keygen("lychgate.test/start", &folder.path().join("audit.key")).unwrap();
    std::fs::write(folder.path().join("token"), "t0ken").unwrap();
    let domain = upstream.url("");
    let text = format!(
        r#"
[listen]
address = "127.0.0.1:0"
[admin]
address = "127.0.0.1:0"
[[issuer]]
issuer = "https://login.example"
audience = ["lychgate"]
algorithms = ["ES256"]
jwks_url = "http://127.0.0.1:9/keys"
[domains.accounts]
"12345678" = "{domain}"
[audit]
directory = "audit"
origin = "lychgate.test/start"
key_file = "audit.key"
reconcile = "{when}"
reconcile_token_file = "token"
"#
    );
    let config = Config::parse(&text, &folder.path().join("lychgate.toml"));
    let config = config.unwrap_or_else(|problems| panic!("{}", problems.rendered));
    let trail = Trail::open(config.audit.clone(), clock.clone(), Metrics::new());
    trail.opened().await;
    let intent = Intent {
        domain,
        ..intent("a", &["42"])
    };
    let open = trail.begin(intent).await.unwrap();
    open.close(UNKNOWN).await.unwrap();
    trail.stop().await;
    (folder, config)
}

fn recorded(folder: &TestFolder) -> Pending {
    let location = Location::Folder(folder.path().join("audit"));
    let mut all = in_doubt(|| location.open(None)).unwrap().all;
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[tokio::test]
async fn p2_on_start_an_unknown_outcome_is_read_back_after_5_minutes() {
    let clock = Clock::manual(Time(1_000_000_000_000_000));
    let upstream = Upstream::start(|_| ok("{}")).await;
    let (folder, config) = unknown(&upstream, &clock, "on_start").await;
    let gateway = Gateway::start(config, clock.clone()).await.unwrap();
    gateway.trail().opened().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(upstream.heads().is_empty(), "the deletion is too recent");
    clock.advance(LEAST_AGE);
    let read_back = async {
        loop {
            if let Some(found) = recorded(&folder).deletion.reconciled {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(120), read_back).await;
    assert_eq!(found.unwrap().result, Found::StillThere);
    gateway.stop().await;
    assert!(!folder.path().join("audit/control.sock").exists());
}

#[tokio::test]
async fn without_on_start_no_deletion_is_read_back() {
    let clock = Clock::manual(Time(1_000_000_000_000_000));
    let upstream = Upstream::start(|_| ok("{}")).await;
    let (folder, config) = unknown(&upstream, &clock, "never").await;
    clock.advance(LEAST_AGE * 2);
    let gateway = Gateway::start(config, clock).await.unwrap();
    gateway.trail().opened().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    gateway.stop().await;
    assert!(upstream.heads().is_empty());
    assert_eq!(recorded(&folder).deletion.reconciled, None);
}
