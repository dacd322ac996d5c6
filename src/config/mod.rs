//! The config: what the file may say (`file`), checked all at once, and what the program uses
//! ([`Config`]).
//!
//! In reading order: `file` and `issuer` say every key with its range; `reader` reads one table;
//! `units`, `file_path` and `url` read values; `resolve` looks at what the file names (`named`, `contracts`) and
//! compares sections; `findings` shows what is wrong; `digest` names the config on record.
//! `config/lychgate.toml` is the reference for people.

mod contracts;
mod digest;
mod file;
mod file_path;
mod findings;
mod issuer;
mod named;
mod reader;
mod redacted;
mod resolve;
mod syntax;
#[cfg(test)]
mod tests;
mod units;
mod url;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::contract::Contracts;
use crate::request::Limits;
use crate::{admin, audit, domain, inbound, layers, outbound, reconcile, telemetry, token};

/// What the program uses: everything checked, paths absolute or relative to the config file's folder.
#[derive(Clone)]
pub struct Config {
    /// The file it came from.
    pub path: PathBuf,
    /// `[listen]`.
    pub listen: inbound::Settings,
    /// `[admin]`.
    pub admin: admin::Settings,
    /// `[limits]`.
    pub limits: Limits,
    /// `[[issuer]]`, at least one.
    pub issuers: Vec<token::IssuerSettings>,
    /// `[domains]`.
    pub domains: domain::Settings,
    /// `[credentials]`.
    pub credentials: layers::credentials::Settings,
    /// `[upstream]`.
    pub outbound: outbound::Settings,
    /// `[audit]`.
    pub audit: audit::Settings,
    /// `[audit] reconcile` and `reconcile_token_file`.
    pub reconcile: reconcile::Settings,
    /// `[log]`.
    pub telemetry: telemetry::Settings,
    /// The contracts in force.
    pub contracts: Arc<Contracts>,
    /// SHA-256 over the file and every contract, lower-case hexadecimal.
    pub hash: String,
    /// SHA-256 of each contract's file by its name.
    pub contract_hashes: BTreeMap<String, String>,
}

/// Everything that is wrong with a config, as it is shown to the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// Each with `FILE:LINE:COLUMN`, caret and hint, in order of place.
    pub rendered: String,
    /// How many.
    pub count: usize,
    /// Whether the file could not be read at all (exit code 74 rather than 78).
    pub unreadable: bool,
}

impl Config {
    /// Reads and checks a config file and what it names that must be there.
    ///
    /// # Errors
    /// All problems at once.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let bytes = named::bytes(path).map_err(|wrong| Problems {
            rendered: format!(
                "error: the config {} {wrong}\n  = help: name the file with --config\n",
                path.display()
            ),
            count: 1,
            unreadable: true,
        })?;
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(&text, path),
            Err(error) => Err(syntax::not_utf8(path, &error)),
        }
    }

    /// The file with the token that reads users back: `[audit] reconcile_token_file`, or else that of
    /// `[credentials]`; `None` where neither is given.
    #[must_use]
    pub fn reconcile_token_file(&self) -> Option<&Path> {
        let own = match &self.credentials {
            layers::credentials::Settings::Bearer(file) => Some(file),
            layers::credentials::Settings::Strip | layers::credentials::Settings::Forward => None,
        };
        self.reconcile
            .token_file
            .as_ref()
            .or(own)
            .map(PathBuf::as_path)
    }

    /// Checks a config's text as if it stood in the file `path`.
    ///
    /// # Errors
    /// All problems at once.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Problems> {
        let reading = reader::Reading::default();
        let config = syntax::read(text, path, &reading);
        match config {
            Some(config) if reading.findings.is_empty() => Ok(config),
            _ => Err(reading.findings.render()),
        }
    }
}
