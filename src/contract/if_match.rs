//! Parses `If-Match` (RFC 9110 §13.1.1). The gateway accepts strong entity-tags, `*`, and the bare
//! revisions of the Users API (digits or `-1`). `layers::conform` decides which values each
//! operation allows.

/// The maximum length of an entity-tag in bytes, quotes included.
const MAX_TAG_BYTES: usize = 256;

/// A valid `If-Match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// A revision or an entity-tag, which upstream checks.
    Conditional,
    /// `-1` or `*`, quoted or not, which disables upstream's check.
    Unconditional,
}

/// Parses the value of `If-Match`: 1 to 19 digits, `-1`, `*`, or one strong entity-tag of at most
/// 256 bytes. The caller has checked that the request has exactly one `If-Match` header.
pub(crate) fn parse(value: &[u8]) -> Result<IfMatch, &'static str> {
    match value {
        b"" => Err("If-Match is empty: send the revision that upstream gave as `ac-revision`"),
        b"-1" | b"*" => Ok(IfMatch::Unconditional),
        [b'"', ..] => parse_tag(value),
        [b'W' | b'w', b'/', ..] => Err("If-Match is a weak entity-tag: a strong one is needed"),
        digits if digits.iter().all(u8::is_ascii_digit) => match digits.len() {
            1..=19 => Ok(IfMatch::Conditional),
            _ => Err("If-Match is a number of more than 19 digits"),
        },
        list if list.contains(&b',') => Err("If-Match is a list: exactly one value is taken"),
        _ => Err("If-Match is not a revision (digits), `-1`, `*` or a quoted entity-tag"),
    }
}

/// Parses one strong entity-tag (RFC 9110 §8.8.3). A tag cannot contain a quote, so a list of tags
/// never passes.
fn parse_tag(value: &[u8]) -> Result<IfMatch, &'static str> {
    if value.len() > MAX_TAG_BYTES {
        return Err("If-Match is an entity-tag of more than 256 bytes");
    }
    let [b'"', tag @ .., b'"'] = value else {
        return Err("If-Match has an entity-tag that is not closed");
    };
    match tag {
        // If upstream strips the quotes, it sees an empty value and checks nothing.
        b"" => Err("If-Match is an empty entity-tag"),
        tag if matches!(without_coding(tag), b"-1" | b"*") => Ok(IfMatch::Unconditional),
        tag if tag.iter().all(|byte| is_etagc(*byte)) => Ok(IfMatch::Conditional),
        _ => {
            Err("If-Match is not exactly one entity-tag: a list, or a character that none may have")
        }
    }
}

/// Removes the suffix that a server appends for a compressed response, such as `-gzip`. Some
/// servers drop this suffix before they compare the tag.
fn without_coding(tag: &[u8]) -> &[u8] {
    let codings: [&[u8]; 4] = [b"--gzip", b"-gzip", b";gzip", b"-br"];
    codings
        .iter()
        .find_map(|coding| tag.strip_suffix(*coding))
        .unwrap_or(tag)
}

const fn is_etagc(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)
}

#[cfg(test)]
mod tests;
