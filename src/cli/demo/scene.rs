//! The parts of the demo: a temporary folder, the simulator, and the gateway as `lychgate run`
//! starts it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::call::status;
use super::ending::Stage;
use crate::audit::entry::Entry;
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::{Key, keygen};
use crate::audit::log::verifier_key::VerifierKey;
use crate::audit::read::Log;
use crate::audit::read::query::{Deletion, Joiner};
use crate::audit::read::verify;
use crate::clock::Clock;
use crate::config::Config;
use crate::gateway::Gateway;
use crate::simulator::issuer::{AUDIENCE, Grant, ISSUER};
use crate::simulator::{Settings, Simulator};

/// The account that the caller's token covers.
pub(super) const ACCOUNT: &str = "12345678";
/// Another account, which the caller's token does not cover.
pub(super) const OTHER_ACCOUNT: &str = "87654321";
/// `sub` of the caller's token.
pub(super) const SUBJECT: &str = "ada@example.test";
/// The scopes of the caller's token.
pub(super) const SCOPES: [&str; 2] = ["users.read", "users.delete"];
/// The trail's name.
const ORIGIN: &str = "lychgate.demo/trail";
/// Longer than anyone runs the demo.
const TOKEN_LIFETIME: Duration = Duration::from_secs(8 * 3_600);
/// Limit on opening the trail and fetching the keys.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// A checkpoint follows within a second; a gateway whose checkpoint is this late refuses deletions.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(10);
/// The pause between two checks.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// All parts of a running demo.
pub(super) struct Scene {
    folder: Folder,
    gateway: Gateway,
    simulator: Simulator,
    token: String,
    verifier: VerifierKey,
}

/// A folder that is removed with its contents.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // If this fails, the files stay in the system's temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Scene {
    /// Starts everything and waits until the gateway takes deletions.
    pub(super) async fn set() -> Result<Self, String> {
        let folder = Folder::new()?;
        let settings = Settings {
            accounts: vec![(ACCOUNT.to_owned(), 5), (OTHER_ACCOUNT.to_owned(), 5)],
            conflict_status: 409,
        };
        let simulator = Simulator::start(&settings).await.map_err(text)?;
        folder.write(
            "issuer.pem",
            &simulator.issuer().private_pem().map_err(text)?,
        )?;
        let verifier = keygen(ORIGIN, &folder.0.join("audit.key")).map_err(text)?;
        folder.write("verifier.txt", &format!("{verifier}\n"))?;
        folder.write("lychgate.toml", &config(&simulator))?;
        let config = Config::load(&folder.0.join("lychgate.toml"));
        let config = config.map_err(|problems| problems.rendered)?;
        let gateway = Gateway::start(config, Clock::system())
            .await
            .map_err(text)?;
        let grant = Grant {
            subject: SUBJECT.to_owned(),
            client: "demo-console".to_owned(),
            accounts: vec![ACCOUNT.to_owned()],
            scopes: SCOPES.map(str::to_owned).to_vec(),
            lifetime: TOKEN_LIFETIME,
        };
        let token = simulator.issuer().mint(&grant, Clock::system().now());
        let scene = Self {
            folder,
            gateway,
            simulator,
            token: token.map_err(text)?,
            verifier,
        };
        scene.wait_until_ready().await?;
        Ok(scene)
    }

    async fn wait_until_ready(&self) -> Result<(), String> {
        let begin = std::time::Instant::now();
        while begin.elapsed() < READY_WITHIN {
            let admin = self.gateway.admin_address();
            let reads = status(admin, "/readyz").await;
            let deletions = status(admin, "/readyz?for=deletions").await;
            if (reads, deletions) == (Some(200), Some(200)) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Err("the gateway did not become ready to take deletions".to_owned())
    }

    /// Drains the gateway; the drop stops the simulator and removes the folder.
    pub(super) async fn strike(self) {
        self.gateway.stop().await;
    }

    /// The gateway's address.
    pub(super) fn address(&self) -> std::net::SocketAddr {
        self.gateway.address()
    }

    /// The address of the gateway's admin listener.
    pub(super) fn admin_address(&self) -> std::net::SocketAddr {
        self.gateway.admin_address()
    }

    /// The address of the simulated Users API.
    pub(super) fn users_address(&self) -> std::net::SocketAddr {
        self.simulator.users_address()
    }

    /// The caller's token.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// The account's current revision.
    pub(super) fn revision(&self) -> u64 {
        self.simulator.store().revision(ACCOUNT).unwrap_or_default()
    }

    /// How many requests reached upstream.
    pub(super) fn upstream_count(&self) -> u64 {
        self.simulator.seen_count()
    }

    /// The demo's temporary folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// The variables of the commands at the demo's end.
    pub(super) fn stage(&self) -> Stage<'_> {
        Stage {
            folder: &self.folder.0,
            key: &self.verifier,
        }
    }

    /// Waits until a checkpoint covers this many entries.
    pub(super) async fn wait_for_checkpoint(&self, entries: u64) -> Result<(), String> {
        let begin = std::time::Instant::now();
        while begin.elapsed() < PUBLISHED_WITHIN {
            let bytes = std::fs::read(self.path("audit").join(verify::CHECKPOINT));
            let checkpoint = bytes.map(|bytes| Checkpoint::open(&bytes, &self.verifier));
            if matches!(checkpoint, Ok(Ok(checkpoint)) if checkpoint.size >= entries) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Err(format!("no checkpoint covers {entries} entries"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    /// The joined trail entries of a request, once they are in the trail.
    pub(super) fn deletion(&self, request_id: &str) -> Option<Deletion> {
        let mut joiner = Joiner::default();
        let mut log = Log::folder(&self.path("audit"), None).ok()?;
        let decoded = |index, bytes: &[u8]| Some((index, Entry::decode(bytes).ok()?));
        log.scan_from(0, decoded, |(index, entry)| {
            joiner.push(index, entry);
            ControlFlow::Continue(())
        })
        .ok()?;
        joiner.rest().find(|one| one.request_id == request_id)
    }

    /// Verifies the trail as `lychgate audit verify` does.
    pub(super) fn verify(&self) -> Result<verify::Summary, String> {
        let key = Key::read(&self.path("audit.key")).map_err(text)?;
        verify::folder(&self.path("audit"), Some(&key), |_, _, _| {}).map_err(text)
    }
}

fn config(simulator: &Simulator) -> String {
    let (users, keys) = (simulator.users_address(), simulator.jwks_url());
    format!(
        r#"[listen]
address = "127.0.0.1:0"

[admin]
address = "127.0.0.1:0"

[[issuer]]
issuer = "{ISSUER}"
audience = ["{AUDIENCE}"]
algorithms = ["ES256"]
jwks_url = "{keys}"

[domains.accounts]
"{ACCOUNT}" = "http://{users}"
"{OTHER_ACCOUNT}" = "http://{users}"

[audit]
directory = "audit"
origin = "{ORIGIN}"
key_file = "audit.key"
# A demo may run on a laptop whose disk is busy; in service, keep the default.
sync_timeout = "60s"
"#
    )
}

impl Folder {
    fn new() -> Result<Self, String> {
        use std::os::unix::fs::DirBuilderExt as _;
        // Fails if the folder exists: another user may own it and would get the key.
        let name = format!("lychgate-demo-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| at(&path, &error))?;
        Ok(Self(path))
    }

    fn write(&self, name: &str, contents: &str) -> Result<(), String> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = self.0.join(name);
        let mut options = std::fs::OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&path);
        opened
            .and_then(|mut file| file.write_all(contents.as_bytes()))
            .map_err(|error| at(&path, &error))
    }
}

fn at(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
