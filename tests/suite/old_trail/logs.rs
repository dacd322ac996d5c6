//! The two logs of the archive: their names, their keys, and the commands that read them.

use std::path::{Path, PathBuf};
use std::process::Output;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::program::{Home, ORIGIN};
use super::super::users::Users;
use crate::support::trail;

/// One log and the names of its files.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Log {
    pub(super) origin: &'static str,
    seed: u8,
    pub(super) key: &'static str,
    /// The newest checkpoint, stored outside the folder.
    pub(super) seen: &'static str,
    /// An early checkpoint and the three headers of a receipt.
    pub(super) kept: &'static str,
    pub(super) receipt: &'static str,
    /// The output of `audit list --json` when the archive was made.
    pub(super) list: &'static str,
}

/// The abandoned log, in the audit folder of the other log.
pub(super) const FIRST: Log = Log {
    origin: "lychgate.test/trail-1",
    seed: 1,
    key: "first.key",
    seen: "first.key.seen",
    kept: "first.checkpoint",
    receipt: "first.receipt",
    list: "first.list.jsonl",
};

/// The second log, which a kill ended.
pub(in super::super) const SECOND: Log = Log {
    origin: "lychgate.test/trail-2",
    seed: 2,
    key: "second.key",
    seen: "second.key.seen",
    kept: "second.checkpoint",
    receipt: "second.receipt",
    list: "second.list.jsonl",
};

impl Log {
    /// The verifier key and the key file, built from the signed-note text without the program's
    /// code.
    fn keys(&self) -> (String, String) {
        let seed = [self.seed; 32];
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let with_algorithm = |key: &[u8]| [&[1], key].concat();
        let public = with_algorithm(pair.public_key().as_ref());
        let named = [self.origin.as_bytes(), b"\n", &public].concat();
        let hash = digest(&SHA256, &named);
        let id: String = hash.as_ref()[..4]
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let line = |body: &[u8]| format!("{}+{id}+{}", self.origin, STANDARD.encode(body));
        let secret = format!("PRIVATE+KEY+{}\n", line(&with_algorithm(&seed)));
        (line(&public), secret)
    }

    pub(in super::super) fn verifier(&self) -> String {
        self.keys().0
    }

    pub(super) fn write_key(&self, home: &Home) {
        std::fs::write(home.path(self.key), self.keys().1).unwrap();
    }

    /// Names this log and its key in the config.
    pub(super) fn name_in_config(&self, home: &Home) {
        let path = home.path("lychgate.toml");
        let mut text = std::fs::read_to_string(&path).unwrap();
        for (origin, key) in [(ORIGIN, "audit.key"), (FIRST.origin, FIRST.key)] {
            text = text
                .replace(&format!("\"{origin}\""), &format!("\"{}\"", self.origin))
                .replace(&format!("\"{key}\""), &format!("\"{}\"", self.key));
        }
        std::fs::write(path, text).unwrap();
    }
}

/// A home whose config names this log.
pub(super) fn home_of(log: &Log, users: &Users, keys: &[(&str, &str)]) -> Home {
    let home = Home::new(users.address(), keys);
    log.write_key(&home);
    log.name_in_config(&home);
    home
}

/// The output of a command, which must have succeeded.
pub(super) fn said(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{errors}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// `lychgate audit WORDS --dir DIRECTORY`.
pub(super) fn audit(directory: &Path, words: &[&str]) -> Output {
    let mut command = trail::lychgate();
    command.arg("audit").args(words).arg("--dir").arg(directory);
    command.output().unwrap()
}

/// The folder to which `accept-loss` moved the abandoned log.
pub(super) fn left_in(audit: &Path) -> PathBuf {
    let names = std::fs::read_dir(audit).unwrap();
    let mut paths = names.map(|name| name.unwrap().path());
    let lost = paths.find(|path| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("lost-")
    });
    lost.expect("accept-loss abandoned a log here")
}
