//! Reads a table of TOML strictly: each value with its type and place, and every key that nobody asked for.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::parse::ContractProblem;

/// A text with its place in the file.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    pub(super) end: usize,
}

impl Text<'_> {
    pub(super) fn span(&self) -> Range<usize> {
        self.at..self.end
    }
}

/// A table that is being read.
pub(super) struct Reader<'a, 't> {
    table: &'a DeTable<'t>,
    span: Range<usize>,
    asked: Vec<&'static str>,
    problems: Vec<ContractProblem>,
}

impl<'a, 't> Reader<'a, 't> {
    pub(super) fn new(table: &'a DeTable<'t>, span: Range<usize>) -> Self {
        Self {
            table,
            span,
            asked: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Notes a problem at a place of the file.
    pub(super) fn problem(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.problems.push(ContractProblem {
            span,
            message: message.into(),
        });
    }

    /// Where the table itself begins, for what is missing from it.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// A text that may be absent.
    pub(super) fn optional_text(&mut self, key: &'static str) -> Option<Text<'a>> {
        let value = self.value(key)?;
        self.text_of(key, value)
    }

    /// A text that must be there.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Text<'a>> {
        if !self.table.contains_key(key) {
            self.asked.push(key);
            self.problem(self.span(), format!("`{key}` is missing"));
            return None;
        }
        self.optional_text(key)
    }

    /// A text that must be there and be one of these words.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = words.iter().find(|(word, _)| *word == text.text);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let hint = did_you_mean(text.text, &known);
            self.problem(
                text.span(),
                format!("`{key}` must be one of {}{hint}", known.join(", ")),
            );
        }
        found.map(|(_, value)| *value)
    }

    /// `true` or `false`, with its place; where it is absent, `None`.
    pub(super) fn switch(&mut self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        let switch = value.get_ref().as_bool();
        if switch.is_none() {
            self.wrong_type(key, value, "true or false");
        }
        switch
    }

    /// A list of texts; none where it is absent.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<Text<'a>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(key, value, "a list of strings");
            return Vec::new();
        };
        array
            .iter()
            .filter_map(|item| self.text_of(key, item))
            .collect()
    }

    /// The tables `[[key]]`, in their order; none where it is absent.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Reader<'a, 't>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(key, value, "tables, each begun by double brackets");
            return Vec::new();
        };
        let mut readers = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_table() {
                Some(table) => readers.push(Reader::new(table, item.span())),
                None => self.wrong_type(key, item, "a table"),
            }
        }
        readers
    }

    /// Ends the reading: what was wrong, with every key that nobody asked for.
    pub(super) fn end(mut self) -> Vec<ContractProblem> {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !self.asked.contains(&name) {
                let message = format!("unknown key `{name}`{}", did_you_mean(name, &self.asked));
                self.problems.push(ContractProblem {
                    span: key.span(),
                    message,
                });
            }
        }
        self.problems
    }

    fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'t>>> {
        self.asked.push(key);
        self.table.get(key)
    }

    fn text_of(&mut self, key: &str, value: &'a Spanned<DeValue<'t>>) -> Option<Text<'a>> {
        let span = value.span();
        let text = value.get_ref().as_str().map(|text| Text {
            text,
            at: span.start,
            end: span.end,
        });
        if text.is_none() {
            self.wrong_type(key, value, "a string in quotes");
        }
        text
    }

    fn wrong_type(&mut self, key: &str, value: &Spanned<DeValue<'t>>, wanted: &str) {
        let found = value.get_ref().type_str();
        self.problem(
            value.span(),
            format!("`{key}` must be {wanted}, not {found}"),
        );
    }
}

/// `, did you mean …?` where a known word is near enough to be what was meant.
fn did_you_mean(word: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .min();
    near.map_or_else(String::new, |(_, known)| {
        format!(", did you mean `{known}`?")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, reading: impl FnOnce(&mut Reader<'_, '_>)) -> Vec<String> {
        let table = DeTable::parse(text).unwrap();
        let mut reader = Reader::new(table.get_ref(), table.span());
        reading(&mut reader);
        let place =
            |problem: ContractProblem| format!("{}: {}", &text[problem.span], problem.message);
        reader.end().into_iter().map(place).collect()
    }

    #[test]
    fn a_key_that_nobody_asked_for_is_shown_with_the_nearest_known_one() {
        let problems = read("scoope = 'x'\nzzz = 1", |reader| {
            reader.optional_text("scope");
        });
        assert_eq!(
            problems,
            [
                "scoope: unknown key `scoope`, did you mean `scope`?",
                "zzz: unknown key `zzz`"
            ]
        );
    }

    #[test]
    fn a_value_of_another_type_is_shown_at_its_place() {
        let problems = read("a = 4.0\nb = 'yes'\nc = ['x', 1]\nd = {}", |reader| {
            assert!(reader.text("a").is_none());
            assert!(reader.switch("b").is_none());
            assert_eq!(reader.texts("c").len(), 1);
            assert!(reader.tables("d").is_empty());
        });
        assert_eq!(
            problems,
            [
                "4.0: `a` must be a string in quotes, not float",
                "'yes': `b` must be true or false, not string",
                "1: `c` must be a string in quotes, not integer",
                "{}: `d` must be tables, each begun by double brackets, not table",
            ]
        );
    }

    #[test]
    fn a_word_must_be_a_known_one() {
        let problems = read("effect = 'raed'", |reader| {
            assert_eq!(reader.word("effect", &[("read", 1), ("write", 2)]), None);
        });
        assert_eq!(
            problems,
            ["'raed': `effect` must be one of read, write, did you mean `read`?"]
        );
    }

    #[test]
    fn what_is_absent_is_missing_only_where_it_is_needed() {
        let problems = read("", |reader| {
            assert!(reader.optional_text("a").is_none() && reader.switch("b").is_none());
            assert!(reader.texts("c").is_empty() && reader.text("d").is_none());
        });
        assert_eq!(problems, [": `d` is missing"]);
    }
}
