//! Reads and checks the files that the config names. It bounds their size and never prints their
//! content.

use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::findings::Findings;
use crate::audit::log::key::Key;
use crate::strict_toml::Table;

/// The maximum size of a file that the config names.
const MAX_BYTES: u64 = 1 << 20;
/// The maximum length of a token; every later read of the file has the same bound.
const MAX_TOKEN_BYTES: usize = 16 << 10;

/// Finds and checks the files of a config.
#[derive(Debug)]
pub(super) struct Named<'r> {
    /// The path of the config file.
    pub(super) config: &'r Path,
    pub(super) findings: &'r Findings,
}

impl Named<'_> {
    /// Reads a path that is not empty and contains no NUL byte.
    pub(super) fn path(&self, table: &mut Table<'_>, key: &'static str) -> Option<PathBuf> {
        let hint = "a path, relative to the config file's folder";
        table.parsed(key, hint, |path| {
            match path.is_empty() || path.contains('\0') {
                true => Err("is not a path".to_owned()),
                false => Ok(self.resolve(path)),
            }
        })
    }

    /// The path of a file, relative to the config's folder unless it is absolute.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        let folder = self.config.parent().unwrap_or(Path::new(""));
        folder.join(path)
    }

    /// Reads the path of a file with one bearer token, and checks the file.
    pub(super) fn token(&self, table: &mut Table<'_>, key: &'static str) -> Option<PathBuf> {
        let file = self.path(table, key);
        if let Some(file) = &file {
            check_token(table, key, file);
        }
        file
    }
}

/// Checks a file with one bearer token (the `b64token` characters of RFC 6750 and a few more).
pub(super) fn check_token(table: &Table<'_>, key: &str, file: &Path) {
    let hint = "a file that contains only the token, readable by the gateway's user";
    check(table, key, file, hint, |text| {
        let token = text.trim();
        let fits = (1..=MAX_TOKEN_BYTES).contains(&token.len());
        match fits && token.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(()),
            false => Err("holds no token".to_owned()),
        }
    });
}

/// Checks a file with a JWK set (RFC 7517 §5) of at least one key.
pub(super) fn check_key_set(table: &Table<'_>, key: &str, file: &Path) {
    let hint = "a JWK set, {\"keys\": [...]}, with the issuer's public keys";
    check(table, key, file, hint, |text| {
        let keys = serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|set| set.get("keys")?.as_array().map(Vec::len));
        match keys {
            None => Err("is not a JWK set".to_owned()),
            Some(0) => Err("holds no key".to_owned()),
            Some(_) => Ok(()),
        }
    });
}

/// Checks the trail's signing key (C2SP signed-note). Its name must be the trail's origin.
pub(super) fn check_signing_key(table: &Table<'_>, key: &str, file: &Path, origin: &str) {
    let hint = format!("make one with `lychgate audit keygen --origin {origin} --out FILE`");
    check(table, key, file, &hint, |text| {
        match Key::parse(&Zeroizing::new(text)) {
            Err(wrong) => Err(format!("holds no usable key: {wrong}")),
            Ok(key) if key.origin() != origin => {
                Err("holds a key made for another origin".to_owned())
            }
            Ok(_) => Ok(()),
        }
    });
}

/// Checks a file with PEM certificates.
pub(super) fn check_roots(table: &Table<'_>, key: &str, file: &Path) {
    let hint = "a PEM file with the certificates to trust";
    check(table, key, file, hint, |text| {
        match text.contains("-----BEGIN CERTIFICATE-----") {
            true => Ok(()),
            false => Err("holds no certificate".to_owned()),
        }
    });
}

/// Adds a problem if the file is unreadable or `judge` refuses its text.
fn check(
    table: &Table<'_>,
    key: &str,
    file: &Path,
    hint: &str,
    judge: impl FnOnce(String) -> Result<(), String>,
) {
    if let Err(wrong) = text(file).and_then(judge) {
        table.wrong(key, &format!("names a file that {wrong}"), hint);
    }
}

/// The text of a file. The error completes "a file that ...".
pub(super) fn text(path: &Path) -> Result<String, String> {
    String::from_utf8(bytes(path)?).map_err(|_| "is not UTF-8".to_owned())
}

/// The bytes of a regular file of at most 1 MiB.
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
