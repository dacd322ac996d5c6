//! The measured gateway: its folder with config, keys and tokens, and its process.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lychgate::token::Algorithm;
use lychgate::token::mint::{Key, mint};
use serde_json::json;

use super::process::Process;

/// The gateway of this build.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_lychgate");
/// The number of different tokens; the cache holds all of them.
const TOKENS: usize = 1_000;

/// The gateway's folder, removed on drop.
pub(crate) struct Setup {
    /// The path of the gateway's binary.
    binary: String,
    pub(crate) folder: PathBuf,
    /// The address of the gateway.
    pub(crate) address: String,
    /// The address of upstream.
    pub(crate) upstream: String,
}

impl Setup {
    /// Makes keys, tokens and config for the gateway of this build.
    pub(crate) fn new() -> Self {
        Self::of(BINARY)
    }

    /// Like [`Self::new`], for another build of the gateway.
    pub(crate) fn of(binary: &str) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        // In the build folder: a temporary folder may be in memory, where syncs cost nothing.
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("bench-{}-{number}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let [address, admin, upstream] = [free_port(), free_port(), free_port()];
        let key = Key::generate(Algorithm::ES256).expect("a key");
        std::fs::write(folder.join("keys.json"), key.public_jwks()).expect("keys");
        std::fs::write(folder.join("tokens"), tokens(&key)).expect("tokens");
        let made = Command::new(binary)
            .args(["audit", "keygen", "--origin", "bench.test/log", "--out"])
            .arg(folder.join("audit.key"))
            .output()
            .expect("keygen runs");
        assert!(made.status.success(), "keygen failed");
        let config = format!(
            "[listen]\naddress = \"{address}\"\n\n[admin]\naddress = \"{admin}\"\n\n\
             [[issuer]]\nissuer = \"https://issuer.test/\"\naudience = [\"gateway\"]\n\
             algorithms = [\"ES256\"]\njwks_file = \"keys.json\"\n\n\
             [domains.accounts]\n\"12345678\" = \"http://{upstream}\"\n\n\
             [audit]\ndirectory = \"audit\"\norigin = \"bench.test/log\"\nkey_file = \"audit.key\"\n\
             sync_timeout = \"1m\"\n"
        );
        std::fs::write(folder.join("lychgate.toml"), config).expect("a config");
        Self {
            binary: binary.to_owned(),
            folder,
            address: address.to_string(),
            upstream: upstream.to_string(),
        }
    }

    /// The file of tokens.
    pub(crate) fn tokens(&self) -> String {
        self.folder.join("tokens").display().to_string()
    }

    /// Starts the gateway on core 0 and waits until it accepts connections.
    pub(crate) fn start(&self) -> Process {
        self.start_on("0")
    }

    /// Like [`Self::start`], on these cores.
    pub(crate) fn start_on(&self, cores: &str) -> Process {
        self.start_under(&[], cores)
    }

    /// Like [`Self::start_on`], under another program.
    pub(crate) fn start_under(&self, runner: &[&str], cores: &str) -> Process {
        let config = self.folder.join("lychgate.toml");
        let config = config.to_str().expect("a plain path");
        let gateway = [&*self.binary, "run", "--config", config];
        let process = Process::start(cores, &[runner, &gateway].concat());
        wait_for(&self.address);
        process
    }

    /// Starts upstream on a core.
    pub(crate) fn start_upstream(&self, core: usize) -> Process {
        let process = Process::role(core, &["upstream", &self.upstream]);
        wait_for(&self.upstream);
        process
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Waits at most a minute for a listener at the address, because valgrind starts slowly.
pub(crate) fn wait_for(address: &str) {
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{address} is silent"
        );
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

#[expect(clippy::disallowed_methods, reason = "tokens of a real clock")]
fn tokens(key: &Key) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    let expires = now.as_secs() + 3_600;
    let mut all = String::new();
    for n in 0..TOKENS {
        let claims = json!({
            "iss": "https://issuer.test/", "aud": "gateway", "sub": format!("caller-{n}"),
            "exp": expires, "jti": format!("token-{n}"), "client_id": "bench",
            "accounts": ["12345678"], "scope": "users.read users.write users.delete",
        });
        all.push_str(&mint(key, &claims).expect("a token"));
        all.push('\n');
    }
    all
}
