//! Formats one event as one line. No text from outside can end the line or control a terminal.

use std::fmt::{self, Write};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::Shown;
use crate::clock::Clock;

/// The initial capacity of a line. An access line fits, so it takes one allocation.
const LINE_BYTES: usize = 512;
const DIM: &str = "\u{1b}[2m";
const RESET: &str = "\u{1b}[0m";

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// One JSON object.
    Json,
    /// For people, without colours.
    Plain,
    /// For people, on a terminal with colours.
    Coloured,
}

/// Formats events. The formats of `tracing-subscriber` are not suitable: its JSON uses other field names, and
/// no format escapes line feeds and bidirectional controls in every value.
#[derive(Debug)]
pub(super) struct Format {
    pub(super) shown: Arc<ArcSwap<Shown>>,
    pub(super) clock: Clock,
}

impl<S, N> FormatEvent<S, N> for Format
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let style = self.shown.load().style;
        let mut line = String::with_capacity(LINE_BYTES);
        let time = self.clock.now().to_string();
        head(&mut line, style, &time, event.metadata())?;
        let mut fields = Fields {
            line,
            style,
            behind_message: String::new(),
        };
        event.record(&mut fields);
        let Fields {
            mut line,
            behind_message,
            ..
        } = fields;
        line.push_str(&behind_message);
        line.push_str(if style == Style::Json { "}\n" } else { "\n" });
        writer.write_str(&line)
    }
}

fn head(line: &mut String, style: Style, time: &str, metadata: &Metadata<'_>) -> fmt::Result {
    let (level, colour) = match *metadata.level() {
        Level::ERROR => ("error", "\u{1b}[31m"),
        Level::WARN => ("warn", "\u{1b}[33m"),
        Level::INFO => ("info", "\u{1b}[32m"),
        Level::DEBUG => ("debug", "\u{1b}[36m"),
        Level::TRACE => ("trace", "\u{1b}[36m"),
    };
    match style {
        Style::Json => {
            line.extend(["{\"time\":\"", time, "\",\"level\":\"", level]);
            line.extend(["\",\"target\":\"", metadata.target(), "\""]);
            Ok(())
        }
        Style::Plain => write!(line, "{time} {level:5} "),
        Style::Coloured => write!(line, "{DIM}{time}{RESET} {colour}{level:5}{RESET} "),
    }
}

/// Collects the fields of an event. In a line for people, the message comes before all other fields.
struct Fields {
    line: String,
    style: Style,
    behind_message: String,
}

impl Fields {
    /// Appends the field's name. Returns the string to which the caller appends the value.
    fn key(&mut self, field: &Field) -> &mut String {
        let name = field.name();
        match self.style {
            Style::Json => {
                self.line.extend([",\"", name, "\":"]);
                return &mut self.line;
            }
            Style::Plain => self.behind_message.extend([" ", name, "="]),
            Style::Coloured => self.behind_message.extend([" ", DIM, name, "=", RESET]),
        }
        &mut self.behind_message
    }

    fn bare(&mut self, field: &Field, value: impl ToString) {
        // For an integer, `to_string` avoids the slow formatting code of `fmt`.
        let text = value.to_string();
        self.key(field).push_str(&text);
    }

    fn text(&mut self, field: &Field, text: &str) {
        if self.style == Style::Json {
            let line = self.key(field);
            line.push('"');
            push_escaped(line, text, true);
            line.push('"');
        } else if field.name() == "message" {
            push_escaped(&mut self.line, text, false);
        } else if text.is_empty() || text.contains([' ', '"', '=']) {
            // Quoted, so that one value cannot look like several fields.
            self.bare(field, format_args!("{text:?}"));
        } else {
            push_escaped(self.key(field), text, false);
        }
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, value);
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.bare(field, value);
        } else {
            self.text(field, &value.to_string());
        }
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }
}

/// Appends a text, and escapes each character that could do harm.
fn push_escaped(line: &mut String, text: &str, json: bool) {
    // Most texts need no escape. Unlike `all`, `fold` looks at every byte, so the processor can check many
    // bytes at a time.
    if text
        .bytes()
        .fold(true, |plain, byte| plain & is_plain(byte))
    {
        line.push_str(text);
        return;
    }
    for character in text.chars() {
        let _ = match character {
            '"' | '\\' if json => write!(line, "\\{character}"),
            '\n' if json => line.write_str("\\n"),
            // Every harmful character fits in four hexadecimal digits.
            harmful if is_harmful(harmful) && json => write!(line, "\\u{:04x}", u32::from(harmful)),
            harmful if is_harmful(harmful) => write!(line, "{}", harmful.escape_default()),
            harmless => line.write_char(harmless),
        };
    }
}

/// Whether the byte is visible ASCII or a space, and needs no escape in JSON.
fn is_plain(byte: u8) -> bool {
    (byte.wrapping_sub(b' ') < 95) & (byte != b'"') & (byte != b'\\')
}

/// Whether the character is a control, a line separator, or changes the direction of writing.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
