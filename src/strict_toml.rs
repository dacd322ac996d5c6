//! Reads a table of a TOML file strictly, for the config and for contracts.
//!
//! The caller asks for each key by name and type. At the end, the reader reports each key for which
//! the caller did not ask. A problem does not stop the reading, so one reading finds all problems.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

/// The maximum length in bytes of an unknown name for which the reader suggests a similar known
/// name. The limit exists because the comparison of two names takes quadratic time.
const LONGEST_GUESSED: usize = 64;
/// The maximum length of a quoted name in characters.
const MAX_QUOTED: usize = 64;
const STRING: &str = "a string in quotes";

/// One problem and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The position: a byte range in the file.
    pub span: Range<usize>,
    /// The message to the operator.
    pub message: String,
    /// The remedy.
    pub hint: String,
    /// The severity of the problem.
    pub level: Level,
    /// Whether the problem depends on this machine. If so, the text of the file itself is correct.
    pub of_machine: bool,
}

/// The severity of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The operator need not act.
    Note,
    /// The operator should act.
    Warning,
    /// The gateway cannot serve with this file or on this machine.
    Error,
}

impl Problem {
    /// Converts a syntax error in `text`.
    pub(crate) fn syntax(error: &Error, text: &str) -> Self {
        let span = error.span().unwrap_or(text.len()..text.len());
        if error.message() == "duplicate key" {
            return Self::duplicate(span, text);
        }
        let (message, hint) = match bare_word(error.message(), &span, text) {
            None => (error.message(), "the file is TOML, see https://toml.io"),
            Some(word) if ["true", "false"].contains(&&*word.to_ascii_lowercase()) => {
                ("a flag is in lower case", "write true or false")
            }
            Some(_) => (
                "a text value needs quotes",
                "put quotes around it, as in level = \"info\"",
            ),
        };
        Self::error(span, message, hint)
    }

    /// An error that does not depend on the machine.
    fn error(span: Range<usize>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            hint: hint.into(),
            level: Level::Error,
            of_machine: false,
        }
    }

    /// Whether the parser reads the rest of the text correctly in spite of this error.
    pub(crate) fn leaves_the_rest(error: &Error, text: &str) -> bool {
        let span = error.span().unwrap_or_default();
        error.message() == "duplicate key" || bare_word(error.message(), &span, text).is_some()
    }

    fn duplicate(span: Range<usize>, text: &str) -> Self {
        let name = quoted(text.get(span.clone()).unwrap_or_default());
        let (first, hint) = match line_at(text, span.start).trim_start().starts_with('[') {
            true => (
                first_header(text, span.start),
                "put all its keys under one header",
            ),
            false => (first_key(text, &span), "keep one of the two"),
        };
        let first = first.map(|line| format!(": the first is in line {line}"));
        let message = format!("`{name}` appears twice{}", first.unwrap_or_default());
        Self::error(span, message, hint)
    }
}

/// A value and its position, a byte range in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// The state that all tables of a file share.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) problems: RefCell<Vec<Problem>>,
    /// Every key that the caller asked for, as `table.key`.
    #[cfg(test)]
    pub(crate) known: RefCell<std::collections::BTreeSet<String>>,
}

impl Reading {
    pub(crate) fn add(
        &self,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let problem = Problem::error(span.clone(), message, hint);
        self.problems.borrow_mut().push(problem);
    }
}

/// One table. If the file lacks the table, every key reads as absent.
#[derive(Debug)]
pub(crate) struct Table<'t> {
    entries: Option<&'t DeTable<'t>>,
    name: String,
    /// The position of the table, or the start of the file if the file lacks the table.
    pub(crate) span: Range<usize>,
    asked: Vec<&'static str>,
    reading: &'t Reading,
}

impl<'t> Table<'t> {
    /// The root table, which is the whole file.
    pub(crate) fn root(entries: &'t DeTable<'t>, reading: &'t Reading) -> Self {
        Self {
            entries: Some(entries),
            name: String::new(),
            span: 0..0,
            asked: Vec::new(),
            reading,
        }
    }

    /// The position of the key's value, or the position of the table if the table lacks the key.
    pub(crate) fn span_of(&self, key: &str) -> Range<usize> {
        let value = self.entries.and_then(|entries| entries.get(key));
        value.map_or_else(|| self.span.clone(), Spanned::span)
    }

    /// Reports a problem if the file lacks the key. A later read of a missing key returns `None`.
    pub(crate) fn require(&mut self, key: &'static str, hint: &str) {
        if self.ask(key).is_none() {
            let message = format!("`{}` is missing", self.path(key));
            let hint = match &self.entries {
                Some(_) => hint.to_owned(),
                None => format!("add a section [{}]; {hint}", self.name),
            };
            self.reading.add(&self.span, message, hint);
        }
    }

    /// Whether the file has the key, with a value of any type.
    pub(crate) fn holds(&self, key: &str) -> bool {
        self.entries
            .is_some_and(|entries| entries.contains_key(key))
    }

    /// Reads a string.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        self.value(key, STRING, string)
    }

    /// Reads a string that `parse` accepts. The error of `parse` completes "`key` ...".
    pub(crate) fn parsed<T>(
        &mut self,
        key: &'static str,
        hint: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let parsed = parse(&self.text(key)?);
        parsed.map_err(|wrong| self.wrong(key, &wrong, hint)).ok()
    }

    /// Reads a string that must be one of these words. Returns the value of the word.
    pub(crate) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.text(key)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let wrong = format!("must be one of {}", known.join(", "));
        let hint = match closest(&text, &known) {
            Some(close) => format!("did you mean `{close}`?"),
            None => "write one of them in quotes".to_owned(),
        };
        self.wrong(key, &wrong, &hint);
        None
    }

    /// Reads `true` or `false`.
    pub(crate) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.scalar(key, "true or false", |value| value.as_bool())
            .unwrap_or(default)
    }

    /// Reads a list of strings.
    pub(crate) fn list(&mut self, key: &'static str) -> Option<Vec<Placed<String>>> {
        let expected = "a list of strings, such as [\"a\", \"b\"]";
        let list = self.value(key, expected, |value| value.as_array())?;
        let read = |item| self.read(key, item, expected, string);
        Some(list.iter().filter_map(read).collect())
    }

    /// Reads a whole number within `range`.
    pub(crate) fn number(
        &mut self,
        key: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> u64 {
        self.within(key, "a whole number", whole, default, range, u64::to_string)
    }

    /// Reads a value that `convert` accepts and that is within `range`. `show` formats a value for
    /// messages.
    pub(crate) fn within<T: PartialOrd>(
        &mut self,
        key: &'static str,
        expected: &str,
        convert: impl Fn(&DeValue<'_>) -> Option<T>,
        default: T,
        range: RangeInclusive<T>,
        show: impl Fn(&T) -> String,
    ) -> T {
        match self.scalar(key, expected, convert) {
            None => default,
            Some(found) if range.contains(&found) => found,
            Some(_) => {
                let (least, most) = (show(range.start()), show(range.end()));
                let wrong = format!("must be from {least} to {most}");
                let hint = format!("leave it out for {}", show(&default));
                self.wrong(key, &wrong, &hint);
                default
            }
        }
    }

    /// Reads a table inside this table.
    pub(crate) fn table(&mut self, key: &'static str) -> Table<'t> {
        let found = self.value(key, "a table", |value| value.as_table());
        let span = found.map_or(0..0, |_| self.span_of(key));
        self.inner(key, found, span)
    }

    /// Reads a list of tables, `[[key]]`.
    pub(crate) fn tables(&mut self, key: &'static str) -> Vec<Table<'t>> {
        let expected = format!("a list of tables, each headed [[{key}]]");
        let list = self.value(key, &expected, |value| value.as_array());
        let items = list.into_iter().flat_map(|list| list.iter());
        let tables = items
            .filter_map(|item| self.read(key, item, &expected, |value| value.as_table()))
            .map(|table| self.inner(key, Some(table.value), table.span));
        tables.collect()
    }

    /// Reads all entries of a table in which the operator chooses the keys. Returns each key and
    /// its text.
    pub(crate) fn entries(&self) -> Vec<(Placed<String>, Placed<String>)> {
        let entries = self.entries.into_iter().flatten();
        let texts = entries.filter_map(|(key, value)| {
            let name = Placed {
                value: key.get_ref().to_string(),
                span: key.span(),
            };
            let text = self.read(&quoted(&name.value), value, STRING, string)?;
            Some((name, text))
        });
        texts.collect()
    }

    /// Reports every key for which the caller did not ask.
    pub(crate) fn end(self) {
        for key in self.entries.iter().flat_map(|entries| entries.keys()) {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let path = self.path(&quoted(name));
            let hint = match closest(name, &self.asked) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("known here: {}", self.asked.join(", ")),
            };
            let message = format!("unknown key `{path}`");
            self.reading.add(&key.span(), message, hint);
        }
    }

    /// Adds a problem at a position of the file.
    pub(crate) fn problem(&self, span: &Range<usize>, message: impl Into<String>, hint: &str) {
        self.reading.add(span, message, hint);
    }

    /// Adds a problem with a key. The message is "`table.key` WRONG".
    pub(crate) fn wrong(&self, key: &str, wrong: &str, hint: &str) {
        self.wrong_at(&self.span_of(key), key, wrong, hint);
    }

    /// Reports a wrong value as [`Table::wrong`] does, but marks the problem as one of this machine.
    pub(crate) fn wrong_here(&self, key: &str, wrong: &str, hint: &str) {
        let message = format!("`{}` {wrong}", self.path(key));
        let problem = Problem::error(self.span_of(key), message, hint);
        self.reading.problems.borrow_mut().push(Problem {
            of_machine: true,
            ..problem
        });
    }

    /// Like [`Table::wrong`], but at `span` instead of the position of the key's value.
    pub(crate) fn wrong_at(&self, span: &Range<usize>, key: &str, wrong: &str, hint: &str) {
        let message = format!("`{}` {wrong}", self.path(key));
        self.reading.add(span, message, hint);
    }

    fn ask(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
            #[cfg(test)]
            self.reading.known.borrow_mut().insert(self.path(key));
        }
        self.entries.and_then(|entries| entries.get(key))
    }

    /// Reads a number or a flag. If a string holds a valid value, the hint says to drop the quotes.
    fn scalar<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        convert: impl Fn(&DeValue<'_>) -> Option<T>,
    ) -> Option<T> {
        let found = self.ask(key)?;
        let text = found.get_ref().as_str().map(str::trim);
        let unquoted = text.and_then(|text| DeValue::parse(text).ok());
        let fits = |value: Spanned<DeValue<'_>>| convert(value.get_ref()).is_some();
        match (convert(found.get_ref()), text) {
            (None, Some(text)) if unquoted.is_some_and(fits) => {
                let wrong = format!("must be {expected}, and this string is not");
                let hint = format!("drop the quotes: {key} = {}", quoted(text));
                self.wrong(key, &wrong, &hint);
                None
            }
            _ => self.value(key, expected, convert),
        }
    }

    fn value<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        convert: impl FnOnce(&'t DeValue<'t>) -> Option<T>,
    ) -> Option<T> {
        let found = self.ask(key)?;
        let read = self.read(key, found, expected, convert)?;
        Some(read.value)
    }

    fn read<T>(
        &self,
        key: &str,
        found: &'t Spanned<DeValue<'t>>,
        expected: &str,
        convert: impl FnOnce(&'t DeValue<'t>) -> Option<T>,
    ) -> Option<Placed<T>> {
        let (span, value) = (found.span(), convert(found.get_ref()));
        if value.is_none() {
            let kind = found.get_ref().type_str();
            let wrong = format!("must be {expected}, and this {kind} is not");
            self.wrong_at(&span, key, &wrong, &format!("write {expected}"));
        }
        value.map(|value| Placed { value, span })
    }

    fn inner(&self, key: &str, entries: Option<&'t DeTable<'t>>, span: Range<usize>) -> Table<'t> {
        Table {
            entries,
            name: self.path(key),
            span,
            asked: Vec::new(),
            reading: self.reading,
        }
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }
}

/// Returns the position of the value of a key such as `audit.directory` or `issuer.0.jwks_url`. If
/// the file lacks the key, returns the position of the innermost existing table on the way to the
/// key.
pub(crate) fn span_in(text: &str, key: &str) -> Range<usize> {
    let (tree, _) = DeTable::parse_recoverable(text);
    let mut found: Option<&Spanned<DeValue<'_>>> = None;
    for name in key.split('.') {
        let next = match found.map(Spanned::get_ref) {
            None => tree.get_ref().get(name),
            Some(DeValue::Table(table)) => table.get(name),
            Some(DeValue::Array(list)) => name.parse().ok().and_then(|at: usize| list.get(at)),
            Some(_) => None,
        };
        match next {
            Some(next) => found = Some(next),
            None => break,
        }
    }
    found.map_or(0..0, Spanned::span)
}

/// The unquoted word at a syntax error, if the missing quotes cause the error.
fn bare_word<'t>(message: &str, span: &Range<usize>, text: &'t str) -> Option<&'t str> {
    let is_of_value = message.starts_with("invalid ") || message.starts_with("string values must");
    let (before, after) = text.split_at_checked(span.start).filter(|_| is_of_value)?;
    let begin = before.rfind(['=', '[', ',', '\n']).map_or(0, |at| at + 1);
    let end = after.find([',', ']', '}', '#', '\n']);
    let word = text[begin..end.map_or(text.len(), |end| span.start + end)].trim();
    let is_number = |c: char| c.is_ascii_digit() || "+-._".contains(c);
    let is_bare = !word.contains(['"', '\'', '=']) && !word.chars().all(is_number);
    is_bare.then_some(word)
}

/// The line of the earlier key with the same name as the duplicate key at `span`.
fn first_key(text: &str, span: &Range<usize>) -> Option<usize> {
    let (tree, _) = DeTable::parse_recoverable(text);
    let name = text.get(span.clone())?.trim_matches(['"', '\'']);
    let mut tables = vec![tree.get_ref()];
    let mut first = None;
    while let Some(table) = tables.pop() {
        for (key, value) in table {
            let at = key.span().start;
            // Take the nearest earlier key, because another section can have a key of the same
            // name.
            if key.get_ref() == name && at < span.start {
                first = first.max(Some(at));
            }
            tables.extend(value.get_ref().as_table());
            let list = value
                .get_ref()
                .as_array()
                .into_iter()
                .flat_map(|list| list.iter());
            tables.extend(list.filter_map(|item| item.get_ref().as_table()));
        }
    }
    first.map(|at| line_number(text, at))
}

/// The line of the first header with the same text as the header at this byte. `None` if the header
/// at this byte is the first.
fn first_header(text: &str, byte: usize) -> Option<usize> {
    let name = |line: &str| {
        let header = line.split('#').next().unwrap_or_default();
        header.split_whitespace().collect::<String>()
    };
    let wanted = name(line_at(text, byte));
    let found = text.lines().position(|line| name(line) == wanted)? + 1;
    (found < line_number(text, byte)).then_some(found)
}

fn line_at(text: &str, byte: usize) -> &str {
    text.lines()
        .nth(line_number(text, byte) - 1)
        .unwrap_or_default()
}

/// The line number of a byte, counted from 1.
fn line_number(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|b| *b == b'\n').count() + 1
}

fn closest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    if name.len() > LONGEST_GUESSED {
        return None;
    }
    let most = 1 + name.chars().count() / 4;
    let distance = |known: &&str| strsim::damerau_levenshtein(known, name);
    let close = known.iter().copied().min_by_key(distance)?;
    (distance(&close) <= most).then_some(close)
}

/// A name from the file, escaped and cut, for a message.
pub(crate) fn quoted(name: &str) -> String {
    let mut text: String = name
        .chars()
        .take(MAX_QUOTED)
        .flat_map(char::escape_debug)
        .collect();
    if name.chars().nth(MAX_QUOTED).is_some() {
        text.push_str("...");
    }
    text
}

fn string(value: &DeValue<'_>) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Returns a whole number that is not negative, and `None` for any other value.
pub(crate) fn whole(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

#[cfg(test)]
mod tests;
