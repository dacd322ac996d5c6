//! The config: reads the config file, reports all problems at once, and returns the settings
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

use serde::Serialize;
use toml::de::DeTable;

use crate::contract::Contracts;
use crate::request::Limits;
pub use crate::strict_toml::Level;
use crate::strict_toml::{Problem, Table, span_in};
use crate::{admin, audit, domain, inbound, layers, outbound, reconcile, telemetry, token};
use findings::Findings;
use named::Named;

/// The checked configuration. Its paths are resolved against the folder of the config file.
#[derive(Clone)]
pub struct Config {
    /// The path of the config file.
    pub path: PathBuf,
    /// The section `[listen]`.
    pub listen: inbound::Settings,
    /// The section `[admin]`.
    pub admin: admin::Settings,
    /// The section `[limits]`.
    pub limits: Limits,
    /// The sections `[[issuer]]`, at least one.
    pub issuers: Vec<token::IssuerSettings>,
    /// The section `[domains]`.
    pub domains: Arc<domain::Directory>,
    /// The section `[credentials]`.
    pub credentials: layers::credentials::Settings,
    /// The section `[upstream]`.
    pub outbound: outbound::Settings,
    /// The section `[audit]`, without the keys of `reconcile`.
    pub audit: audit::Settings,
    /// The keys `reconcile` and `reconcile_token_file` of `[audit]`.
    pub reconcile: reconcile::Settings,
    /// The section `[log]`.
    pub telemetry: telemetry::Settings,
    /// The contracts in force.
    pub contracts: Arc<Contracts>,
    /// The SHA-256 over the config file and every contract, in lower-case hexadecimal.
    pub hash: String,
    /// The SHA-256 of each contract's text, by contract name.
    pub contract_hashes: BTreeMap<String, String>,
    /// The text of the config file.
    source: Arc<str>,
}

/// All problems of a config, for the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    /// The problems, sorted by file and position.
    pub findings: Vec<Finding>,
    /// The problems as text, each with `FILE:LINE:COLUMN`, caret and hint.
    pub rendered: String,
    /// The number of errors.
    pub count: usize,
    /// Whether the config file was unreadable (exit code 74 rather than 78).
    pub unreadable: bool,
}

/// A problem and its position, as `check --json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The severity of the problem.
    pub level: Level,
    /// Whether the problem depends on this machine.
    #[serde(rename = "machine")]
    pub of_machine: bool,
    /// The file that has the problem.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// A message with the problem and the name of the key.
    pub message: String,
    /// The remedy.
    pub hint: String,
}

/// A problem that depends on this machine, and the config key that the problem concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfMachine {
    /// The severity of the problem.
    pub level: Level,
    /// The key of the config, such as `audit.directory`.
    pub key: String,
    /// A message with the problem and the name of the key.
    pub message: String,
    /// The remedy.
    pub hint: String,
}

impl Config {
    /// Reads and checks a config file and the files that the config names.
    ///
    /// # Errors
    /// Returns all problems at once.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        Self::parse(&text(path)?, path)
    }

    /// Like [`Config::load`], but leaves out the problems that depend on this machine, such as a
    /// missing key file.
    ///
    /// # Errors
    /// Returns all problems that do not depend on this machine.
    pub fn load_static(path: &Path) -> Result<Self, Problems> {
        let findings = Findings::default();
        let config = read(&text(path)?, path, &findings);
        findings.drop_of_machine();
        accept(config, &findings)
    }

    /// Renders problems that depend on this machine, each at the position of its config key.
    #[must_use]
    pub fn placed(&self, found: Vec<OfMachine>) -> Problems {
        let findings = Findings::default();
        findings.source(self.path.display().to_string(), self.source.to_string());
        let problem = |found: OfMachine| Problem {
            span: span_in(&self.source, &found.key),
            message: found.message,
            hint: found.hint,
            level: found.level,
            of_machine: true,
        };
        let problems = found.into_iter().map(problem);
        findings.reading.problems.borrow_mut().extend(problems);
        findings.render()
    }

    /// The file with the token for reading users back: `[audit] reconcile_token_file`, or else
    /// `[credentials] token_file`. `None` if the config has neither.
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

    /// Checks `text` as if it were the content of the config file `path`.
    ///
    /// # Errors
    /// Returns all problems at once.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Problems> {
        let findings = Findings::default();
        accept(read(text, path, &findings), &findings)
    }
}

fn accept(config: Option<Config>, findings: &Findings) -> Result<Config, Problems> {
    match config {
        Some(config) if findings.is_empty() => Ok(config),
        _ => Err(findings.render()),
    }
}

/// The text of a config file.
fn text(path: &Path) -> Result<String, Problems> {
    let bytes = named::bytes(path).map_err(|wrong| {
        let message = format!("the config {} {wrong}", named::shown(path));
        let hint = "name the file with --config";
        Problems {
            rendered: format!("error: {message}\n  = help: {hint}\n"),
            findings: vec![Finding {
                level: Level::Error,
                of_machine: true,
                file: path.display().to_string(),
                line: 1,
                column: 1,
                message,
                hint: hint.to_owned(),
            }],
            count: 1,
            unreadable: true,
        }
    })?;
    String::from_utf8(bytes).map_err(|error| not_utf8(path, &error))
}

/// Reads a config and adds its problems to `findings`. The config is valid only if `findings` is
/// empty.
fn read(text: &str, path: &Path, findings: &Findings) -> Option<Config> {
    findings.source(path.display().to_string(), text.to_owned());
    let (tree, errors) = DeTable::parse_recoverable(text);
    let root = Table::root(tree.get_ref(), &findings.reading);
    let named = Named {
        config: path,
        findings,
    };
    let config = file::read(root, text, &named);
    let mut syntax = Vec::new();
    for error in &errors {
        let problem = Problem::syntax(error, text);
        // After most syntax errors, the rest of the tree is a guess, so drop the problems found
        // there.
        match Problem::leaves_the_rest(error, text) {
            true => findings.drop_within(&problem.span),
            false => findings.drop_from(problem.span.start),
        }
        syntax.push(problem);
    }
    findings.reading.problems.borrow_mut().append(&mut syntax);
    config
}

fn not_utf8(path: &Path, error: &FromUtf8Error) -> Problems {
    let findings = Findings::default();
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    // `text` equals the file up to the first bad byte, so the position is right.
    let at = error.utf8_error().valid_up_to();
    findings.source(path.display().to_string(), text);
    let hint = "save the file as UTF-8";
    findings
        .reading
        .add(&(at..at + 1), "this byte is not UTF-8", hint);
    findings.render()
}
