//! Makes text from callers, tokens and upstream harmless for a terminal.

use serde::Serialize;

/// Escapes a text for people: writes every invisible character (controls, escape sequences,
/// direction marks) as an escape such as `\u{1b}` and doubles each backslash, so that no
/// information is lost.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\'' | '"' => escaped.push(character),
            _ => escaped.extend(character.escape_debug()),
        }
    }
    escaped
}

/// Cuts a text to at most this many characters.
pub(super) fn cut(text: &str, columns: usize) -> String {
    match text.char_indices().nth(columns) {
        None => text.to_owned(),
        Some(_) => text.chars().take(columns - 1).chain(['…']).collect(),
    }
}

/// Formats a value for programs: one line of JSON without invisible characters.
pub(super) fn json_line(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let plain = serde_json::to_string(value)?;
    if plain.is_ascii() && !plain.contains('\u{7f}') {
        return Ok(plain);
    }
    let mut line = String::with_capacity(plain.len());
    for character in plain.chars() {
        // JSON allows an invisible character only inside a string. An escape there has the same
        // meaning.
        if is_invisible(character) {
            line.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            line.push(character);
        }
    }
    Ok(line)
}

fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{7f}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_as_it_is() {
        for text in ["alice@example.com", "it's \"quoted\"", "Grüße 日本", ""] {
            assert_eq!(escape(text), text);
        }
    }

    #[test]
    fn terminal_escapes_are_spelled_out() {
        assert_eq!(escape("\u{1b}[31mred\u{7}"), r"\u{1b}[31mred\u{7}");
        assert_eq!(escape("\u{9b}2J"), r"\u{9b}2J");
        assert_eq!(escape("a\nb\tc\r\0"), r"a\nb\tc\r\0");
    }

    #[test]
    fn direction_marks_are_spelled_out() {
        assert_eq!(escape("user\u{202e}resu"), r"user\u{202e}resu");
        assert_eq!(escape("zero\u{200b}width"), r"zero\u{200b}width");
    }

    #[test]
    fn a_literal_escape_differs_from_an_escaped_character() {
        assert_ne!(escape("\u{1b}"), escape(r"\u{1b}"));
    }

    #[test]
    fn a_json_line_keeps_its_meaning_without_invisible_characters() {
        let text = "\u{1b}[0m \u{9b}2J \u{202e} \u{7f} Grüße";
        let line = json_line(&text).unwrap();
        assert!(
            !line.chars().any(|c| c.is_control() || is_invisible(c)),
            "{line}"
        );
        assert!(line.contains("Grüße"));
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }
}
