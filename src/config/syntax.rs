//! Parses a text into a [`Config`]: first the TOML syntax, then the content.

use std::path::Path;
use std::string::FromUtf8Error;

use toml::de::DeTable;

use super::file::File;
use super::findings::Findings;
use super::named::Named;
use super::resolve::resolve;
use super::{Config, Problems};
use crate::strict_toml::{Problem, Table};

/// Reads a config. It is valid only if the findings are empty.
pub(super) fn read(text: &str, path: &Path, findings: &Findings) -> Option<Config> {
    findings.source(path.display().to_string(), text.to_owned());
    let (tree, errors) = DeTable::parse_recoverable(text);
    let file = File::read(Table::root(tree.get_ref(), &findings.reading));
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let config = resolve(file, text, &Named { folder, findings });
    let mut errors: Vec<Problem> = errors.iter().map(|e| Problem::syntax(e, text)).collect();
    // After the first syntax error the tree is a guess, so drop all problems found there.
    if let Some(first) = errors.iter().map(|error| error.span.start).min() {
        findings.drop_from(first);
    }
    findings.reading.problems.borrow_mut().append(&mut errors);
    config.map(|config| Config {
        path: path.to_owned(),
        ..config
    })
}

/// The problem of a file that is not UTF-8.
pub(super) fn not_utf8(path: &Path, error: &FromUtf8Error) -> Problems {
    let findings = Findings::default();
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    // Both texts are the same up to the first bad byte, so the position is right.
    let at = error.utf8_error().valid_up_to();
    findings.source(path.display().to_string(), text);
    findings.add(
        &(at..at + 1),
        "this byte is not UTF-8",
        "save the file as UTF-8",
    );
    findings.render()
}
