//! A trail in a temporary folder, a fake upstream, and the recorded results.

use std::net::SocketAddr;

use super::*;
use crate::audit::entry::{Ending, Intent, Reason, Sent, Verdict};
use crate::audit::log::key::keygen;
use crate::audit::read::query::tests::intent;
use crate::audit::{self, TestFolder, test_folder};
use crate::contract::Contract;
use crate::fetch::testing::{Server, ok};
use crate::metrics::Metrics;
use crate::tls::ClientTls;

const UNKNOWN: Ending = Ending {
    outcome: Verdict::Unknown,
    reason: Some(Reason::Timeout),
    sent: Sent::Unknown,
    status: None,
    revision: None,
    attempts: 1,
};
const GONE: &[u8] = b"HTTP/1.1 404 Not Found\r\nac-revision: 7\r\ncontent-length: 0\r\n\r\n";

struct World {
    folder: TestFolder,
    reconciler: Reconciler,
}

impl World {
    async fn new(upstream: SocketAddr) -> Self {
        let folder = test_folder("reconcile");
        let key_file = folder.path().join("audit.key");
        keygen("reconcile.test", &key_file).unwrap();
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, "t0ken").unwrap();
        let clock = Clock::manual(Time(1_000_000_000_000_000));
        let settings = audit::Settings {
            directory: folder.path().join("audit"),
            origin: "reconcile.test".into(),
            key_file,
            sync_timeout: Duration::from_secs(600),
            segment_bytes: 2 << 20,
            space: audit::status::space::Levels::default(),
            seen_file: folder.path().join("seen"),
            heartbeat: Duration::from_secs(3_600),
        };
        let trail = Trail::open(settings.clone(), clock.clone(), Metrics::new());
        trail.opened().await;
        let origin = Origin::parse(&format!("http://{upstream}")).unwrap();
        let accounts = [("12345678".to_owned(), Arc::new(origin))].into();
        let reconciler = Reconciler {
            trail,
            directory: settings.directory,
            contracts: Arc::new(Contracts::new(vec![Contract::builtin()]).unwrap()),
            domains: Arc::new(Directory { accounts }),
            fetch: Fetch::new(ClientTls::new(None).unwrap()),
            token_file: Some(token_file),
            clock,
        };
        Self { folder, reconciler }
    }

    /// Records a deletion of these users at this domain, with this ending.
    async fn deletion(&self, id: &str, users: &[&str], domain: String, ending: Ending) -> u64 {
        let intent = Intent {
            domain,
            ..intent(id, users)
        };
        let open = self.reconciler.trail.begin(intent).await.unwrap();
        let index = open.index();
        open.close(ending).await.unwrap();
        index
    }

    async fn ask(&self, now: bool, names: &[&str]) -> Answer {
        let request = Reconcile {
            reason: "asked".into(),
            now,
            deletions: names.iter().map(ToString::to_string).collect(),
            after: None,
        };
        self.reconciler.answer(Actor { uid: 7 }, request).await
    }

    async fn unresolved(&self) -> Vec<u64> {
        let unresolved = self.reconciler.unresolved().await.unwrap();
        unresolved.iter().map(|p| p.deletion.index).collect()
    }
}

fn done(answer: Answer) -> Vec<Settled> {
    match answer {
        Answer::Reconciled(reconciled) => reconciled.deletions,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn p2_reading_the_user_back_settles_an_unknown_outcome() {
    let server = Server::start(|_| GONE.to_vec()).await;
    let world = World::new(server.address).await;
    let index = world.deletion("a", &["42"], server.url(""), UNKNOWN).await;
    assert_eq!(world.unresolved().await, [index]);
    let settled = done(world.ask(true, &[]).await);
    assert_eq!(
        (settled[0].index, settled[0].result),
        (index, Some(Found::Deleted))
    );
    assert!(world.unresolved().await.is_empty());
    let head = server.heads().remove(0);
    let target = "GET /api/account/12345678/configuration/le-users/users/42?v=4.0 HTTP/1.1";
    assert!(head.starts_with(target), "{head}");
    assert!(done(world.ask(true, &[]).await).is_empty());
    assert_eq!(
        done(world.ask(true, &["a"]).await).len(),
        1,
        "a named deletion is read again"
    );
}

#[tokio::test]
async fn p2_the_entry_records_each_users_result_and_the_actor() {
    let server = Server::start(|_| ok("{}")).await;
    let world = World::new(server.address).await;
    let users = ["41", "42"];
    world.deletion("a", &users, server.url(""), UNKNOWN).await;
    let settled = done(world.ask(true, &[]).await);
    assert_eq!(settled[0].result, Some(Found::StillThere));
    let directory = world.folder.path().join("audit");
    let entries = audit::journal::read(&directory, None).unwrap();
    let text = entries.map(|e| String::from_utf8(e.unwrap().bytes).unwrap());
    let entry = text
        .filter(|t| t.contains("\"reconciled\""))
        .last()
        .unwrap();
    let entry: serde_json::Value = serde_json::from_str(&entry).unwrap();
    assert_eq!(entry["users"].as_array().unwrap().len(), 2);
    assert_eq!(entry["actor"], serde_json::json!({"uid": 7}));
    assert_eq!(entry["reason"], "asked");
    assert_eq!(entry["host"], server.address.to_string());
    assert!(!entry.to_string().contains("t0ken"));
}

#[tokio::test]
async fn p2_a_recent_unknown_outcome_is_read_only_with_now() {
    let server = Server::start(|_| GONE.to_vec()).await;
    let world = World::new(server.address).await;
    let index = world.deletion("a", &["42"], server.url(""), UNKNOWN).await;
    world
        .reconciler
        .clock
        .advance(LEAST_AGE - Duration::from_micros(1));
    let settled = done(world.ask(false, &[]).await);
    assert!(settled[0].why.as_ref().unwrap().contains("--now"));
    assert_eq!(world.unresolved().await, [index]);
    assert!(server.heads().is_empty());
    world.reconciler.clock.advance(Duration::from_micros(1));
    assert_eq!(
        done(world.ask(false, &[]).await)[0].result,
        Some(Found::Deleted)
    );
}

#[tokio::test]
async fn a_host_missing_from_the_config_gets_no_token() {
    let server = Server::start(|_| GONE.to_vec()).await;
    let world = World::new("127.0.0.1:9".parse().unwrap()).await;
    world.deletion("a", &["42"], server.url(""), UNKNOWN).await;
    let settled = done(world.ask(true, &[]).await);
    assert!(settled[0].why.as_ref().unwrap().contains("does not name"));
    assert!(server.heads().is_empty());
}

#[tokio::test]
async fn without_credentials_it_is_a_usage_error() {
    let mut world = World::new("127.0.0.1:9".parse().unwrap()).await;
    world.reconciler.token_file = None;
    let Answer::Refused { exit, message } = world.ask(true, &[]).await else {
        panic!("it was done without credentials")
    };
    assert_eq!(exit, 2);
    assert!(message.contains("reconcile_token_file"), "{message}");
}

#[tokio::test]
async fn p2_upstream_is_not_asked_while_the_trail_takes_no_entries() {
    let server = Server::start(|_| GONE.to_vec()).await;
    let world = World::new(server.address).await;
    world.deletion("a", &["42"], server.url(""), UNKNOWN).await;
    world.reconciler.trail.stop().await;
    let Answer::Refused { exit: 1, message } = world.ask(true, &[]).await else {
        panic!("it was done with a trail that had stopped")
    };
    assert!(message.contains("takes no entries"), "{message}");
    assert!(server.heads().is_empty());
}

#[tokio::test]
async fn an_unknown_name_exits_with_1() {
    let world = World::new("127.0.0.1:9".parse().unwrap()).await;
    let Answer::Refused { exit: 1, .. } = world.ask(true, &["99"]).await else {
        panic!("it was found")
    };
}

#[test]
fn p2_a_batch_gets_the_worst_of_its_users_results() {
    use Found::{CannotTell, Deleted, StillThere};
    let of = |results: &[Found]| {
        let users = results.iter().zip(1..).map(|(result, user)| UserFound {
            user: user.to_string(),
            result: *result,
            status: None,
            revision: None,
        });
        let users: Vec<_> = users.collect();
        worst(&users).map(|user| (user.result, user.user.clone()))
    };
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[Deleted, Deleted]), Some((Deleted, "1".into())));
    assert_eq!(
        of(&[Deleted, StillThere, StillThere]),
        Some((StillThere, "2".into()))
    );
    assert_eq!(
        of(&[StillThere, CannotTell, Deleted]),
        Some((CannotTell, "2".into()))
    );
}
