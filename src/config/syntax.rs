//! Parses a text into a [`Config`]: first the TOML syntax, then the content.

use std::path::Path;
use std::string::FromUtf8Error;

use toml::de::DeTable;

use super::file::File;
use super::findings::Findings;
use super::named::Named;
use super::reader::{Reading, Table};
use super::resolve::resolve;
use super::{Config, Problems};

const SYNTAX_HINT: &str = "the file is TOML, see https://toml.io";

/// Reads a config. It is valid only if the findings are empty.
pub(super) fn read(text: &str, path: &Path, reading: &Reading) -> Option<Config> {
    let findings = &reading.findings;
    findings.source(path.display().to_string(), text.to_owned());
    let (tree, errors) = DeTable::parse_recoverable(text);
    let file = File::read(Table::root(tree.get_ref(), reading));
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let config = resolve(file, text, &Named { folder, findings });
    // After the first syntax error the tree is a guess, so drop all problems found there.
    if let Some(first) = errors.iter().map(|error| start(error, text)).min() {
        findings.drop_from(first);
    }
    for error in &errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        findings.add(&span, error.message(), SYNTAX_HINT);
    }
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

fn start(error: &toml::de::Error, text: &str) -> usize {
    error.span().map_or(text.len(), |span| span.start)
}
