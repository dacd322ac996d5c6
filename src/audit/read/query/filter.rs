//! Selects deletions: by their fields, and before that entries by their bytes alone.

use memchr::memmem;

use super::{Deletion, Progress, Raw};
use crate::audit::entry::{Needle, Spelled};
use crate::clock::Time;

/// The conditions that a deletion must meet, all at once; `None` admits any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) account: Option<String>,
    /// A user that the deletion names.
    pub(crate) user: Option<String>,
    /// The caller's subject, client or issuer.
    pub(crate) caller: Option<String>,
    pub(crate) operation: Option<String>,
    /// The code of its refusal.
    pub(crate) code: Option<String>,
    pub(crate) result: Option<Progress>,
    /// Asked at this time or later.
    pub(crate) since: Option<Time>,
    /// Asked before this time.
    pub(crate) until: Option<Time>,
}

impl Filter {
    /// Whether a deletion is wanted.
    pub(crate) fn admits(&self, deletion: &Deletion) -> bool {
        let same = |wanted: &Option<String>, has: &str| wanted.as_deref().is_none_or(|w| w == has);
        same(&self.account, &deletion.account)
            && same(&self.operation, &deletion.operation)
            && (self.code.is_none() || self.code == deletion.code)
            && self
                .user
                .as_ref()
                .is_none_or(|user| deletion.users.contains(user))
            && self
                .caller
                .as_deref()
                .is_none_or(|caller| is_caller(deletion, caller))
            && self.result.is_none_or(|result| deletion.outcome == result)
            && self.is_in_time(deletion)
    }

    /// A deletion with an invalid time is in no range.
    fn is_in_time(&self, deletion: &Deletion) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        Time::parse(&deletion.time).is_some_and(|time| {
            self.since.is_none_or(|since| time >= since)
                && self.until.is_none_or(|until| time < until)
        })
    }
}

fn is_caller(deletion: &Deletion, name: &str) -> bool {
    let caller = &deletion.caller;
    caller.subject == name || caller.client.as_deref() == Some(name) || caller.issuer == name
}

/// An entry that a query may need.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) entry: Raw,
    /// The intent that it closes; `None` for a kind or a spelling that needs the decoder.
    pub(super) closes: Option<u64>,
}

/// Drops entries that a query with a filter cannot need, from their bytes alone. The query decodes
/// and checks all others.
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
            since: filter.since.map(|time| time.to_string()),
            until: filter.until.map(|time| time.to_string()),
        }
    }

    /// The entry, if the query may need it.
    pub(super) fn candidate(&self, index: u64, bytes: &[u8]) -> Option<Candidate> {
        let closes = match Spelled::of(bytes) {
            None => None,
            Some(spelled) => match spelled.kind {
                b"outcome" => spelled.intent(),
                b"intent" | b"refused" if self.may_be_wanted(spelled.time, bytes) => None,
                _ => return None,
            },
        };
        let bytes = bytes.to_vec();
        let entry = Raw { index, bytes };
        Some(Candidate { entry, closes })
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
        let taken = prefilter.candidate(9, &bytes).unwrap();
        assert_eq!(taken.closes, Some(7));
        assert_eq!(taken.entry, Raw { index: 9, bytes });
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
            let taken = prefilter.candidate(3, odd).unwrap();
            assert_eq!((taken.closes, &taken.entry.bytes[..]), (None, odd));
        }
    }
}
