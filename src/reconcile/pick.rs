//! Selects the deletions that a request asks to read back.

use crate::audit::read::query::Pending;
use crate::control::protocol::Reconcile;

/// Selects the deletions to read back. `all` holds every deletion in doubt, oldest first; the result keeps
/// this order. If the request names deletions, selects those, even if they were read back before. Otherwise,
/// selects every deletion that has no read-back yet. In both cases, selects only deletions after
/// `request.after`.
pub(super) fn pick(all: Vec<Pending>, request: &Reconcile) -> Result<Vec<Pending>, String> {
    let names = &request.deletions;
    if let Some(stranger) = names
        .iter()
        .find(|name| !all.iter().any(|pending| is_called(pending, name)))
    {
        return Err(format!(
            "no deletion in doubt has the index or request id {stranger:?}: see `lychgate audit unresolved`"
        ));
    }
    let is_meant = |pending: &Pending| match names.is_empty() {
        true => pending.deletion.reconciled.is_none(),
        false => names.iter().any(|name| is_called(pending, name)),
    };
    let is_after = |pending: &Pending| {
        let after = request.after;
        after.is_none_or(|after| pending.deletion.index > after)
    };
    let meant = all.into_iter().filter(|p| is_meant(p) && is_after(p));
    Ok(meant.collect())
}

fn is_called(pending: &Pending, name: &str) -> bool {
    let deletion = &pending.deletion;
    let number = name.parse::<u64>().ok();
    name == deletion.request_id
        || number.is_some_and(|n| n == deletion.index || Some(n) == deletion.closing_index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::entry::{Actor, Found};
    use crate::audit::read::query::tests::intent;
    use crate::audit::read::query::{Deletion, ReadBack};
    use crate::clock::Time;

    fn pending(index: u64, request_id: &str, read_back: bool) -> Pending {
        let intent = intent(request_id, &["1"]);
        let mut deletion = Deletion::of_intent(index, String::new(), intent);
        deletion.closing_index = Some(index + 1);
        deletion.reconciled = read_back.then_some(ReadBack {
            result: Found::CannotTell,
            index: 90,
            actor: Actor { uid: 0 },
        });
        let closed = Time(0);
        Pending { deletion, closed }
    }

    fn picked(names: &[&str], after: Option<u64>) -> Result<Vec<u64>, String> {
        let all = vec![
            pending(1, "a", false),
            pending(4, "b", true),
            pending(8, "c", false),
        ];
        let request = Reconcile {
            reason: "asked".into(),
            now: false,
            deletions: names.iter().map(ToString::to_string).collect(),
            after,
        };
        let meant = pick(all, &request)?;
        Ok(meant.iter().map(|p| p.deletion.index).collect())
    }

    #[test]
    fn without_names_all_unresolved_deletions_are_picked() {
        assert_eq!(picked(&[], None), Ok(vec![1, 8]));
        assert_eq!(picked(&[], Some(1)), Ok(vec![8]));
    }

    #[test]
    fn a_named_deletion_is_picked_again_but_only_once() {
        assert_eq!(picked(&["b"], None), Ok(vec![4]));
        assert_eq!(picked(&["8", "a", "9", "1"], None), Ok(vec![1, 8]));
    }

    #[test]
    fn an_unknown_name_is_refused_and_escaped() {
        let why = picked(&["1", "\u{1b}[0m"], None).unwrap_err();
        assert!(why.contains(r"\u{1b}") && !why.contains('\u{1b}'), "{why}");
    }
}
