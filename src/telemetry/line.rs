//! One event as one line. Whatever comes from outside can neither end the line nor steer a terminal.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// One JSON object.
    Json = 0,
    /// For people, without colours.
    Plain = 1,
    /// For people, on a terminal with colours.
    Coloured = 2,
}

/// Appends the line, line feed included.
pub(super) fn write(line: &mut String, style: Style, time: &str, event: &Event<'_>) {
    let level = *event.metadata().level();
    // Writing to a String cannot fail.
    let _ = match style {
        Style::Json => {
            let target = event.metadata().target();
            line.extend([
                "{\"time\":\"",
                time,
                "\",\"level\":\"",
                name(level),
                "\",\"target\":\"",
                target,
                "\"",
            ]);
            Ok(())
        }
        Style::Plain => write!(line, "{time} {:5} ", name(level)),
        Style::Coloured => write!(
            line,
            "\u{1b}[2m{time}\u{1b}[0m {}{:5}\u{1b}[0m ",
            colour(level),
            name(level)
        ),
    };
    let mut fields = Fields {
        line,
        style,
        rest: String::new(),
    };
    event.record(&mut fields);
    let rest = fields.rest;
    line.push_str(&rest);
    line.push_str(if style == Style::Json { "}\n" } else { "\n" });
}

/// Gathers the fields; for people the message stands first, whatever its place.
struct Fields<'a> {
    line: &'a mut String,
    style: Style,
    /// What stands behind the message, for people.
    rest: String,
}

impl Fields<'_> {
    /// A number that is not negative: most are, so it is written without a formatter.
    fn number(&mut self, field: &Field, mut value: u64) {
        let mut digits = [0; 20];
        let mut first = digits.len();
        for place in digits.iter_mut().rev() {
            *place = b'0' + (value % 10) as u8;
            value /= 10;
            first -= 1;
            if value == 0 {
                break;
            }
        }
        self.key(field);
        let digits = digits.get(first..).unwrap_or_default();
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        self.place().push_str(digits);
    }

    fn bare(&mut self, field: &Field, value: impl fmt::Display) {
        self.key(field);
        let _ = write!(self.place(), "{value}");
    }

    /// Where fields go.
    fn place(&mut self) -> &mut String {
        match self.style {
            Style::Json => self.line,
            Style::Plain | Style::Coloured => &mut self.rest,
        }
    }

    fn text(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let message = field.name() == "message";
        if self.style == Style::Json {
            self.key(field);
            self.line.push('"');
            let _ = Escaped::json(self.line).write_fmt(value);
            self.line.push('"');
        } else if message {
            let _ = Escaped::people(self.line).write_fmt(value);
        } else {
            self.key(field);
            let start = self.rest.len();
            let _ = Escaped::people(&mut self.rest).write_fmt(value);
            quote_from(&mut self.rest, start);
        }
    }

    fn key(&mut self, field: &Field) {
        let name = field.name();
        let _ = match self.style {
            Style::Json => {
                self.line.extend([",\"", name, "\":"]);
                Ok(())
            }
            Style::Plain => write!(self.rest, " {name}="),
            Style::Coloured => write!(self.rest, " \u{1b}[2m{name}=\u{1b}[0m"),
        };
    }
}

impl Visit for Fields<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, value);
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.bare(field, value);
        } else {
            self.text(field, format_args!("{value}"));
        }
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        if self.style != Style::Json {
            self.text(field, format_args!("{value}"));
            return;
        }
        // Room for all of it at once: this is every access line's way.
        self.line.reserve(field.name().len() + value.len() + 8);
        self.key(field);
        self.line.push('"');
        let _ = Escaped::json(self.line).write_str(value);
        self.line.push('"');
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format_args!("{value:?}"));
    }
}

/// Writes through to a string, with every character that could do harm spelled out.
struct Escaped<'a> {
    line: &'a mut String,
    json: bool,
}

impl<'a> Escaped<'a> {
    fn json(line: &'a mut String) -> Self {
        Self { line, json: true }
    }

    fn people(line: &'a mut String) -> Self {
        Self { line, json: false }
    }
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Most texts hold nothing that has to be spelled out.
        // All of them are looked at, for the processor does that many at a time.
        if text
            .bytes()
            .fold(true, |plain, byte| plain & is_plain(byte))
        {
            self.line.push_str(text);
            return Ok(());
        }
        for character in text.chars() {
            match character {
                '"' | '\\' if self.json => {
                    self.line.push('\\');
                    self.line.push(character);
                }
                '\n' if self.json => self.line.push_str("\\n"),
                // Every one of these fits four digits.
                harmful if is_harmful(harmful) && self.json => {
                    write!(self.line, "\\u{:04x}", u32::from(harmful))?;
                }
                harmful if is_harmful(harmful) => {
                    write!(self.line, "{}", harmful.escape_default())?;
                }
                plain => self.line.push(plain),
            }
        }
        Ok(())
    }
}

/// Visible ASCII, or a space, that means the same in JSON.
fn is_plain(byte: u8) -> bool {
    (byte.wrapping_sub(b' ') < 95) & (byte != b'"') & (byte != b'\\')
}

/// Controls, line separators, and what turns the direction of writing.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Puts quotes around a value that a reader could take for several.
fn quote_from(text: &mut String, start: usize) {
    let value = text.get(start..).unwrap_or_default();
    if value.is_empty() || value.contains([' ', '"', '=']) {
        let quoted = format!("\"{}\"", value.replace('"', "\\\""));
        text.truncate(start);
        text.push_str(&quoted);
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        Level::DEBUG | Level::TRACE => "\u{1b}[36m",
    }
}
