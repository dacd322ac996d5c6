//! The config: reads the file, checks everything at once, and returns what the program uses
//! ([`Config`]).
//!
//! In reading order: `file` and `issuer` define every key and its range, with
//! [`strict_toml`](crate::strict_toml) as the reader; `units`, `file_path` and `url` parse values;
//! `resolve` checks the files that the config names (`named`, `contracts`) and compares sections;
//! `findings` renders problems; `digest` computes the hash for the trail. `config/lychgate.toml` is
//! the reference for operators.

mod contracts;
mod digest;
mod file;
mod file_path;
mod findings;
mod issuer;
mod named;
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

/// The checked configuration. Its paths are resolved against the folder of the config file.
#[derive(Clone)]
pub struct Config {
    /// The path of the file.
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
    /// SHA-256 over the file and every contract, in lower-case hexadecimal.
    pub hash: String,
    /// SHA-256 of each contract's text, by contract name.
    pub contract_hashes: BTreeMap<String, String>,
}

/// All problems of a config, rendered for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// Each with `FILE:LINE:COLUMN`, caret and hint, sorted by position.
    pub rendered: String,
    /// The number of problems.
    pub count: usize,
    /// Whether the file was unreadable (exit code 74 rather than 78).
    pub unreadable: bool,
}

impl Config {
    /// Reads and checks a config file and the files that it names.
    ///
    /// # Errors
    /// Returns all problems at once.
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

    /// The file with the token for reading users back: `[audit] reconcile_token_file`, or else the
    /// one of `[credentials]`; `None` if the config has neither.
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

    /// Checks the text of a config as if it were the file `path`.
    ///
    /// # Errors
    /// Returns all problems at once.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Problems> {
        let findings = findings::Findings::default();
        let config = syntax::read(text, path, &findings);
        match config {
            Some(config) if findings.is_empty() => Ok(config),
            _ => Err(findings.render()),
        }
    }
}
