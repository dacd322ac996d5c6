//! A gateway in this process, in front of a test upstream.

use std::net::SocketAddr;
use std::path::PathBuf;

use lychgate::clock::Clock;
use lychgate::config::Config;
use lychgate::gateway::Gateway;

use super::folder::Folder;
use super::{tokens, trail, wire};

/// The trail's name in tests.
pub(crate) const ORIGIN: &str = "lychgate.test/cases";

/// A running gateway. Dropping it removes its folder.
#[derive(Debug)]
pub(crate) struct TestGateway {
    runtime: tokio::runtime::Runtime,
    gateway: Option<Gateway>,
    folder: Folder,
    /// The public line of the trail's key.
    verifier: String,
}

/// The smallest working config: keys in a file, two accounts at `upstream`, one at `dead`.
pub(crate) fn base_config(upstream: SocketAddr, dead: SocketAddr) -> String {
    format!(
        r#"[listen]
address = "127.0.0.1:0"

[admin]
address = "127.0.0.1:0"

[[issuer]]
issuer = "{issuer}"
audience = ["{audience}"]
algorithms = ["ES256", "EdDSA"]
jwks_file = "keys.json"

[domains.accounts]
"{account}" = "http://{upstream}"
"87654321" = "http://{upstream}"
"99999999" = "http://{dead}"

[audit]
directory = "audit"
origin = "{ORIGIN}"
key_file = "audit.key"
"#,
        issuer = tokens::ISSUER,
        audience = tokens::AUDIENCE,
        account = tokens::ACCOUNT,
    )
}

/// A folder with the config, all files that [`base_config`] names, and the public line of the
/// trail's key.
pub(crate) fn prepare(config: &str) -> (Folder, String) {
    let folder = Folder::new();
    folder.write("keys.json", tokens::key_set());
    folder.write("lychgate.toml", config);
    let verifier = trail::keygen(ORIGIN, &folder.path().join("audit.key"));
    (folder, verifier)
}

impl TestGateway {
    /// Starts a gateway with this config; `fill` adds the other files that the config names.
    pub(crate) fn start(config: &str, fill: impl FnOnce(&Folder)) -> Self {
        let (folder, verifier) = prepare(config);
        fill(&folder);
        let loaded = Config::load(&folder.path().join("lychgate.toml"));
        let loaded = loaded.unwrap_or_else(|problems| panic!("{}", problems.rendered));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let gateway = runtime.block_on(Gateway::start(loaded, Clock::system()));
        let gateway = gateway.unwrap_or_else(|fault| panic!("{fault}"));
        let this = Self {
            runtime,
            gateway: Some(gateway),
            folder,
            verifier,
        };
        this.wait_until_ready();
        this
    }

    fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("it is not stopped yet")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway().address()
    }

    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.gateway().admin_address()
    }

    pub(crate) fn verifier(&self) -> &str {
        &self.verifier
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    pub(crate) fn audit_directory(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    /// The metrics page.
    pub(crate) fn metrics(&self) -> String {
        let answer = wire::get(self.admin_address(), "/metrics").expect("metrics are served");
        String::from_utf8(answer.body).unwrap()
    }

    /// Deletions are accepted only after the recovery of the trail.
    fn wait_until_ready(&self) {
        let begin = std::time::Instant::now();
        loop {
            let answer = wire::get(self.admin_address(), "/readyz?for=deletions");
            let answer = answer.expect("readiness is served");
            if answer.status == 200 {
                return;
            }
            let waited = begin.elapsed();
            assert!(waited < wire::PATIENCE, "{}", answer.shown());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Drains and stops the gateway. Its folder stays until the drop.
    pub(crate) fn stop(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            self.runtime.block_on(gateway.stop());
        }
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        self.stop();
    }
}
