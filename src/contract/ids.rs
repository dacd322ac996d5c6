//! A strict parser for the body of a batch deletion: a JSON array of user ids.
//!
//! The gateway uses its own strict scanner, which accepts an id only if the id has exactly one
//! meaning. So an upstream JSON reader that is more lenient, or that treats duplicates, escapes or
//! numbers differently, still sees the same users as the gateway.

use super::path::user_number;

/// The maximum number of ids in one batch.
pub(crate) const MAX_IDS: usize = 5_000;
/// The maximum size of a batch body in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 256 * 1024;

/// Why a body is not a valid list of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdsFault {
    /// The body has more than [`MAX_IDS`] ids.
    TooMany,
    /// The body is not a valid array of ids. The text is for the caller.
    Invalid(&'static str),
}

/// Parses a body and returns its ids in decimal, in the order of the body.
pub(crate) fn parse(body: &[u8]) -> Result<Vec<String>, IdsFault> {
    let numbers = Scanner { rest: body }.array()?;
    if has_duplicate(&numbers) {
        return Err(IdsFault::Invalid("the body names a user twice"));
    }
    Ok(numbers.iter().map(u64::to_string).collect())
}

/// Whether the raw value of the query parameter `ids` names exactly these ids, in any order. The
/// value is a list separated by commas, with each id spelled as in a path. A list that names an id
/// twice does not match.
pub(crate) fn query_names_the_same(value: &str, ids: &[String]) -> bool {
    if value.bytes().filter(|byte| *byte == b',').count() + 1 != ids.len() {
        return false;
    }
    let named: Option<Vec<u64>> = value
        .split(',')
        .map(|id| user_number(id.as_bytes()))
        .collect();
    let wanted: Option<Vec<u64>> = ids.iter().map(|id| user_number(id.as_bytes())).collect();
    let (Some(mut named), Some(mut wanted)) = (named, wanted) else {
        return false;
    };
    named.sort_unstable();
    wanted.sort_unstable();
    named == wanted
}

fn has_duplicate(numbers: &[u64]) -> bool {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair.first() == pair.last())
}

const NO_ARRAY: IdsFault = IdsFault::Invalid("the body is not a JSON array of user ids");
const NO_ID: IdsFault = IdsFault::Invalid(
    "the body has an element that is not a user id: each is an integer from 1 to 9223372036854775807, \
     as a number of digits only or as a string, without leading zero",
);

/// Reads a body step by step. Each step takes bytes from the front of `rest`, the unread part.
struct Scanner<'b> {
    rest: &'b [u8],
}

impl Scanner<'_> {
    fn array(mut self) -> Result<Vec<u64>, IdsFault> {
        match self.rest {
            [] => {
                return Err(IdsFault::Invalid(
                    "the body is empty: an array of user ids is needed",
                ));
            }
            [0xef, 0xbb, 0xbf, ..] => {
                return Err(IdsFault::Invalid("the body begins with a byte-order mark"));
            }
            _ => self.take(b'[').ok_or(NO_ARRAY)?,
        }
        if self.take(b']').is_some() {
            return Err(IdsFault::Invalid("the body names no user"));
        }
        let mut numbers = Vec::new();
        loop {
            if numbers.len() == MAX_IDS {
                return Err(IdsFault::TooMany);
            }
            numbers.push(self.id()?);
            if self.take(b',').is_none() {
                break;
            }
        }
        self.take(b']').ok_or(NO_ARRAY)?;
        self.skip_space();
        match self.rest {
            [] => Ok(numbers),
            _ => Err(IdsFault::Invalid("the body continues after the array")),
        }
    }

    /// Reads one id. The caller checks that a `,` or `]` follows.
    fn id(&mut self) -> Result<u64, IdsFault> {
        let quoted = self.take(b'"').is_some();
        // The longest id has 19 digits, so a 20th digit shows that the id is too long.
        let mut digits = [0_u8; 20];
        let mut length = 0;
        while let Some(digit) = self.digit(quoted) {
            *digits.get_mut(length).ok_or(NO_ID)? = digit;
            length += 1;
        }
        if quoted {
            let [b'"', rest @ ..] = self.rest else {
                return Err(NO_ID);
            };
            self.rest = rest;
        } else if matches!(self.rest, [b'.' | b'e' | b'E' | b'"', ..]) {
            return Err(NO_ID);
        }
        user_number(digits.get(..length).unwrap_or_default()).ok_or(NO_ID)
    }

    /// Reads a digit. In a string, the escapes `\u0030` to `\u0039` are digits too; all other
    /// escapes are refused.
    fn digit(&mut self, quoted: bool) -> Option<u8> {
        let (digit, rest) = match self.rest {
            [b'\\', b'u', b'0', b'0', b'3', digit, rest @ ..] if quoted => (*digit, rest),
            [digit, rest @ ..] => (*digit, rest),
            [] => return None,
        };
        if !digit.is_ascii_digit() {
            return None;
        }
        self.rest = rest;
        Some(digit)
    }

    /// Skips white space, then takes the next byte if it is `byte`.
    fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        let (first, rest) = self.rest.split_first()?;
        (*first == byte).then(|| self.rest = rest)
    }

    /// Skips JSON white space (RFC 8259 §2).
    fn skip_space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }
}

#[cfg(test)]
mod tests;
