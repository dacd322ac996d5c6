//! Reads `[[issuer]]`, the trusted issuers. Each issuer has an audience, a list of asymmetric
//! signature algorithms, and exactly one source of keys.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::named::{self, Named};
use super::url;
use crate::strict_toml::Table;
use crate::token::{Algorithm, IssuerSettings, KeySource};

const AUDIENCE_HINT: &str = "who tokens must be meant for, such as audience = [\"lychgate\"]";
const ALGORITHMS_HINT: &str =
    "the algorithms this issuer signs with, such as algorithms = [\"ES256\"]";
const KEYS_HINT: &str = "one of jwks_file = \"keys.json\" and jwks_url = \"https://...\"";
/// The maximum length of an issuer, audience or claim name in bytes.
const MAX_NAME_BYTES: usize = 1_024;

/// Reads every `[[issuer]]`. There must be at least one, and each must have a different name.
pub(super) fn read_all(root: &mut Table<'_>, named: &Named<'_>) -> Option<Vec<IssuerSettings>> {
    root.require(
        "issuer",
        "add a section [[issuer]]: whose tokens are trusted",
    );
    let mut seen = BTreeSet::new();
    let tables = root.tables("issuer").into_iter();
    let issuers: Vec<_> = tables.map(|table| read(table, &mut seen, named)).collect();
    issuers.into_iter().collect()
}

fn read(
    mut table: Table<'_>,
    seen: &mut BTreeSet<String>,
    named: &Named<'_>,
) -> Option<IssuerSettings> {
    table.require("issuer", "the `iss` of its tokens, byte for byte");
    table.require("audience", AUDIENCE_HINT);
    table.require("algorithms", ALGORITHMS_HINT);
    let issuer = name(&mut table, "issuer");
    if issuer.as_ref().is_some_and(|one| !seen.insert(one.clone())) {
        let hint = "one section per issuer; list several audiences in one";
        table.wrong("issuer", "appears in two sections", hint);
    }
    let audience = audience(&mut table);
    let algorithms = algorithms(&mut table);
    let jwks_file = named.path(&mut table, "jwks_file");
    let jwks_url = table.text("jwks_url");
    let accounts_claim = claim(&mut table, "accounts_claim", "accounts");
    let scopes_claim = claim(&mut table, "scopes_claim", "scope");
    let client_claim = claim(&mut table, "client_claim", "client_id");
    let range = Duration::ZERO..=Duration::from_secs(300);
    let leeway = table.duration("leeway", Duration::from_secs(5), range);
    let keys = keys(&mut table, jwks_file, jwks_url);
    table.end();
    Some(IssuerSettings {
        issuer: issuer?,
        audience,
        algorithms,
        keys: keys?,
        accounts_claim,
        scopes_claim,
        client_claim,
        leeway,
    })
}

fn keys(table: &mut Table<'_>, file: Option<PathBuf>, url: Option<String>) -> Option<KeySource> {
    let plaintext = table.flag("plaintext", false);
    if let Some(file) = &file {
        named::check_key_set(table, "jwks_file", file);
    }
    match (file, url) {
        (Some(file), None) => Some(KeySource::File(file)),
        (None, Some(url)) => {
            if let Err(wrong) = url::check(&url, plaintext) {
                table.wrong("jwks_url", wrong.what, wrong.hint);
            }
            Some(KeySource::Url(url))
        }
        (Some(_), Some(_)) => {
            let wrong = "is set as well as jwks_file, but an issuer has one source of keys";
            table.wrong("jwks_url", wrong, KEYS_HINT);
            None
        }
        (None, None) => {
            if !table.holds("jwks_file") && !table.holds("jwks_url") {
                table.wrong("jwks_file", "or `jwks_url` is missing", KEYS_HINT);
            }
            None
        }
    }
}

fn audience(table: &mut Table<'_>) -> Vec<String> {
    let list = table.list("audience");
    if list.as_ref().is_some_and(Vec::is_empty) {
        let wrong = "is empty: the gateway would accept tokens for any audience";
        table.wrong("audience", wrong, AUDIENCE_HINT);
    }
    let list = list.unwrap_or_default();
    for one in &list {
        if one.value.is_empty() || one.value.len() > MAX_NAME_BYTES {
            let wrong = "holds an empty or overlong name";
            table.wrong_at(&one.span, "audience", wrong, AUDIENCE_HINT);
        }
    }
    list.into_iter().map(|one| one.value).collect()
}

fn algorithms(table: &mut Table<'_>) -> Vec<Algorithm> {
    let list = table.list("algorithms");
    if list.as_ref().is_some_and(Vec::is_empty) {
        let wrong = "is empty: no token could ever be verified";
        table.wrong("algorithms", wrong, ALGORITHMS_HINT);
    }
    let mut algorithms = Vec::new();
    for one in list.unwrap_or_default() {
        let (wrong, hint) = match algorithm(&one.value) {
            Ok(known) if algorithms.contains(&known) => {
                ("names an algorithm twice", "name it once".to_owned())
            }
            Ok(known) => {
                algorithms.push(known);
                continue;
            }
            Err(wrong) => {
                let names = Algorithm::ALL.map(Algorithm::name);
                (wrong, format!("known: {}", names.join(", ")))
            }
        };
        table.wrong_at(&one.span, "algorithms", wrong, &hint);
    }
    algorithms
}

fn algorithm(name: &str) -> Result<Algorithm, &'static str> {
    if let Some(algorithm) = Algorithm::from_name(name) {
        return Ok(algorithm);
    }
    let upper = name.to_ascii_uppercase();
    Err(match upper.as_str() {
        "NONE" => "must not contain `none`: anyone could forge such a token",
        "HS256" | "HS384" | "HS512" => {
            "must not contain a symmetric algorithm (HS...): everyone who can verify such a token can also forge it"
        }
        _ if Algorithm::ALL
            .iter()
            .any(|known| known.name().eq_ignore_ascii_case(name)) =>
        {
            "holds an algorithm in the wrong case"
        }
        _ => "holds an algorithm that is not known here",
    })
}

fn claim(table: &mut Table<'_>, key: &'static str, default: &str) -> String {
    name(table, key).unwrap_or_else(|| default.to_owned())
}

fn name(table: &mut Table<'_>, key: &'static str) -> Option<String> {
    table.parsed(key, "a claim name as it appears in the token", |name| {
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            return Err(format!(
                "must be 1 to {MAX_NAME_BYTES} bytes long, without control characters"
            ));
        }
        Ok(name.to_owned())
    })
}
