//! Which entries a query needs, told from their bytes: parsing all of a large trail would take too long.
//!
//! An entry without a backslash holds each of its strings as it is, so one that lacks the wanted text is
//! not wanted. What is passed on is parsed and judged; the sieve only drops what cannot be wanted.

use memchr::memchr;
use memchr::memmem::Finder;

use super::Filter;
use crate::clock::Time;

/// An entry that a query may need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sifted {
    /// An intent or a refusal that may be wanted, or something that only a parser can tell.
    Named(u64, Vec<u8>),
    /// What closes an intent.
    Closing {
        /// Its index.
        index: u64,
        /// The intent's.
        intent: u64,
        /// Its bytes.
        bytes: Vec<u8>,
    },
}

/// Made from a filter.
#[derive(Debug)]
pub(super) struct Sieve {
    needles: Vec<Finder<'static>>,
    since: Option<String>,
    until: Option<String>,
}

impl Sieve {
    pub(super) fn of(filter: &Filter) -> Self {
        let texts = [
            &filter.account,
            &filter.user,
            &filter.caller,
            &filter.operation,
            &filter.code,
        ];
        let needles = texts.into_iter().flatten().map(|text| {
            // A string always has a JSON form.
            let spelled = serde_json::to_vec(text).unwrap_or_default();
            Finder::new(&spelled).into_owned()
        });
        Self {
            needles: needles.collect(),
            since: filter.since.map(|time: Time| time.to_string()),
            until: filter.until.map(|time: Time| time.to_string()),
        }
    }

    /// What is needed of these entries, the first of which has this index.
    pub(super) fn sift<'e>(
        &self,
        first: u64,
        entries: impl IntoIterator<Item = &'e [u8]>,
    ) -> Vec<Sifted> {
        let entries = (first..).zip(entries);
        entries
            .filter_map(|(index, bytes)| self.take(index, bytes))
            .collect()
    }

    /// The entry, where it may be needed.
    pub(super) fn take(&self, index: u64, bytes: &[u8]) -> Option<Sifted> {
        let Some((time, kind, rest)) = head(bytes) else {
            return Some(Sifted::Named(index, bytes.to_vec()));
        };
        match kind {
            b"outcome" => Some(match intent_of(rest) {
                Some(intent) => Sifted::Closing {
                    index,
                    intent,
                    bytes: bytes.to_vec(),
                },
                None => Sifted::Named(index, bytes.to_vec()),
            }),
            b"intent" | b"refused" => self
                .may_be_wanted(time, bytes)
                .then(|| Sifted::Named(index, bytes.to_vec())),
            _ => None,
        }
    }

    fn may_be_wanted(&self, time: &[u8], bytes: &[u8]) -> bool {
        const GROUP: &[u8] = b"\"group\":";
        let names_all = || {
            self.needles
                .iter()
                .all(|needle| needle.find(bytes).is_some())
        };
        let in_time = self
            .since
            .as_ref()
            .is_none_or(|since| time >= since.as_bytes())
            && self
                .until
                .as_ref()
                .is_none_or(|until| time < until.as_bytes());
        // Parts of a split deletion name some of its users each.
        (in_time && names_all())
            || memchr(b'\\', bytes).is_some()
            || memchr::memmem::find(bytes, GROUP).is_some()
    }
}

/// Time, kind and what stands behind them, of an entry that begins as the writer's do.
fn head(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    const TIME: &[u8] = b"{\"time\":\"";
    const KIND: &[u8] = b"\",\"kind\":\"";
    const TIME_BYTES: usize = "2026-11-24T12:00:00.000000Z".len();
    let (time, rest) = bytes.strip_prefix(TIME)?.split_at_checked(TIME_BYTES)?;
    let rest = rest.strip_prefix(KIND).filter(|_| time.ends_with(b"Z"))?;
    let end = memchr(b'"', rest)?;
    Some((time, rest.get(..end)?, rest.get(end + 1..)?))
}

/// The intent that an outcome names, which its writer puts first.
fn intent_of(rest: &[u8]) -> Option<u64> {
    let rest = rest.strip_prefix(b",\"intent\":")?;
    let digits = rest.get(..memchr(b',', rest)?)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, entry, intent, outcome, part, refused};
    use super::*;
    use crate::audit::entry::Kind;

    fn bytes(kind: Kind) -> Vec<u8> {
        serde_json::to_vec(&entry(1, kind)).unwrap()
    }

    fn takes(set: impl FnOnce(&mut Filter), kind: Kind) -> bool {
        let mut filter = Filter::default();
        set(&mut filter);
        Sieve::of(&filter).take(9, &bytes(kind)).is_some()
    }

    #[test]
    fn what_cannot_be_wanted_is_dropped_unparsed() {
        let kind = || Kind::Intent(intent("a", &["4711"]));
        assert!(takes(|f| f.user = Some("4711".into()), kind()));
        assert!(!takes(|f| f.user = Some("471".into()), kind()));
        assert!(!takes(|f| f.account = Some("1".into()), kind()));
        assert!(!takes(|f| f.since = Time::parse(&at(2)), kind()));
        assert!(!takes(|f| f.until = Some(Time(0)), kind()));
        assert!(takes(|f| f.since = Time::parse(&at(1)), kind()));
        let refusal = || Kind::Refused(refused("a", "scope-missing"));
        assert!(takes(|f| f.code = Some("scope-missing".into()), refusal()));
        assert!(!takes(|f| f.code = Some("scope".into()), refusal()));
        assert!(!takes(|_| {}, Kind::Alive {}));
    }

    #[test]
    fn a_closing_entry_is_passed_with_the_intent_it_names() {
        let bytes = bytes(Kind::Outcome(outcome(7, "a", vec!["leaf".into()])));
        let sieve = Sieve::of(&Filter {
            user: Some("1".into()),
            ..Filter::default()
        });
        let (index, intent) = (9, 7);
        let taken = sieve.take(index, &bytes);
        assert_eq!(
            taken,
            Some(Sifted::Closing {
                index,
                intent,
                bytes
            })
        );
    }

    #[test]
    fn what_only_a_parser_can_tell_is_passed_on() {
        let user = |f: &mut Filter| f.user = Some("1".into());
        assert!(takes(user, Kind::Intent(part("a", &["2"], 2, 2))));
        let mut escaped = intent("a", &["2"]);
        escaped.caller.subject = "quote \" here".into();
        assert!(takes(user, Kind::Intent(escaped)));
        let sieve = Sieve::of(&Filter::default());
        for odd in [&b"{}"[..], b"", b"{\"kind\":\"alive\"}", b"\xff"] {
            assert_eq!(sieve.take(3, odd), Some(Sifted::Named(3, odd.to_vec())));
        }
    }
}
