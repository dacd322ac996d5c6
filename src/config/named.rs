//! Reads and checks the files that the config names. It bounds their size and never prints their
//! content.

use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::findings::Findings;
use crate::audit::log::key::Key;
use crate::strict_toml::Placed;

/// The maximum size of a file that the config names.
const MAX_BYTES: u64 = 1 << 20;
/// The maximum length of a token; every later read of the file has the same bound.
const MAX_TOKEN_BYTES: usize = 16 << 10;

/// Finds and checks the files of a config.
#[derive(Debug)]
pub(super) struct Named<'r> {
    /// The folder of the config file.
    pub(super) folder: PathBuf,
    /// The collector of problems.
    pub(super) findings: &'r Findings,
}

impl Named<'_> {
    /// The path of a file, relative to the config's folder unless it is absolute.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// The text of a file; `None` after it has added a problem.
    pub(super) fn text(&self, key: &str, named: &Placed<String>, hint: &str) -> Option<String> {
        match read(&self.path(&named.value)) {
            Ok(text) => Some(text),
            Err(wrong) => {
                let message = format!("`{key}` names a file that {wrong}");
                self.findings.add(&named.span, message, hint);
                None
            }
        }
    }

    /// Checks a file with one bearer token (the `b64token` characters of RFC 6750 and a few more).
    pub(super) fn token(&self, key: &str, named: &Placed<String>) {
        let hint = "a file that contains only the token, readable by the gateway's user";
        let Some(text) = self.text(key, named, hint) else {
            return;
        };
        let token = text.trim();
        if token.is_empty()
            || token.len() > MAX_TOKEN_BYTES
            || !token.bytes().all(|byte| byte.is_ascii_graphic())
        {
            let message = format!("`{key}` names a file that holds no token");
            self.findings.add(&named.span, message, hint);
        }
    }

    /// Checks a file with a JWK set (RFC 7517 §5) of at least one key.
    pub(super) fn key_set(&self, key: &str, named: &Placed<String>) {
        let hint = "a JWK set, {\"keys\": [...]}, with the issuer's public keys";
        let Some(text) = self.text(key, named, hint) else {
            return;
        };
        let keys = serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|set| set.get("keys")?.as_array().map(Vec::len));
        let wrong = match keys {
            None => "is not a JWK set",
            Some(0) => "holds no key",
            Some(_) => return,
        };
        let message = format!("`{key}` names a file that {wrong}");
        self.findings.add(&named.span, message, hint);
    }

    /// Checks the trail's signing key (C2SP signed-note). Its name must be the trail's origin.
    pub(super) fn signing_key(&self, named: &Placed<String>, origin: &str) {
        let hint = format!("make one with `lychgate audit keygen --origin {origin} --out FILE`");
        let Some(text) = self.text("audit.key_file", named, &hint) else {
            return;
        };
        let wrong = match Key::parse(&Zeroizing::new(text)) {
            Err(wrong) => format!("holds no usable key: {wrong}"),
            Ok(key) if key.origin() != origin => "holds a key made for another origin".to_owned(),
            Ok(_) => return,
        };
        let message = format!("`audit.key_file` names a file that {wrong}");
        self.findings.add(&named.span, message, hint);
    }
}

fn read(path: &Path) -> Result<String, String> {
    String::from_utf8(bytes(path)?).map_err(|_| "is not UTF-8".to_owned())
}

/// The bytes of a regular file of at most 1 MiB. The error text completes "a file that ...".
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    // Checks the type first: opening a pipe would wait for its writer.
    let metadata = std::fs::metadata(path).map_err(cannot)?;
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(cannot)?;
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err("is longer than 1 MiB".to_owned());
    }
    Ok(bytes)
}
