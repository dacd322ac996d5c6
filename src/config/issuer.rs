//! `[[issuer]]`: the trusted issuers, strict by default (P13). Each has an audience, a list of
//! algorithms without `none` and symmetric ones, and exactly one source of keys.

use std::collections::BTreeSet;
use std::time::Duration;

use super::file_path::path;
use super::units::Units;
use super::url;
use crate::strict_toml::{Placed, Table};
use crate::token::Algorithm;

/// The allowed algorithms, by their JOSE names.
const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];
const AUDIENCE_HINT: &str = "who tokens must be meant for, such as audience = [\"lychgate\"]";
const ALGORITHMS_HINT: &str =
    "the algorithms this issuer signs with, such as algorithms = [\"ES256\"]";
const KEYS_HINT: &str = "one of jwks_file = \"keys.json\" and jwks_url = \"https://...\"";
/// The maximum length of an issuer, audience or claim name in bytes.
const MAX_NAME_BYTES: usize = 1_024;

/// One `[[issuer]]`.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) issuer: Option<Placed<String>>,
    pub(super) audience: Vec<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) jwks_file: Option<Placed<String>>,
    pub(super) jwks_url: Option<Placed<String>>,
    pub(super) accounts_claim: String,
    pub(super) scopes_claim: String,
    pub(super) client_claim: String,
    pub(super) leeway: Duration,
}

/// Reads every `[[issuer]]`: at least one, each with a different name.
pub(super) fn read_all(root: &mut Table<'_>) -> Vec<Issuer> {
    root.require(
        "issuer",
        "add a section [[issuer]]: whose tokens are trusted",
    );
    let mut seen = BTreeSet::new();
    let mut issuers = Vec::new();
    for table in root.tables("issuer") {
        issuers.push(Issuer::read(table, &mut seen));
    }
    issuers
}

impl Issuer {
    fn read(mut table: Table<'_>, seen: &mut BTreeSet<String>) -> Self {
        table.require("issuer", "the `iss` of its tokens, byte for byte");
        table.require("audience", AUDIENCE_HINT);
        table.require("algorithms", ALGORITHMS_HINT);
        let issuer = name(&mut table, "issuer");
        if let Some(issuer) = &issuer
            && !seen.insert(issuer.value.clone())
        {
            let hint = "one section per issuer; list several audiences in one";
            table.wrong("issuer", &issuer.span, "appears in two sections", hint);
        }
        let issuer = Self {
            issuer,
            audience: audience(&mut table),
            algorithms: algorithms(&mut table),
            jwks_file: path(&mut table, "jwks_file"),
            jwks_url: table.text("jwks_url"),
            accounts_claim: claim(&mut table, "accounts_claim", "accounts"),
            scopes_claim: claim(&mut table, "scopes_claim", "scope"),
            client_claim: claim(&mut table, "client_claim", "client_id"),
            leeway: table
                .duration(
                    "leeway",
                    Duration::from_secs(5),
                    Duration::ZERO..=Duration::from_secs(300),
                )
                .value,
        };
        issuer.check_keys(&mut table);
        table.end();
        issuer
    }

    fn check_keys(&self, table: &mut Table<'_>) {
        let plaintext = table.flag("plaintext", false);
        match (&self.jwks_file, &self.jwks_url) {
            (Some(_), Some(url)) => {
                let wrong = "is set as well as jwks_file, but an issuer has one source of keys";
                table.wrong("jwks_url", &url.span, wrong, KEYS_HINT);
            }
            (None, None) if !table.holds("jwks_file") && !table.holds("jwks_url") => {
                let span = table.span();
                table.wrong("jwks_file", &span, "or `jwks_url` is missing", KEYS_HINT);
            }
            (None, Some(url)) => {
                if let Err(wrong) = url::check(&url.value, plaintext) {
                    table.wrong("jwks_url", &url.span, wrong.what, wrong.hint);
                }
            }
            _ => {}
        }
    }
}

fn audience(table: &mut Table<'_>) -> Vec<String> {
    let Some(list) = table.list("audience") else {
        return Vec::new();
    };
    if list.value.is_empty() {
        let wrong = "is empty: the gateway would accept tokens for any audience";
        table.wrong("audience", &list.span, wrong, AUDIENCE_HINT);
    }
    for one in &list.value {
        if one.value.is_empty() || one.value.len() > MAX_NAME_BYTES {
            table.wrong(
                "audience",
                &one.span,
                "holds an empty or overlong name",
                AUDIENCE_HINT,
            );
        }
    }
    list.value.into_iter().map(|one| one.value).collect()
}

fn algorithms(table: &mut Table<'_>) -> Vec<Algorithm> {
    let Some(list) = table.list("algorithms") else {
        return Vec::new();
    };
    if list.value.is_empty() {
        let wrong = "is empty: no token could ever be verified";
        table.wrong("algorithms", &list.span, wrong, ALGORITHMS_HINT);
    }
    let mut algorithms = Vec::new();
    for one in list.value {
        match algorithm(&one.value) {
            Ok(known) if algorithms.contains(&known) => {
                table.wrong(
                    "algorithms",
                    &one.span,
                    "names an algorithm twice",
                    "name it once",
                );
            }
            Ok(known) => algorithms.push(known),
            Err(wrong) => table.wrong("algorithms", &one.span, wrong, &known_algorithms()),
        }
    }
    algorithms
}

fn algorithm(name: &str) -> Result<Algorithm, &'static str> {
    if let Some((_, algorithm)) = ALGORITHMS.iter().find(|(known, _)| *known == name) {
        return Ok(*algorithm);
    }
    let upper = name.to_ascii_uppercase();
    Err(match upper.as_str() {
        "NONE" => "must not contain `none`: anyone could forge such a token",
        "HS256" | "HS384" | "HS512" => {
            "must not contain a symmetric algorithm (HS...): everyone who can verify such a token can also forge it"
        }
        _ if ALGORITHMS
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name)) =>
        {
            "holds an algorithm in the wrong case"
        }
        _ => "holds an algorithm that is not known here",
    })
}

fn known_algorithms() -> String {
    let names: Vec<&str> = ALGORITHMS.iter().map(|(name, _)| *name).collect();
    format!("known: {}", names.join(", "))
}

fn claim(table: &mut Table<'_>, key: &'static str, default: &str) -> String {
    name(table, key).map_or_else(|| default.to_owned(), |claim| claim.value)
}

fn name(table: &mut Table<'_>, key: &'static str) -> Option<Placed<String>> {
    table.parsed(key, "a claim name as it appears in the token", |name| {
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            return Err(format!(
                "must be 1 to {MAX_NAME_BYTES} bytes long, without control characters"
            ));
        }
        Ok(name.to_owned())
    })
}
