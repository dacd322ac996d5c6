//! Collects problems and renders each problem with position, caret and hint.
//!
//! The output never contains a line that may hold a secret: see [`may_be_shown`].

use std::cell::RefCell;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Origin, Renderer, Snippet, Title};

use super::{Finding, Problems};
use crate::strict_toml::{Level, Problem, Reading};

/// The output shows no further problem after this many errors. The total at the end of the output
/// counts every error.
const MAX_SHOWN: usize = 100;

/// A file with problems.
#[derive(Clone, Debug)]
struct Source {
    name: String,
    text: String,
}

/// Collects the problems of one load. Every reader and check has a reference to this value.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// The config file first, then the contract files.
    sources: RefCell<Vec<Source>>,
    /// The problems of the config file.
    pub(super) reading: Reading,
    /// The problems of the contract files. The first field is the index of the file in `sources`.
    others: RefCell<Vec<(usize, Problem)>>,
}

impl Findings {
    /// Adds a file and returns its index for [`Findings::add_in`]. The first file is the config.
    pub(super) fn source(&self, name: String, text: String) -> usize {
        let mut sources = self.sources.borrow_mut();
        sources.push(Source { name, text });
        sources.len() - 1
    }

    /// Adds the problems of a contract file.
    pub(super) fn add_in(&self, source: usize, problems: Vec<Problem>) {
        let problems = problems.into_iter().map(|problem| (source, problem));
        self.others.borrow_mut().extend(problems);
    }

    /// Keeps only the problems that begin before this byte of the config file. The caller passes
    /// the position of a syntax error, after which the rest of the tree is a guess.
    pub(super) fn drop_from(&self, byte: usize) {
        self.others.borrow_mut().clear();
        let mut problems = self.reading.problems.borrow_mut();
        problems.retain(|problem| problem.span.start < byte);
    }

    /// Drops the problems of the config file that overlap `span`, the position of a syntax error
    /// that explains them.
    pub(super) fn drop_within(&self, span: &Range<usize>) {
        let mut problems = self.reading.problems.borrow_mut();
        problems.retain(|problem| problem.span.end <= span.start || span.end <= problem.span.start);
    }

    /// Drops the problems that depend on this machine.
    pub(super) fn drop_of_machine(&self) {
        let mut problems = self.reading.problems.borrow_mut();
        problems.retain(|problem| !problem.of_machine);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reading.problems.borrow().is_empty() && self.others.borrow().is_empty()
    }

    /// All problems, sorted by file and position. The first field is the index of the file in
    /// `sources`.
    pub(super) fn sorted(&self) -> Vec<(usize, Problem)> {
        let config = self.reading.problems.borrow();
        let config = config.iter().map(|problem| (0, problem.clone()));
        let mut problems: Vec<_> = config.chain(self.others.borrow().clone()).collect();
        problems.sort_by(|(source, a), (other, b)| {
            (source, a.span.start, &a.message).cmp(&(other, b.span.start, &b.message))
        });
        problems.dedup();
        problems
    }

    /// Renders all problems for the operator.
    pub(super) fn render(&self) -> Problems {
        let sources = self.sources.borrow();
        let renderer = Renderer::plain();
        let mut problems = Problems::default();
        for (source, problem) in self.sorted() {
            let Some(source) = sources.get(source) else {
                continue;
            };
            let (line, column, _) = place(&source.text, floor(&source.text, problem.span.start));
            if problems.count < MAX_SHOWN {
                let shown = renderer.render(&[group(source, &problem)]);
                problems.rendered.push_str(&shown);
                problems.rendered.push_str("\n\n");
            }
            problems.count += usize::from(problem.level == Level::Error);
            problems.findings.push(Finding {
                level: problem.level,
                of_machine: problem.of_machine,
                file: source.name.clone(),
                line,
                column,
                message: problem.message,
                hint: problem.hint,
            });
        }
        if problems.count > 0 {
            let more = match problems.count > MAX_SHOWN {
                true => format!(" (the first {MAX_SHOWN} are shown)"),
                false => String::new(),
            };
            let (count, plural) = (problems.count, if problems.count == 1 { "" } else { "s" });
            let all_of_machine = problems.findings.iter().all(|found| found.of_machine);
            let place = match all_of_machine {
                true => "on this machine",
                false => "in the config",
            };
            let total = format!("{count} problem{plural} {place}{more}\n");
            problems.rendered.push_str(&total);
        }
        problems
    }
}

fn group<'a>(source: &'a Source, problem: &'a Problem) -> Group<'a> {
    let start = floor(&source.text, problem.span.start);
    let (line_number, column, line) = place(&source.text, start);
    let title = title(problem);
    let hint = annotate_snippets::Level::HELP.message(&problem.hint);
    if !may_be_shown(line) {
        let origin = Origin::path(&source.name)
            .line(line_number)
            .char_column(column);
        return title.element(origin).element(hint);
    }
    // The caret must end within its line; otherwise, the output would include the next line.
    let line_end = start
        + source.text[start..]
            .find('\n')
            .unwrap_or(source.text.len() - start);
    let end = floor(&source.text, problem.span.end).clamp(start, line_end);
    title
        .element(
            Snippet::source(&source.text)
                .path(&source.name)
                .annotation(AnnotationKind::Primary.span(start..end)),
        )
        .element(hint)
}

fn title(problem: &Problem) -> Title<'_> {
    let (level, name) = match problem.level {
        Level::Error => (annotate_snippets::Level::ERROR, "error on this machine"),
        Level::Warning => (annotate_snippets::Level::WARNING, "warning on this machine"),
        Level::Note => (annotate_snippets::Level::NOTE, "note on this machine"),
    };
    match problem.of_machine {
        true => level.with_name(name).primary_title(&problem.message),
        false => level.primary_title(&problem.message),
    }
}

/// The line and the column of a byte, both counted from 1, and the text of the line. The column
/// counts characters.
fn place(text: &str, byte: usize) -> (usize, usize, &str) {
    let line_start = text[..byte].rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].split('\n').next().unwrap_or_default();
    let number = text[..byte].matches('\n').count() + 1;
    (number, text[line_start..byte].chars().count() + 1, line)
}

/// Whether the output may show this line. A line that looks as if it holds a secret must not be
/// shown. Secrets belong in the files of the `*_file` keys, but an operator may have put a secret
/// into the config by mistake.
fn may_be_shown(line: &str) -> bool {
    let name = line.split('=').next().unwrap_or_default();
    let name = name.trim().trim_matches(['"', '\'']).to_ascii_lowercase();
    let secret_name = ["token", "secret", "password", "credential", "key"]
        .iter()
        .any(|word| name.contains(word));
    let names_a_file = name.ends_with("_file") || name.starts_with('[') || name == "jwks_url";
    !looks_secret(line) && (names_a_file || !secret_name)
}

/// Whether a text looks as if it contains a token, a key or a password.
pub(super) fn looks_secret(text: &str) -> bool {
    let has_userinfo_or_query = |(_, rest): (&str, &str)| rest.contains(['@', '?']);
    ["eyJ", "PRIVATE", "Bearer "]
        .iter()
        .any(|sign| text.contains(sign))
        || text.split_once("://").is_some_and(has_userinfo_or_query)
}

/// The last character boundary at or before this byte, within the text.
fn floor(text: &str, byte: usize) -> usize {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str, span: Range<usize>) -> String {
        let findings = Findings::default();
        findings.source("gate.toml".to_owned(), text.to_owned());
        findings.reading.add(&span, "it is wrong", "make it right");
        findings.render().rendered
    }

    #[test]
    fn a_problem_shows_its_position_a_caret_and_a_hint() {
        let shown = rendered("a = 1\nb = 2\n", 10..11);
        assert!(shown.contains("gate.toml:2:5"), "{shown}");
        assert!(shown.contains('^'), "{shown}");
        assert!(shown.contains("make it right"), "{shown}");
        assert!(shown.contains("1 problem in the config"), "{shown}");
    }

    #[test]
    fn columns_count_characters() {
        let text = "\"üöä\" = 1\n";
        let shown = rendered(text, text.find('1').unwrap()..text.len() - 1);
        assert!(shown.contains("gate.toml:1:9"), "{shown}");
    }

    #[test]
    fn p8_a_line_that_may_hold_a_secret_is_not_printed() {
        for line in [
            "token = \"s3cr3t\"",
            "\"api.Password\" = \"s3cr3t\"",
            "address = \"https://me:s3cr3t@host\"",
            "jwks_url = \"https://host/keys?code=s3cr3t\"",
            "token_file = \"eyJs3cr3t\"",
            "key_file = \"PRIVATE+KEY+s3cr3t\"",
        ] {
            let shown = rendered(line, 0..3);
            assert!(!shown.contains("s3cr3t"), "{shown}");
            assert!(shown.contains("gate.toml:1:1"), "{shown}");
        }
    }

    #[test]
    fn a_span_outside_the_file_or_within_a_character_is_shown() {
        for span in [0..9, 1..2, 7..9, 900..1000] {
            assert!(rendered("ü = 1", span).contains("gate.toml:1:"));
        }
        assert!(rendered("", 0..0).contains("gate.toml:1:1"));
        assert!(rendered("a = 1\n", 6..6).contains("gate.toml:1:"));
    }

    #[test]
    fn problems_are_sorted_and_bounded() {
        let findings = Findings::default();
        findings.source("gate.toml".to_owned(), "x\n".repeat(200));
        for line in (0..150).rev() {
            findings
                .reading
                .add(&(line * 2..line * 2 + 1), "it is wrong", "mend it");
        }
        let problems = findings.render();
        assert_eq!(problems.count, 150);
        assert!(
            problems.rendered.find("toml:3:1").unwrap()
                < problems.rendered.find("toml:9:1").unwrap()
        );
        assert!(!problems.rendered.contains("toml:101:1"));
    }
}
