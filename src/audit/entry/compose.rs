//! Makes entries fit their limits: cuts long texts, and splits large batch deletions and their
//! read-backs.

use super::{
    Cut, Cuts, Ending, Intent, Kind, MAX_BYTES, MAX_REFUSED_USERS, MAX_TEXT_BYTES, Reconciled,
    Refused, UserFound,
};
use crate::audit::log::hex;
use crate::audit::log::merkle::sha256;

/// The maximum number of bytes that `time`, `group`, `part` and `parts` add to an entry, without the
/// value of `group`.
const FRAME_BYTES: usize = 160;
/// The maximum number of bytes that one cut text adds to `cut`: the field's name, the length and the
/// digest.
const CUT_BYTES: usize = 160;

/// Cuts a text to [`MAX_TEXT_BYTES`] at a character boundary. Adds the length and the digest of the whole
/// text to `cuts`.
pub(crate) fn cut_text(field: &str, text: &mut String, cuts: &mut Cuts) {
    if text.len() <= MAX_TEXT_BYTES {
        return;
    }
    let whole = Cut {
        bytes: text.len() as u64,
        sha256: hex(&sha256(text.as_bytes())),
    };
    cuts.insert(field.to_owned(), whole);
    text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
}

/// Cuts the texts of an intent, and splits the intent into as many parts as its users need.
pub(crate) fn intents(mut intent: Intent) -> Vec<Intent> {
    let mut cuts = std::mem::take(&mut intent.cut);
    cut_text("request_id", &mut intent.request_id, &mut cuts);
    cut_text("account", &mut intent.account, &mut cuts);
    cut_text("operation", &mut intent.operation, &mut cuts);
    cut_text("token_id", &mut intent.token_id, &mut cuts);
    cut_text("domain", &mut intent.domain, &mut cuts);
    cut_text("caller.issuer", &mut intent.caller.issuer, &mut cuts);
    cut_text("caller.subject", &mut intent.caller.subject, &mut cuts);
    cut_option("caller.client", &mut intent.caller.client, &mut cuts);
    cut_option("if_match", &mut intent.if_match, &mut cuts);
    cut_option("rule", &mut intent.rule, &mut cuts);
    let mut users = std::mem::take(&mut intent.users);
    for (at, user) in users.iter_mut().enumerate() {
        cut_text(&format!("users.{at}"), user, &mut cuts);
    }
    intent.cut = cuts;
    // After the cuts, an entry always has room for one user.
    if users.len() <= 1 {
        intent.users = users;
        return vec![intent];
    }
    let frame =
        body(&Kind::Intent(intent.clone())).len() + FRAME_BYTES + intent.request_id.len() * 6;
    let users = users.into_iter().map(|user| {
        // A valid user id is a decimal number. In any other text, escapes may make the JSON six times
        // longer.
        let plain = user.bytes().all(|b| b.is_ascii_alphanumeric());
        let bytes = if plain { user.len() } else { user.len() * 6 } + 3;
        (user, bytes)
    });
    let lists = split(users, frame);
    let parts = part_count(&lists);
    let part = |(users, part)| Intent {
        users,
        group: parts.map(|_| intent.request_id.clone()),
        part: parts.map(|_| part),
        parts,
        ..intent.clone()
    };
    lists.into_iter().zip(1..).map(part).collect()
}

/// Cuts the texts of a read-back, and splits the read-back into as many parts as its users need. `whole`
/// holds all users. This function sets `part`, `parts` and `cut`.
pub(crate) fn reconciled(mut whole: Reconciled) -> Vec<Reconciled> {
    let users = std::mem::take(&mut whole.users);
    let mut cuts = Cuts::new();
    cut_text("request_id", &mut whole.request_id, &mut cuts);
    cut_text("host", &mut whole.host, &mut cuts);
    cut_option("revision", &mut whole.revision, &mut cuts);
    whole.cut = cuts;
    let frame = body(&Kind::Reconciled(whole.clone())).len() + FRAME_BYTES;
    let users = users.into_iter().map(|mut user| {
        let mut cuts = Cuts::new();
        cut_text("user", &mut user.user, &mut cuts);
        cut_option("revision", &mut user.revision, &mut cuts);
        let bytes = serde_json::to_vec(&user).map_or(0, |row| row.len() + 1);
        let bytes = bytes + cuts.len() * CUT_BYTES;
        ((user, cuts), bytes)
    });
    let lists = split(users, frame);
    let parts = part_count(&lists);
    let part = |(users, number): (Vec<(UserFound, Cuts)>, u32)| {
        let mut part = whole.clone();
        part.part = parts.map(|_| number);
        part.parts = parts;
        for (at, (user, cuts)) in users.into_iter().enumerate() {
            let named = |(field, cut)| (format!("users.{at}.{field}"), cut);
            part.cut.extend(cuts.into_iter().map(named));
            part.users.push(user);
        }
        part
    };
    lists.into_iter().zip(1..).map(part).collect()
}

pub(crate) fn refused(refused: &mut Refused) {
    refused.user_count = refused.user_count.max(refused.users.len() as u64);
    refused.users.truncate(MAX_REFUSED_USERS);
    let mut cuts = std::mem::take(&mut refused.cut);
    for (at, user) in refused.users.iter_mut().enumerate() {
        cut_text(&format!("users.{at}"), user, &mut cuts);
    }
    cut_text("request_id", &mut refused.request_id, &mut cuts);
    cut_text("account", &mut refused.account, &mut cuts);
    cut_text("operation", &mut refused.operation, &mut cuts);
    cut_text("token_id", &mut refused.token_id, &mut cuts);
    cut_text("caller.issuer", &mut refused.caller.issuer, &mut cuts);
    cut_text("caller.subject", &mut refused.caller.subject, &mut cuts);
    cut_option("caller.client", &mut refused.caller.client, &mut cuts);
    cut_option("if_match", &mut refused.if_match, &mut cuts);
    cut_option("domain", &mut refused.domain, &mut cuts);
    cut_option("rule", &mut refused.rule, &mut cuts);
    refused.cut = cuts;
}

pub(crate) fn ending(ending: &mut Ending) -> Cuts {
    let mut cuts = Cuts::new();
    cut_option("revision", &mut ending.revision, &mut cuts);
    cuts
}

/// The JSON of an entry without its time. If this module has cut the texts, the JSON with the time is at
/// most [`MAX_BYTES`] long.
pub(crate) fn body(kind: &Kind) -> Vec<u8> {
    // This cannot fail: strings, numbers and maps with string keys always have a JSON form.
    serde_json::to_vec(kind).unwrap_or_default()
}

/// Combines a time and a body into the bytes of an entry. `time` has the form that
/// [`Time`](crate::clock::Time) displays. The result equals that of
/// [`Entry::to_bytes`](super::Entry::to_bytes).
pub(crate) fn stamp(time: &str, body: &[u8]) -> Vec<u8> {
    let fields = body.get(1..).unwrap_or_default();
    [b"{\"time\":\"", time.as_bytes(), b"\",", fields].concat()
}

/// Distributes items over as many entries as they need. Each item comes with its length in bytes. An
/// entry without items is `frame` bytes long.
fn split<T>(items: impl Iterator<Item = (T, usize)>, frame: usize) -> Vec<Vec<T>> {
    let room = MAX_BYTES.saturating_sub(frame);
    let mut lists: Vec<Vec<T>> = Vec::new();
    let mut used = usize::MAX;
    for (item, bytes) in items {
        if used.saturating_add(bytes) > room {
            lists.push(Vec::new());
            used = 0;
        }
        used += bytes;
        if let Some(list) = lists.last_mut() {
            list.push(item);
        }
    }
    lists
}

/// The number of parts; `None` if there is only one.
fn part_count<T>(lists: &[Vec<T>]) -> Option<u32> {
    (lists.len() > 1).then(|| u32::try_from(lists.len()).unwrap_or(u32::MAX))
}

fn cut_option(field: &str, text: &mut Option<String>, cuts: &mut Cuts) {
    if let Some(text) = text {
        cut_text(field, text, cuts);
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::{intent as test_intent, test_closing, test_reconciled};
