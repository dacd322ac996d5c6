//! Reads a few facts from an entry's bytes for a search, because decoding all of a large log would
//! take too long.

use memchr::memchr;
use memchr::memmem::Finder;

/// The start of an entry in the writer's usual spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spelled<'e> {
    /// `time`, always in the same spelling, so that the bytes sort as the times do.
    pub(crate) time: &'e [u8],
    pub(crate) kind: &'e [u8],
    rest: &'e [u8],
}

impl<'e> Spelled<'e> {
    /// Looks at the first bytes. `None` if they have another spelling: then only the decoder can
    /// read the entry.
    pub(crate) fn of(bytes: &'e [u8]) -> Option<Self> {
        const TIME: &[u8] = b"{\"time\":\"";
        const KIND: &[u8] = b"\",\"kind\":\"";
        const TIME_BYTES: usize = "2026-11-24T12:00:00.000000Z".len();
        let (time, rest) = bytes.strip_prefix(TIME)?.split_at_checked(TIME_BYTES)?;
        let rest = rest.strip_prefix(KIND).filter(|_| time.ends_with(b"Z"))?;
        let end = memchr(b'"', rest)?;
        Some(Self {
            time,
            kind: rest.get(..end)?,
            rest: rest.get(end + 1..)?,
        })
    }

    /// The intent that an outcome closes or a read-back names; the writer puts it first.
    pub(crate) fn intent(&self) -> Option<u64> {
        let rest = self.rest.strip_prefix(b",\"intent\":")?;
        let digits = rest.get(..memchr(b',', rest)?)?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }
}

/// A search for a JSON string in entries.
#[derive(Clone, Debug)]
pub(crate) struct Needle(Finder<'static>);

impl Needle {
    pub(crate) fn string(text: &str) -> Self {
        // A string always has a JSON form.
        let spelled = serde_json::to_vec(text).unwrap_or_default();
        Self(Finder::new(&spelled).into_owned())
    }

    /// Whether the entry may contain the string. An entry without a backslash contains each of its
    /// strings literally.
    pub(crate) fn may_be_in(&self, bytes: &[u8]) -> bool {
        self.0.find(bytes).is_some() || memchr(b'\\', bytes).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_kind_and_intent_are_read_from_the_first_bytes() {
        let bytes = br#"{"time":"2026-11-24T12:00:00.000000Z","kind":"outcome","intent":7,"x":1}"#;
        let spelled = Spelled::of(bytes).unwrap();
        assert_eq!(spelled.time, b"2026-11-24T12:00:00.000000Z");
        assert_eq!((spelled.kind, spelled.intent()), (&b"outcome"[..], Some(7)));
        for odd in [&b"{}"[..], b"", b"{\"kind\":\"alive\"}", b"\xff"] {
            assert_eq!(Spelled::of(odd), None);
        }
    }

    #[test]
    fn a_string_may_be_in_an_entry_that_holds_it_or_escapes() {
        let needle = Needle::string("4711");
        assert!(needle.may_be_in(br#"{"users":["4711"]}"#));
        assert!(!needle.may_be_in(br#"{"users":["47110"]}"#));
        assert!(needle.may_be_in(br#"{"caller":"quote \" here"}"#));
    }
}
