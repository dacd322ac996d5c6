//! From text to [`Config`]: the syntax first, then everything that can be said of its tree.

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

/// Reads a config; where the findings are not empty, it does not hold.
pub(super) fn read(text: &str, path: &Path, reading: &Reading) -> Option<Config> {
    let findings = &reading.findings;
    findings.source(path.display().to_string(), text.to_owned());
    let (tree, errors) = DeTable::parse_recoverable(text);
    let file = File::read(Table::root(tree.get_ref(), reading));
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let config = resolve(file, text, &Named { folder, findings });
    // Behind the first syntax error the tree is a guess, and so is all that was said of it.
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

/// What is said of a file whose bytes are no text.
pub(super) fn not_utf8(path: &Path, error: &FromUtf8Error) -> Problems {
    let findings = Findings::default();
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    // Up to the first bad byte both are the same, so the place is right.
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
