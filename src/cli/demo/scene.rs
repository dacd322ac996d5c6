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
/// `client_id` of the caller's token.
const CLIENT: &str = "demo-console";
/// The scopes of the caller's token.
pub(super) const SCOPES: [&str; 2] = ["users.read", "users.delete"];
/// The trail's name.
const ORIGIN: &str = "lychgate.demo/trail";
/// The token's lifetime in seconds; longer than anyone runs the demo.
const TOKEN_LIFETIME: i64 = 8 * 3_600;
/// The time limit for opening the trail and fetching the keys.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// The time limit for a checkpoint that covers all entries. Such a checkpoint usually follows within a
/// second. The gateway refuses deletions if an entry waits this long for a checkpoint.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(10);
/// The time limit for finding a call's entry in the trail.
const RECORD_WITHIN: Duration = Duration::from_secs(5);
/// The pause between two attempts, while the demo waits for a result.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// All parts of a running demo.
pub(super) struct Scene {
    pub(super) folder: Folder,
    pub(super) gateway: Gateway,
    pub(super) simulator: Simulator,
    /// The caller's token.
    pub(super) token: String,
    /// The trail's verifier key.
    pub(super) verifier: VerifierKey,
}

/// The demo's folder, which is removed with its contents at the latest when this value is dropped.
pub(super) struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // If this fails, the files stay in the system's temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Scene {
    /// Makes the folder, and starts the simulator and the gateway.
    pub(super) async fn start() -> Result<Self, String> {
        let folder = Folder::new()?;
        let accounts = [(ACCOUNT, 5), (OTHER_ACCOUNT, 5)];
        let simulator = Simulator::start(&accounts).await.map_err(text)?;
        folder.write("issuer.pem", &simulator.key.private_pem().map_err(text)?)?;
        let verifier = keygen(ORIGIN, &folder.path().join("audit.key")).map_err(text)?;
        folder.write("verifier.txt", &format!("{verifier}\n"))?;
        folder.write("lychgate.toml", &config(&simulator))?;
        let config = Config::load(&folder.path().join("lychgate.toml"));
        let config = config.map_err(|problems| problems.rendered)?;
        let gateway = Gateway::start(config, Clock::system())
            .await
            .map_err(text)?;
        folder.write("env", &variables(&folder, &gateway))?;
        let now = Clock::system().now().seconds();
        let claims = json!({
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": SUBJECT,
            "client_id": CLIENT,
            "accounts": [ACCOUNT],
            "scope": SCOPES.join(" "),
            "iat": now,
            "exp": now + TOKEN_LIFETIME,
        });
        let token = mint(&simulator.key, &claims).map_err(text)?;
        Ok(Self {
            folder,
            gateway,
            simulator,
            token,
            verifier,
        })
    }

    /// Waits until the gateway takes deletions.
    pub(super) async fn wait_until_ready(&self) -> Result<(), String> {
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
        self.folder.path().join(name)
    }

    /// Finds the deletion of a request in the trail. The gateway answers a refused request before it writes
    /// the entry, so this method searches repeatedly until it finds the deletion or the time is over.
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

/// A shell script that defines the variables of the printed commands, and `lychgate` as a function that
/// runs this program. The script holds no token: it mints one.
fn variables(folder: &Folder, gateway: &Gateway) -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "lychgate".into());
    let (program, folder) = (quoted(&program), quoted(folder.path()));
    let users = |account| format!("http://{}{}", gateway.address(), collection(account));
    let (users, other, scopes) = (users(ACCOUNT), users(OTHER_ACCOUNT), SCOPES.join(" "));
    format!(
        r#"lychgate() {{ {program} "$@"; }}
DEMO={folder}
KEY="$(cat "$DEMO/verifier.txt")"
USERS={users}
OTHER={other}
TOKEN="Authorization: Bearer $(lychgate token mint --key "$DEMO/issuer.pem" \
  --issuer {ISSUER} --audience {AUDIENCE} --subject {SUBJECT} --client {CLIENT} \
  --accounts {ACCOUNT} --scope '{scopes}' --lifetime 8h)"
"#
    )
}

/// The path of an account's users.
pub(super) fn collection(account: &str) -> String {
    format!("/api/account/{account}/configuration/le-users/users")
}

/// A path as one word of a shell command.
pub(super) fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+".contains(letter);
    match path.chars().all(is_plain) {
        true => path.into_owned(),
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}

/// Calls `look` again and again until there is a result or the time is over.
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
        // Fails if the folder exists, because another user may own that folder and could read the
        // key.
        let name = format!("lychgate-demo-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| at(&path, &error))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes the folder and returns its path.
    pub(super) fn remove(self) -> Result<PathBuf, String> {
        match std::fs::remove_dir_all(&self.0) {
            Ok(()) => Ok(self.0.clone()),
            Err(error) => Err(format!("{}; remove the folder", at(&self.0, &error))),
        }
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
