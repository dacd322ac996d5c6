//! The config: reads the file, checks everything at once, and returns what the program uses
//! ([`Config`]).
//!
//! In reading order: `file` and `issuer` define every key and its range, with
//! [`strict_toml`](crate::strict_toml) as the reader; `units` and `url` parse values; `named` and
//! `contracts` check the files that the config names; `findings` renders problems; `digest` computes
//! the hashes for the trail. `config/lychgate.toml` is the reference for operators.

mod contracts;
mod digest;
mod file;
mod findings;
mod issuer;
mod named;
mod redacted;
#[cfg(test)]
mod tests;
mod units;
mod url;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;
use std::sync::Arc;

use toml::de::DeTable;

use crate::contract::Contracts;
use crate::request::Limits;
use crate::strict_toml::{Problem, Table};
use crate::{admin, audit, domain, inbound, layers, outbound, reconcile, telemetry, token};
use findings::Findings;
use named::Named;

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
    pub domains: Arc<domain::Directory>,
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
        String::from_utf8(bytes)
            .map_err(|error| not_utf8(path, &error))
            .and_then(|text| Self::parse(&text, path))
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
        let findings = Findings::default();
        match read(text, path, &findings) {
            Some(config) if findings.is_empty() => Ok(config),
            _ => Err(findings.render()),
        }
    }
}

/// Reads a config. It is valid only if the findings are empty.
fn read(text: &str, path: &Path, findings: &Findings) -> Option<Config> {
    findings.source(path.display().to_string(), text.to_owned());
    let (tree, errors) = DeTable::parse_recoverable(text);
    let root = Table::root(tree.get_ref(), &findings.reading);
    let named = Named {
        config: path,
        findings,
    };
    let config = file::read(root, text, &named);
    let mut errors: Vec<Problem> = errors.iter().map(|e| Problem::syntax(e, text)).collect();
    // After the first syntax error the tree is a guess, so drop all problems found there.
    if let Some(first) = errors.iter().map(|error| error.span.start).min() {
        findings.drop_from(first);
    }
    findings.reading.problems.borrow_mut().append(&mut errors);
    config
}

fn not_utf8(path: &Path, error: &FromUtf8Error) -> Problems {
    let findings = Findings::default();
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    // Both texts are the same up to the first bad byte, so the position is right.
    let at = error.utf8_error().valid_up_to();
    findings.source(path.display().to_string(), text);
    let hint = "save the file as UTF-8";
    findings
        .reading
        .add(&(at..at + 1), "this byte is not UTF-8", hint);
    findings.render()
}
