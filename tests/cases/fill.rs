//! Resolves placeholders and escapes: from the text of a case to the bytes on the wire.

use std::collections::BTreeMap;

use super::format::Message;

/// The values of the placeholders.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    /// The values by placeholder name, without braces.
    pub(super) named: BTreeMap<String, String>,
}

/// Resolves placeholders and escapes in one line.
pub(super) fn fill(line: &str, values: &Values) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some(next) = rest.chars().next() {
        let after = &rest[next.len_utf8()..];
        rest = match next {
            '\\' => unescape(after, &mut bytes)?,
            '{' => match after
                .split_once('}')
                .filter(|(name, _)| is_placeholder(name))
            {
                Some((name, behind)) => {
                    match repeated(name) {
                        Some((count, text)) => bytes.extend(fill(text, values)?.repeat(count)),
                        None => bytes.extend_from_slice(value_of(name, values)?.as_bytes()),
                    }
                    behind
                }
                None => {
                    bytes.push(b'{');
                    after
                }
            },
            other => {
                bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                after
            }
        };
    }
    Ok(bytes)
}

/// Resolves a complete message; `{length}` in the head is the length of the body.
pub(super) fn fill_message(message: &Message, values: &Values) -> Result<Vec<u8>, String> {
    let body = fill(&message.body, values)?;
    let mut values = values.clone();
    let length = body.len().to_string();
    values.named.insert("length".to_owned(), length);
    let mut bytes = Vec::new();
    for line in &message.lines {
        bytes.extend(fill(line, &values)?);
        if !message.raw {
            bytes.extend_from_slice(b"\r\n");
        }
    }
    if !message.raw {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend(body);
    Ok(bytes)
}

/// JSON is full of braces, so only a word, a word with an argument, and `N*text` are placeholders.
fn is_placeholder(name: &str) -> bool {
    let word = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|one| one.is_ascii_alphanumeric() || one == '-')
    };
    repeated(name).is_some() || name.split(' ').all(word)
}

fn repeated(name: &str) -> Option<(usize, &str)> {
    let (count, text) = name.split_once('*')?;
    Some((count.parse().ok()?, text))
}

fn value_of(name: &str, values: &Values) -> Result<String, String> {
    if let Some(count) = name.strip_prefix("ids ") {
        let count: u32 = count
            .parse()
            .map_err(|_| format!("`{{{name}}}`: how many?"))?;
        let ids: Vec<String> = (1..=count)
            .map(|id| format!("\"{}\"", 1_000_000_000 + id))
            .collect();
        return Ok(format!("[{}]", ids.join(",")));
    }
    let known = values.named.get(name).cloned();
    known.ok_or_else(|| format!("`{{{name}}}` is not a known placeholder"))
}

fn unescape<'a>(after: &'a str, bytes: &mut Vec<u8>) -> Result<&'a str, String> {
    let mut rest = after.chars();
    let byte = match rest.next() {
        Some('r') => b'\r',
        Some('n') => b'\n',
        Some('t') => b'\t',
        Some('\\') => b'\\',
        Some('x') => {
            let digits = after.get(1..3).unwrap_or_default();
            let byte = u8::from_str_radix(digits, 16);
            bytes.push(byte.map_err(|_| format!("`\\x{digits}` is no byte"))?);
            return Ok(&after[3..]);
        }
        other => return Err(format!("`\\{}` is no escape", other.unwrap_or(' '))),
    };
    bytes.push(byte);
    Ok(rest.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let named = [("users", "/u"), ("token", "T"), ("token other", "O")];
        let named = named.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Values {
            named: named.into(),
        }
    }

    #[test]
    fn placeholders_and_escapes_become_bytes() {
        for (line, bytes) in [
            ("GET {users}/1", &b"GET /u/1"[..]),
            ("{token}{token other}", b"TO"),
            ("{3*ab}|{ids 2}", b"ababab|[\"1000000001\",\"1000000002\"]"),
            (r"a\x00\r\n\\x", b"a\0\r\n\\x"),
            (r"{2*a\n}", b"a\na\n"),
            (r#"{} {"a":1} {"#, br#"{} {"a":1} {"#),
            ("\u{e4}", "\u{e4}".as_bytes()),
        ] {
            assert_eq!(fill(line, &values()).unwrap(), bytes, "{line}");
        }
    }

    #[test]
    fn unknown_placeholders_and_escapes_fail() {
        for line in ["{nobody}", r"\q", r"\xg0", r"\", "{ids many}"] {
            assert!(fill(line, &values()).is_err(), "{line}");
        }
    }

    #[test]
    fn length_is_the_length_of_the_body() {
        let message = Message {
            lines: vec!["L: {length}".to_owned()],
            body: "{token}\n2".to_owned(),
            raw: false,
        };
        let bytes = fill_message(&message, &values()).unwrap();
        assert_eq!(bytes, b"L: 3\r\n\r\nT\n2");
        let raw = Message {
            lines: vec!["a".to_owned(), "b".to_owned()],
            body: String::new(),
            raw: true,
        };
        assert_eq!(fill_message(&raw, &values()).unwrap(), b"ab");
    }
}
