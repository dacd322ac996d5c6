//! Prints fields in 80 columns. A field is a name and its value, such as a member of a JSON object.
//! Nothing is cut: a long value is broken between words. A word that is too long for the value column
//! begins on the next line.

use std::io::{self, Write};

use anstyle::Style;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::cli::escape::escape;

const COLUMNS: usize = 80;
/// The column at which values begin.
const VALUES: usize = 12;
/// The indent of a word that is too long for the value column.
const LONG: usize = 2;

/// Names and their values, in order.
pub(super) type Fields = Vec<(&'static str, String)>;

/// Prints a name and its value, with invisible characters escaped.
pub(super) fn field(out: &mut dyn Write, name: &str, value: &str) -> io::Result<()> {
    let name = escape(name);
    let head = format!("{name:<width$} ", width = VALUES - 1);
    writeln!(out, "{}", wrapped(head, &escape(value), VALUES).join("\n"))
}

/// Prints a sentence in a style, with invisible characters escaped.
pub(super) fn sentence(out: &mut dyn Write, style: Style, text: &str) -> io::Result<()> {
    for line in wrapped(String::new(), &escape(text), 0) {
        writeln!(out, "{style}{line}{style:#}")?;
    }
    Ok(())
}

/// Breaks a text into lines. The first line begins with `head`; the other lines are indented.
fn wrapped(head: String, text: &str, indent: usize) -> Vec<String> {
    let (mut lines, mut line, mut begin) = (Vec::new(), head, true);
    for word in text.split(' ') {
        let width = word.chars().count();
        let gap = if begin { "" } else { " " };
        if line.chars().count() + gap.len() + width > COLUMNS {
            let is_long = indent + width > COLUMNS;
            let next = " ".repeat(if is_long { LONG } else { indent });
            lines.push(std::mem::replace(&mut line, next));
            let mut rest: Vec<char> = word.chars().collect();
            while rest.len() > COLUMNS - LONG {
                let piece = rest.drain(..COLUMNS - LONG).collect::<String>();
                lines.push(line + &piece);
                line = " ".repeat(LONG);
            }
            line.extend(rest);
        } else {
            line.push_str(gap);
            line.push_str(word);
        }
        begin = false;
    }
    lines.push(line);
    lines
        .iter()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// Converts a JSON value to text. The members of an object keep their order. Leaves out members that
/// are `null`.
pub(super) fn plain(value: &RawValue) -> String {
    let text = value.get();
    if let Ok(text) = serde_json::from_str::<String>(text) {
        return text;
    }
    if let Ok(items) = serde_json::from_str::<Vec<Box<RawValue>>>(text) {
        let between = if text.starts_with("[{") { "; " } else { ", " };
        let items: Vec<String> = items.iter().map(|item| plain(item)).collect();
        return items.join(between);
    }
    let Ok(Object(fields)) = serde_json::from_str(text) else {
        return text.to_owned();
    };
    let fields = fields.iter().filter(|(_, value)| value.get() != "null");
    let fields: Vec<String> = fields
        .map(|(name, value)| format!("{name} {}", plain(value)))
        .collect();
    fields.join(", ")
}

/// The members of a JSON object, in their order.
pub(super) struct Object(pub(super) Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                text.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(name: &str, value: &str) -> String {
        let mut out = Vec::new();
        field(&mut out, name, value).unwrap();
        let text = String::from_utf8(out).unwrap();
        let is_narrow = |line: &str| line.chars().count() <= COLUMNS && line.trim_end() == line;
        assert!(text.lines().all(is_narrow), "{text}");
        text
    }

    #[test]
    fn a_short_value_stands_beside_its_name() {
        assert_eq!(printed("if_match", "42"), "if_match    42\n");
        assert_eq!(printed("a_very_long_name", "42"), "a_very_long_name 42\n");
    }

    #[test]
    fn a_long_value_is_broken_between_words() {
        let text = printed("users", &"4711, ".repeat(20));
        assert!(text.starts_with("users       4711, 4711, "), "{text}");
        assert!(text.lines().nth(1).unwrap().starts_with(&" ".repeat(12)));
        assert_eq!(text.matches("4711,").count(), 20);
    }

    #[test]
    fn a_long_word_stands_below_its_name_and_is_not_cut() {
        let word = "x".repeat(78);
        assert_eq!(printed("config", &word), format!("config\n  {word}\n"));
        let text = printed("config", &"x".repeat(200));
        assert_eq!(text.matches('x').count(), 200);
        assert_eq!(text.lines().count(), 4);
    }

    #[test]
    fn invisible_characters_are_escaped_before_the_break() {
        let text = printed("who", &"\u{1b}[2J\u{202e}".repeat(30));
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }

    #[test]
    fn a_json_value_is_text_in_its_order() {
        let value = r#"{"b":"x y","a":null,"z":[1,"2"],"c":[{"u":1,"t":true},{"u":2}]}"#;
        let value: &RawValue = serde_json::from_str(value).unwrap();
        assert_eq!(plain(value), "b x y, z 1, 2, c u 1, t true; u 2");
    }
}
