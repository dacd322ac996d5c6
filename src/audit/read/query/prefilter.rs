//! Drops entries that a query cannot need, from their bytes alone. The query decodes and checks all
//! others.

use memchr::memmem;

use super::Filter;
use crate::audit::entry::{Needle, Spelled};
use crate::clock::Time;

/// An entry that a query may need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Candidate {
    /// An intent or a refusal that the filter may admit, or an entry that needs the decoder.
    Named(u64, Vec<u8>),
    /// The closing entry of an intent.
    Closing {
        /// The entry's index.
        index: u64,
        /// The intent's index.
        intent: u64,
        /// The entry's bytes.
        bytes: Vec<u8>,
    },
}

/// Made from a filter.
#[derive(Debug)]
pub(super) struct Prefilter {
    needles: Vec<Needle>,
    since: Option<String>,
    until: Option<String>,
}

impl Prefilter {
    pub(super) fn of(filter: &Filter) -> Self {
        let texts = [
            &filter.account,
            &filter.user,
            &filter.caller,
            &filter.operation,
            &filter.code,
        ];
        let needles = texts.into_iter().flatten();
        Self {
            needles: needles.map(|text| Needle::string(text)).collect(),
            since: filter.since.map(|time: Time| time.to_string()),
            until: filter.until.map(|time: Time| time.to_string()),
        }
    }

    /// The entries that the query may need; the first of `entries` has the index `first`.
    pub(super) fn candidates(&self, first: u64, entries: &[&[u8]]) -> Vec<Candidate> {
        let entries = (first..).zip(entries);
        entries
            .filter_map(|(index, bytes)| self.candidate(index, bytes))
            .collect()
    }

    /// The entry, if the query may need it.
    pub(super) fn candidate(&self, index: u64, bytes: &[u8]) -> Option<Candidate> {
        let named = || Some(Candidate::Named(index, bytes.to_vec()));
        let Some(spelled) = Spelled::of(bytes) else {
            return named();
        };
        match (spelled.kind, spelled.intent()) {
            (b"outcome", Some(intent)) => Some(Candidate::Closing {
                index,
                intent,
                bytes: bytes.to_vec(),
            }),
            (b"outcome", None) => named(),
            (b"intent" | b"refused", _) if self.may_be_wanted(spelled.time, bytes) => named(),
            _ => None,
        }
    }

    fn may_be_wanted(&self, time: &[u8], bytes: &[u8]) -> bool {
        let is_in_time = self.since.as_ref().is_none_or(|t| time >= t.as_bytes())
            && self.until.as_ref().is_none_or(|t| time < t.as_bytes());
        // Each part of a split deletion has only some of the users, so all parts are needed.
        (is_in_time && self.needles.iter().all(|needle| needle.may_be_in(bytes)))
            || memmem::find(bytes, b"\"group\":").is_some()
    }
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
        Prefilter::of(&filter).candidate(9, &bytes(kind)).is_some()
    }

    #[test]
    fn entries_that_no_query_can_need_are_dropped() {
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
        let prefilter = Prefilter::of(&Filter {
            user: Some("1".into()),
            ..Filter::default()
        });
        let (index, intent) = (9, 7);
        let taken = prefilter.candidate(index, &bytes);
        assert_eq!(
            taken,
            Some(Candidate::Closing {
                index,
                intent,
                bytes
            })
        );
    }

    #[test]
    fn entries_that_need_the_decoder_are_passed_on() {
        let user = |f: &mut Filter| f.user = Some("1".into());
        assert!(takes(user, Kind::Intent(part("a", &["2"], 2, 2))));
        let mut escaped = intent("a", &["2"]);
        escaped.caller.subject = "quote \" here".into();
        assert!(takes(user, Kind::Intent(escaped)));
        let prefilter = Prefilter::of(&Filter::default());
        for odd in [&b"{}"[..], b"", b"{\"kind\":\"alive\"}", b"\xff"] {
            assert_eq!(
                prefilter.candidate(3, odd),
                Some(Candidate::Named(3, odd.to_vec()))
            );
        }
    }
}
