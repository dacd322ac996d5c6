//! Selects deletions by their fields. Selects entries by their bytes, before decoding.

use std::ops::ControlFlow;

use memchr::memmem;

use super::{Deletion, Progress};
use crate::audit::entry::{Entry, EntryHead, Needle, Spelled};
use crate::audit::read::{Log, Missing, MissingRange, Raw};
use crate::clock::Time;

/// The conditions that a deletion must meet. A condition that is `None` admits any deletion.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) account: Option<String>,
    /// A user that the deletion names.
    pub(crate) user: Option<String>,
    /// The caller's subject, client or issuer.
    pub(crate) caller: Option<String>,
    pub(crate) operation: Option<String>,
    /// The code of the refusal.
    pub(crate) code: Option<String>,
    pub(crate) result: Option<Progress>,
    /// Admits deletions that were requested at this time or later.
    pub(crate) since: Option<Time>,
    /// Admits deletions that were requested before this time.
    pub(crate) until: Option<Time>,
}

impl Filter {
    pub(crate) fn admits(&self, deletion: &Deletion) -> bool {
        let same = |wanted: &Option<String>, has: &str| wanted.as_deref().is_none_or(|w| w == has);
        let caller = &deletion.caller;
        let is_caller = |name: &String| {
            caller.subject == *name
                || caller.client.as_ref() == Some(name)
                || caller.issuer == *name
        };
        same(&self.account, &deletion.account)
            && same(&self.operation, &deletion.operation)
            && (self.code.is_none() || self.code == deletion.code)
            && self
                .user
                .as_ref()
                .is_none_or(|user| deletion.users.contains(user))
            && self.caller.as_ref().is_none_or(is_caller)
            && self.result.is_none_or(|result| deletion.outcome == result)
            && self.is_in_time(deletion)
    }

    /// Whether the deletion meets `since` and `until`. If one of them is set, a deletion with an
    /// invalid time fails the test.
    fn is_in_time(&self, deletion: &Deletion) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        Time::parse(&deletion.time).is_some_and(|time| {
            self.since.is_none_or(|since| time >= since)
                && self.until.is_none_or(|until| time < until)
        })
    }

    /// Returns a test of an entry's bytes. The test returns `false` only if a query with this filter
    /// cannot need the entry.
    pub(super) fn prefilter(&self) -> impl Fn(u64, &[u8]) -> bool + Sync + use<> {
        let texts = [
            &self.account,
            &self.user,
            &self.caller,
            &self.operation,
            &self.code,
        ];
        let needles = texts.into_iter().flatten();
        let needles: Vec<_> = needles.map(|text| Needle::string(text)).collect();
        let since = self.since.map(|time| time.to_string());
        let until = self.until.map(|time| time.to_string());
        move |_, bytes| {
            let Some(Spelled { time, kind, .. }) = Spelled::of(bytes) else {
                return true;
            };
            let is_in_time = since.as_ref().is_none_or(|t| time >= t.as_bytes())
                && until.as_ref().is_none_or(|t| time < t.as_bytes());
            match kind {
                b"outcome" => true,
                // Each part of a split deletion has only some of the users, so all parts are
                // needed.
                b"intent" | b"refused" => {
                    (is_in_time && needles.iter().all(|needle| needle.may_be_in(bytes)))
                        || memmem::find(bytes, b"\"group\":").is_some()
                }
                _ => false,
            }
        }
    }
}

/// Decodes the entries whose bytes meet `passes`, from index `from` on, and passes them to `each`.
/// Stops if `each` fails. Returns the index after the log's last entry, and the ranges that could not
/// be read.
pub(super) fn each_entry<E>(
    log: &mut Log,
    from: u64,
    passes: impl Fn(u64, &[u8]) -> bool + Sync,
    mut each: impl FnMut(u64, Entry) -> Result<(), E>,
) -> Result<(u64, Missing), E> {
    let mut missing = Missing::default();
    let ended = log.scan_from(from, passes, |found| {
        match found.and_then(|raw| Ok((raw.index, raw.decode()?))) {
            Ok((index, entry)) => until_error(each(index, entry)),
            Err(range) => {
                missing.add(range);
                ControlFlow::Continue(())
            }
        }
    });
    match ended {
        ControlFlow::Continue(end) => Ok((end, missing)),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Converts the result of a step of a scan: an error ends the scan.
pub(super) fn until_error<E>(result: Result<(), E>) -> ControlFlow<E> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

/// Passes the entries of one deletion to `each`, in order, until `each` breaks. `first` is the index of
/// the deletion's (first) intent; reads nothing before that index. Returns the value of the break, and
/// the ranges that could not be read.
pub(crate) fn entries_of<B>(
    log: &mut Log,
    first: u64,
    each: impl FnMut(Raw) -> ControlFlow<B>,
) -> (Option<B>, Missing) {
    let is_of_it = |index, bytes: &[u8]| {
        may_be_of(first, index, bytes)
            && EntryHead::decode(bytes)
                .is_ok_and(|head| head.summary.deletion(index) == Some(first))
    };
    until_break(log, first, is_of_it, each)
}

fn until_break<B>(
    log: &mut Log,
    from: u64,
    passes: impl Fn(u64, &[u8]) -> bool + Sync,
    mut each: impl FnMut(Raw) -> ControlFlow<B>,
) -> (Option<B>, Missing) {
    let mut missing = Missing::default();
    let ended = log.scan_from(from, passes, |found| match found {
        Ok(raw) => each(raw),
        Err(range) => {
            missing.add(range);
            ControlFlow::Continue(())
        }
    });
    (ended.break_value(), missing)
}

/// Whether an entry may belong to the deletion whose (first) intent is `first`. Looks only at the
/// bytes, which is much faster than decoding.
fn may_be_of(first: u64, index: u64, bytes: &[u8]) -> bool {
    let Some(spelled) = Spelled::of(bytes) else {
        return true;
    };
    match spelled.kind {
        b"intent" => index == first || memmem::find(bytes, b"\"part\":").is_some(),
        b"outcome" | b"reconciled" => spelled.intent().is_none_or(|intent| intent == first),
        _ => false,
    }
}

/// The first entry of a request. If no entry is found and a range is missing, fails, because that range
/// may hold the entry.
pub(crate) fn first_of(log: &mut Log, request_id: &str) -> Result<Option<Raw>, MissingRange> {
    let needle = Needle::string(request_id);
    let is_of_it = |_, bytes: &[u8]| {
        needle.may_be_in(bytes)
            && Entry::decode(bytes).is_ok_and(|entry| entry.request_id() == Some(request_id))
    };
    match until_break(log, 0, is_of_it, ControlFlow::Break) {
        (None, missing) => missing.hides_nothing().map(|()| None),
        (found, _) => Ok(found),
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
        filter.prefilter()(9, &bytes(kind))
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
    fn a_closing_entry_is_passed_on() {
        let closing = Kind::Outcome(outcome(7, "a", vec!["leaf".into()]));
        assert!(takes(|f| f.user = Some("1".into()), closing));
    }

    #[test]
    fn entries_that_need_the_decoder_are_passed_on() {
        let user = |f: &mut Filter| f.user = Some("1".into());
        assert!(takes(user, Kind::Intent(part("a", &["2"], 2, 2))));
        let mut escaped = intent("a", &["2"]);
        escaped.caller.subject = "quote \" here".into();
        assert!(takes(user, Kind::Intent(escaped)));
        let passes = Filter::default().prefilter();
        for odd in [&b"{}"[..], b"", b"{\"kind\":\"alive\"}", b"\xff"] {
            assert!(passes(3, odd));
        }
    }
}
