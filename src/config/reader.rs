//! Reads one table of the file: each key is asked for by name and kind, and what nobody asked for
//! is an unknown key. A problem never stops the reading, so all are found at once.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::findings::{Findings, quoted};
use super::units;

/// A key longer than this is no misspelling of ours; the comparison takes quadratic time.
const LONGEST_GUESSED: usize = 64;

/// A value and the bytes of the file it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed<T> {
    /// What the file says.
    pub(super) value: T,
    /// Where; of a default, the place of its table.
    pub(super) span: Range<usize>,
}

/// What all tables of one file share.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The problems found so far.
    pub(super) findings: Findings,
    /// Every key that was asked for, as `table.key`.
    known: RefCell<BTreeSet<String>>,
}

impl Reading {
    /// Every key that was asked for, as `table.key`.
    #[cfg(test)]
    pub(super) fn known(&self) -> BTreeSet<String> {
        self.known.borrow().clone()
    }
}

/// One table; one that the file does not have reads as empty.
#[derive(Debug)]
pub(super) struct Table<'t> {
    entries: Option<&'t DeTable<'t>>,
    name: String,
    span: Range<usize>,
    asked: Vec<&'static str>,
    reading: &'t Reading,
}

impl<'t> Table<'t> {
    /// The whole file.
    pub(super) fn root(entries: &'t DeTable<'t>, reading: &'t Reading) -> Self {
        Self {
            entries: Some(entries),
            name: String::new(),
            span: 0..0,
            asked: Vec::new(),
            reading,
        }
    }

    /// Where the table stands; the file's beginning where it is absent.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Says that this key must be there; whoever reads it then gets `None`.
    pub(super) fn require(&mut self, key: &'static str, hint: &str) {
        if self.ask(key).is_none() {
            let message = format!("`{}` is missing", self.path(key));
            let hint = match &self.entries {
                Some(_) => hint.to_owned(),
                None => format!("add a section [{}]; {hint}", self.name),
            };
            self.reading.findings.add(&self.span, message, hint);
        }
    }

    /// Whether the file has the key at all, of whatever kind.
    pub(super) fn holds(&mut self, key: &'static str) -> bool {
        self.ask(key).is_some()
    }

    /// A string.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Placed<String>> {
        self.convert(key, "a string in quotes", |value| {
            value.as_str().map(str::to_owned)
        })
    }

    /// A string that `parse` makes something of; its error completes "`key` ...".
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        hint: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Placed<T>> {
        let text = self.text(key)?;
        match parse(&text.value) {
            Ok(value) => Some(Placed {
                value,
                span: text.span,
            }),
            Err(wrong) => {
                self.wrong(key, &text.span, &wrong, hint);
                None
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.convert(key, "true or false", DeValue::as_bool)
            .map_or(default, |flag| flag.value)
    }

    /// A list of strings.
    pub(super) fn list(&mut self, key: &'static str) -> Option<Placed<Vec<Placed<String>>>> {
        let expected = "a list of strings, such as [\"a\", \"b\"]";
        let list = self.convert(key, expected, |value| value.as_array())?;
        let mut texts = Vec::new();
        for item in list.value {
            match item.get_ref().as_str() {
                Some(text) => texts.push(Placed {
                    value: text.to_owned(),
                    span: item.span(),
                }),
                None => self.kind(key, item, expected),
            }
        }
        Some(Placed {
            value: texts,
            span: list.span,
        })
    }

    /// A whole number within `range`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Placed<u64> {
        let number = self.convert(key, "a whole number", whole);
        self.within(key, number, default, &range, |number| number.to_string())
    }

    /// A size in bytes within `range`: `"256KiB"`, or a whole number of bytes.
    pub(super) fn size(
        &mut self,
        key: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Placed<u64> {
        let size = self.convert(key, "a size such as \"256KiB\" or \"8MiB\"", |value| {
            value.as_str().map_or_else(|| whole(value), units::size)
        });
        self.within(key, size, default, &range, |size| units::show_size(*size))
    }

    /// A duration within `range`: `"500ms"`, `"2s"`, `"1h"`, `"1d"`.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Placed<Duration> {
        let expected = "a duration such as \"500ms\", \"2s\" or \"1h\"";
        let duration = self.convert(key, expected, |value| {
            value.as_str().and_then(units::duration)
        });
        self.within(key, duration, default, &range, |duration| {
            units::show_duration(*duration)
        })
    }

    /// A table in this one.
    pub(super) fn table(&mut self, key: &'static str) -> Table<'t> {
        let found = self.convert(key, "a table", |value| value.as_table());
        let name = self.path(key);
        match found {
            Some(found) => self.inner(name, Some(found.value), found.span),
            None => self.inner(name, None, 0..0),
        }
    }

    /// A list of tables, `[[key]]`.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Table<'t>> {
        let expected = format!("a list of tables, each headed [[{key}]]");
        let Some(list) = self.convert(key, &expected, |value| value.as_array()) else {
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in list.value {
            match item.get_ref().as_table() {
                Some(entries) => {
                    tables.push(self.inner(self.path(key), Some(entries), item.span()));
                }
                None => self.kind(key, item, &expected),
            }
        }
        tables
    }

    /// All entries of a table whose keys are the operator's own: key, its place, string value.
    pub(super) fn entries(mut self) -> Vec<(Placed<String>, Placed<String>)> {
        let mut found = Vec::new();
        for (key, value) in self.entries.take().into_iter().flatten() {
            let name = Placed {
                value: key.get_ref().to_string(),
                span: key.span(),
            };
            match value.get_ref().as_str() {
                Some(text) => found.push((
                    name,
                    Placed {
                        value: text.to_owned(),
                        span: value.span(),
                    },
                )),
                None => self.kind(&quoted(&name.value), value, "a string in quotes"),
            }
        }
        found
    }

    /// Reports every key that nobody asked for.
    pub(super) fn end(self) {
        for key in self.entries.iter().flat_map(|entries| entries.keys()) {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let path = self.path(&quoted(name));
            let hint = match self.closest(name) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("known here: {}", self.asked.join(", ")),
            };
            let message = format!("unknown key `{path}`");
            self.reading.findings.add(&key.span(), message, hint);
        }
    }

    /// Adds a problem: "`table.key` WRONG".
    pub(super) fn wrong(&self, key: &str, span: &Range<usize>, wrong: &str, hint: &str) {
        let message = format!("`{}` {wrong}", self.path(key));
        self.reading.findings.add(span, message, hint);
    }

    fn ask(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
            self.reading.known.borrow_mut().insert(self.path(key));
        }
        self.entries.and_then(|entries| entries.get(key))
    }

    fn convert<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        convert: impl FnOnce(&'t DeValue<'t>) -> Option<T>,
    ) -> Option<Placed<T>> {
        let found = self.ask(key)?;
        match convert(found.get_ref()) {
            Some(value) => Some(Placed {
                value,
                span: found.span(),
            }),
            None => {
                self.kind(key, found, expected);
                None
            }
        }
    }

    fn kind(&self, key: &str, found: &Spanned<DeValue<'_>>, expected: &str) {
        let kind = found.get_ref().type_str();
        let wrong = format!("must be {expected}, and this {kind} is not");
        self.wrong(key, &found.span(), &wrong, &format!("write {expected}"));
    }

    fn within<T: PartialOrd>(
        &self,
        key: &'static str,
        found: Option<Placed<T>>,
        default: T,
        range: &RangeInclusive<T>,
        show: impl Fn(&T) -> String,
    ) -> Placed<T> {
        match found {
            Some(found) if !range.contains(&found.value) => {
                let (least, most) = (show(range.start()), show(range.end()));
                let wrong = format!("must be from {least} to {most}");
                let hint = format!("leave it out for {}", show(&default));
                self.wrong(key, &found.span, &wrong, &hint);
                Placed {
                    value: default,
                    span: found.span,
                }
            }
            Some(found) => found,
            None => Placed {
                value: default,
                span: self.span(),
            },
        }
    }

    fn inner(
        &self,
        name: String,
        entries: Option<&'t DeTable<'t>>,
        span: Range<usize>,
    ) -> Table<'t> {
        Table {
            entries,
            name,
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

    fn closest(&self, name: &str) -> Option<&'static str> {
        if name.len() > LONGEST_GUESSED {
            return None;
        }
        let most = 1 + name.chars().count() / 4;
        let distance = |asked: &str| strsim::damerau_levenshtein(asked, name);
        let close = self
            .asked
            .iter()
            .copied()
            .min_by_key(|asked| distance(asked))?;
        (distance(close) <= most).then_some(close)
    }
}

fn whole(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}
