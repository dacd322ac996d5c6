//! Composes the entries of a read-back: one, or as many as its users need.

use super::{body, cut_text};
use crate::audit::entry::{Cuts, Kind, MAX_BYTES, Reconciled, UserFound};

/// The most that `time`, `part` and `parts` add to an entry.
const FRAME_BYTES: usize = 160;
/// The most that a cut text adds to an entry in `cut`: its field's name, length and digest.
const CUT_BYTES: usize = 160;

/// Cuts the texts from upstream and splits the users into as many parts as they need. `whole` holds
/// all users; this function sets `part`, `parts` and `cut`.
pub(crate) fn reconciled(mut whole: Reconciled) -> Vec<Reconciled> {
    let users = std::mem::take(&mut whole.users);
    let mut cuts = Cuts::new();
    cut_text("request_id", &mut whole.request_id, &mut cuts);
    cut_text("host", &mut whole.host, &mut cuts);
    if let Some(revision) = &mut whole.revision {
        cut_text("revision", revision, &mut cuts);
    }
    whole.cut = cuts;
    let frame = body(&Kind::Reconciled(whole.clone())).len() + FRAME_BYTES;
    let room = MAX_BYTES.saturating_sub(frame);
    let mut parts: Vec<Reconciled> = Vec::new();
    let mut used = usize::MAX;
    for mut user in users {
        let mut cuts = Cuts::new();
        cut_row(&mut user, &mut cuts);
        let bytes = serde_json::to_vec(&user).map_or(0, |row| row.len() + 1);
        let bytes = bytes + cuts.len() * CUT_BYTES;
        if used.saturating_add(bytes) > room {
            parts.push(whole.clone());
            used = 0;
        }
        used += bytes;
        if let Some(part) = parts.last_mut() {
            let at = part.users.len();
            let named = |(field, cut)| (format!("users.{at}.{field}"), cut);
            part.cut.extend(cuts.into_iter().map(named));
            part.users.push(user);
        }
    }
    number(parts)
}

fn cut_row(user: &mut UserFound, cuts: &mut Cuts) {
    cut_text("user", &mut user.user, cuts);
    if let Some(revision) = &mut user.revision {
        cut_text("revision", revision, cuts);
    }
}

fn number(mut parts: Vec<Reconciled>) -> Vec<Reconciled> {
    let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    if count > 1 {
        for (part, number) in parts.iter_mut().zip(1..) {
            (part.part, part.parts) = (Some(number), Some(count));
        }
    }
    parts
}

#[cfg(test)]
pub(crate) fn test_reconciled(intent: u64, users: usize) -> Reconciled {
    use crate::audit::entry::{Actor, Found};
    let user = |number| UserFound {
        user: format!("{}", 1_000_000_000_000_000_000_u64 + number),
        result: Found::Deleted,
        status: Some(404),
        revision: Some("12".into()),
    };
    Reconciled {
        intent,
        request_id: "r".into(),
        result: Found::Deleted,
        status: Some(404),
        revision: Some("12".into()),
        host: "upstream.test".into(),
        users: (0..users as u64).map(user).collect(),
        actor: Actor { uid: 0 },
        reason: "asked".into(),
        part: None,
        parts: None,
        cut: Cuts::new(),
    }
}

/// The outcome entry of an intent.
#[cfg(test)]
pub(crate) fn test_closing(
    intent: u64,
    outcome: crate::audit::entry::Verdict,
    sent: crate::audit::entry::Sent,
) -> Kind {
    use crate::audit::entry::{Ending, Outcome};
    Kind::Outcome(Outcome {
        intent,
        leaves: vec![],
        request_id: "r".into(),
        ending: Ending {
            outcome,
            sent,
            ..crate::audit::entry::not_sent()
        },
        cut: Cuts::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::entry::compose::stamp;
    use crate::clock::Time;

    fn stamped(part: &Reconciled) -> usize {
        stamp(
            &Time(i64::MAX / 4).to_string(),
            &body(&Kind::Reconciled(part.clone())),
        )
        .len()
    }

    #[test]
    fn one_user_is_one_entry() {
        let parts = reconciled(test_reconciled(4, 1));
        assert_eq!(parts, vec![test_reconciled(4, 1)]);
    }

    #[test]
    fn the_largest_batch_is_split_and_no_user_is_lost() {
        let whole = test_reconciled(4, 5_000);
        let parts = reconciled(whole.clone());
        assert!(parts.len() > 1 && parts.iter().all(|p| stamped(p) <= MAX_BYTES));
        let count = u32::try_from(parts.len()).unwrap();
        let numbers: Vec<_> = parts.iter().map(|p| (p.part, p.parts)).collect();
        let wanted: Vec<_> = (1..=count).map(|n| (Some(n), Some(count))).collect();
        assert_eq!(numbers, wanted);
        let users: Vec<_> = parts.into_iter().flat_map(|p| p.users).collect();
        assert_eq!(users, whole.users);
    }

    #[test]
    fn hostile_revisions_are_cut_and_fit() {
        let mut whole = test_reconciled(4, 1_000);
        whole.revision = Some("\u{1}".repeat(5_000));
        for user in &mut whole.users {
            user.revision.clone_from(&whole.revision);
        }
        let parts = reconciled(whole);
        assert!(parts.iter().all(|p| stamped(p) <= MAX_BYTES));
        assert_eq!(parts[0].cut["users.0.revision"].bytes, 5_000);
        assert_eq!(parts[0].users[0].revision.as_ref().unwrap().len(), 256);
    }
}
