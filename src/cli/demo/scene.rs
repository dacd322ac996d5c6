//! The parts of the demo: a temporary folder, the simulator, and the gateway as `lychgate run`
//! starts it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use super::call::status;
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::{Key, VerifierKey, keygen};
use crate::audit::read::query::{Deletion, Filter, pick};
use crate::audit::read::{CHECKPOINT, Location, MissingRange, verify};
use crate::clock::Clock;
use crate::config::Config;
use crate::gateway::Gateway;
use crate::simulator::Simulator;
use crate::simulator::issuer::{AUDIENCE, ISSUER};
use crate::token::mint::mint;

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
/// In seconds; longer than anyone runs the demo.
const TOKEN_LIFETIME: i64 = 8 * 3_600;
/// Limit on opening the trail and fetching the keys.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// A checkpoint follows within a second; a gateway whose checkpoint is this late refuses deletions.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(10);
/// Limit on reading a call's entry from the trail.
const RECORD_WITHIN: Duration = Duration::from_secs(5);
/// The pause between two checks.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// All parts of a running demo.
pub(super) struct Scene {
    pub(super) folder: Folder,
    pub(super) gateway: Gateway,
    pub(super) simulator: Simulator,
    /// The caller's.
    pub(super) token: String,
    /// The trail's.
    pub(super) verifier: VerifierKey,
}

/// A folder that is removed with its contents.
pub(super) struct Folder(pub(super) PathBuf);

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
        let accounts = [(ACCOUNT, 5), (OTHER_ACCOUNT, 5)];
        let simulator = Simulator::start(&accounts).await.map_err(text)?;
        folder.write("issuer.pem", &simulator.key.private_pem().map_err(text)?)?;
        let verifier = keygen(ORIGIN, &folder.0.join("audit.key")).map_err(text)?;
        folder.write("verifier.txt", &format!("{verifier}\n"))?;
        folder.write("lychgate.toml", &config(&simulator))?;
        let config = Config::load(&folder.0.join("lychgate.toml"));
        let config = config.map_err(|problems| problems.rendered)?;
        let gateway = Gateway::start(config, Clock::system())
            .await
            .map_err(text)?;
        let now = Clock::system().now().seconds();
        let claims = json!({
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": SUBJECT,
            "client_id": "demo-console",
            "accounts": [ACCOUNT],
            "scope": SCOPES.join(" "),
            "iat": now,
            "exp": now + TOKEN_LIFETIME,
        });
        let token = mint(&simulator.key, &claims).map_err(text)?;
        let scene = Self {
            folder,
            gateway,
            simulator,
            token,
            verifier,
        };
        scene.wait_until_ready().await?;
        Ok(scene)
    }

    /// Waits until the gateway takes deletions.
    async fn wait_until_ready(&self) -> Result<(), String> {
        let admin = self.gateway.admin_address();
        let ready = within(READY_WITHIN, async || {
            let reads = status(admin, "/readyz").await;
            let deletions = status(admin, "/readyz?for=deletions").await;
            ((reads, deletions) == (Some(200), Some(200))).then_some(())
        });
        ready
            .await
            .ok_or_else(|| "the gateway did not become ready to take deletions".to_owned())
    }

    pub(super) fn revision(&self) -> u64 {
        self.simulator.store.revision(ACCOUNT).unwrap_or_default()
    }

    /// Waits until a checkpoint covers this many entries.
    pub(super) async fn wait_for_checkpoint(&self, entries: u64) -> Result<(), String> {
        let covered = within(PUBLISHED_WITHIN, async || {
            let bytes = std::fs::read(self.path("audit").join(CHECKPOINT)).ok()?;
            let checkpoint = Checkpoint::open(&bytes, &self.verifier).ok()?;
            (checkpoint.size >= entries).then_some(())
        });
        covered
            .await
            .ok_or_else(|| format!("no checkpoint covers {entries} entries"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    /// Finds the deletion of a request in the trail. The gateway answers a refused request before it writes the
    /// entry, so this looks several times.
    pub(super) async fn deletion(&self, request_id: &str) -> Option<Deletion> {
        let look = async || {
            let mut log = Location::Folder(self.path("audit")).open(None).ok()?;
            let mut found = None;
            let searched = pick(&mut log, &Filter::default(), None, |deletion| {
                if deletion.request_id == request_id {
                    found = Some(deletion);
                }
                Ok::<_, MissingRange>(())
            });
            searched.ok().and(found)
        };
        within(RECORD_WITHIN, look).await
    }

    /// Verifies the trail as `lychgate audit verify` does.
    pub(super) fn verify(&self) -> Result<verify::Summary, String> {
        let key = Key::read(&self.path("audit.key")).map_err(text)?;
        verify::folder(&self.path("audit"), Some(&key), |_, _, _| {}).map_err(text)
    }
}

fn config(simulator: &Simulator) -> String {
    let (users, keys) = (simulator.users.address(), simulator.jwks_url());
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

/// Looks again and again until there is a result, or until the time is over.
async fn within<T>(patience: Duration, look: impl AsyncFn() -> Option<T>) -> Option<T> {
    let begin = Instant::now();
    loop {
        let found = look().await;
        if found.is_some() || begin.elapsed() > patience {
            return found;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
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
