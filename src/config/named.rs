//! Reads and checks the files that the config names. The reader limits the size of each file, and
//! no message shows the content of a file.

use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::findings::{Findings, looks_secret};
use crate::audit::Settings;
use crate::audit::disk::names::VERIFIER;
use crate::audit::log::key::{Key, VerifierKey};
use crate::strict_toml::Table;

/// The maximum size in bytes of a file that the config names.
const MAX_BYTES: u64 = 1 << 20;
/// The maximum length of a token file in bytes. Each later read of a token file has the same limit.
const MAX_TOKEN_BYTES: usize = 16 << 10;

/// Finds and checks the files that a config names.
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
                // Absolute, so that log lines name the file even to a reader in another folder.
                false => Ok(absolute(&self.resolve(path))),
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

/// Checks a file with one bearer token. The token must be visible ASCII, which includes the
/// `b64token` characters of RFC 6750.
pub(super) fn check_token(table: &Table<'_>, key: &str, file: &Path) {
    let hint = "a file that contains only the token, readable by the gateway's user";
    check(table, key, file, hint, |text| {
        let token = text.trim();
        let fits = text.len() <= MAX_TOKEN_BYTES && !token.is_empty();
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

/// The hint if the key of an existing log is missing.
const PUT_BACK: &str = "put the key of the trail's log back; if it is lost, begin a log of another name (docs/operations.md, \"Starting over\")";

/// Checks the trail's signing key (C2SP signed-note). The name in the key must equal
/// `audit.origin`.
pub(super) fn check_signing_key(
    table: &Table<'_>,
    key: &str,
    file: &Path,
    origin: &str,
    directory: Option<&Path>,
) {
    let of_folder = directory.and_then(origin_in);
    let is_there = file.exists();
    // `keygen` never overwrites a file, so the hint does not name an existing file.
    let out = if is_there {
        "FILE".to_owned()
    } else {
        word(file)
    };
    let has_log = of_folder.is_some() || Settings::seen_beside(file).exists();
    // A new key could not open a log that another key signed.
    let make = match has_log {
        true => PUT_BACK.to_owned(),
        false => format!("make one with `lychgate audit keygen --origin {origin} --out {out}`"),
    };
    let unread = match is_there {
        true => "make it readable for the gateway's user (owner, mode 0600)".to_owned(),
        false => make.clone(),
    };
    let judge = |text: String| match Key::parse(&Zeroizing::new(text)) {
        Err(wrong) => Err((format!("holds no usable key: {wrong}"), make.clone())),
        Ok(found) if found.origin() != origin => {
            let mend = mend_origin(found.origin(), origin, of_folder.as_deref(), &make);
            let wrong = format!(
                "holds a key for `{}`, but `audit.origin` is `{origin}`",
                found.origin()
            );
            Err((wrong, mend))
        }
        Ok(_) => Ok(()),
    };
    if let Err((wrong, hint)) = text(file).map_err(|wrong| (wrong, unread)).and_then(judge) {
        table.wrong_here(key, &format!("names {}, which {wrong}", shown(file)), &hint);
    }
}

/// The hint if the key and the config name different logs. If the audit folder holds one of the two
/// logs, that log decides.
fn mend_origin(of_key: &str, of_config: &str, of_folder: Option<&str>, make: &str) -> String {
    match of_folder {
        Some(log) if log == of_key => {
            format!("write origin = \"{of_key}\": that is the log in `audit.directory`")
        }
        Some(log) if log == of_config => {
            format!("name the key of `{of_config}`: that is the log in `audit.directory`")
        }
        _ => format!("write origin = \"{of_key}\", or {make}"),
    }
}

/// The name of the log in an audit folder, read from the folder's file with the public key.
fn origin_in(directory: &Path) -> Option<String> {
    let line = text(&directory.join(VERIFIER)).ok()?;
    Some(
        VerifierKey::parse(line.trim_end())
            .ok()?
            .origin()
            .to_owned(),
    )
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
        table.wrong_here(key, &format!("names {}, which {wrong}", shown(file)), hint);
    }
}

/// The absolute path for a message, or `a file` if the path looks like a secret that was entered by
/// mistake.
pub(super) fn shown(path: &Path) -> String {
    let whole = absolute(path);
    let text = whole.to_string_lossy();
    match looks_secret(&text) {
        true => "a file".to_owned(),
        false => text.escape_debug().to_string(),
    }
}

fn absolute(path: &Path) -> PathBuf {
    // Fails if the process's own folder is gone; then the path as it is.
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A path as one word of a command line, or `FILE` if a shell would need quotes.
fn word(path: &Path) -> String {
    let path = shown(path);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    match path.chars().all(is_plain) {
        true => path,
        false => "FILE".to_owned(),
    }
}

/// Reads the text of a file. The error completes "a file, which ...".
pub(super) fn text(path: &Path) -> Result<String, String> {
    String::from_utf8(bytes(path)?).map_err(|_| "is not UTF-8".to_owned())
}

/// Reads a regular file of at most 1 MiB.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    // Check the type first: opening a pipe would wait for its writer.
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
