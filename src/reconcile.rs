//! Resolves deletions in doubt: asks the origin to which the gateway sent a deletion whether each
//! user of the deletion still exists.
//!
//! A deletion is in doubt if its outcome is `unknown`, or if its outcome is `failed` and the gateway sent, or
//! may have sent, bytes to upstream. Each user is read twice, [`PAUSE`] apart, with the gateway's own
//! upstream credentials:
//!
//! - 404 or `deleted: true` means `deleted`: the user does not exist now; someone else may have deleted it;
//! - 200 means `still_there`;
//! - any other answer, or two reads that differ, mean `cannot_tell`.
//!
//! If a read gets no answer, or 401 for the token, the trail records nothing, and the deletion stays in doubt.
//!
//! If a gateway holds the trail's lock, the gateway reads the users back when the command `audit
//! reconcile` asks it to. If no gateway holds the lock, the command reads the users back itself.
//!
//! In reading order: `pick` selects the deletions, `ask` reads the users, [`token`] holds the
//! credentials.

mod ask;
mod pick;
pub(crate) mod token;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;

use crate::audit::Trail;
use crate::audit::entry::{Actor, Found, Reconciled, UserFound};
use crate::audit::read::Location;
use crate::audit::read::query::{Deletion, Pending, in_doubt};
use crate::clock::{Clock, Time};
use crate::contract::Contracts;
use crate::control::protocol::{self, Answer, MAX_SETTLED, Reconcile, Settled};
use crate::domain::Directory;
use crate::fetch::Fetch;
use crate::request::Origin;

/// The pause between the two reads of a user.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);
/// After this time, a request reads back no further deletion; the remaining deletions need another request.
/// This time is shorter than the timeout of the command that waits for the answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1_200);
/// Lychgate reads a deletion back only if it closed at least this long ago, because upstream may still
/// carry out a more recent deletion.
pub(crate) const LEAST_AGE: Duration = Duration::from_secs(300);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether the gateway, at its start, reads back all deletions that are unresolved at that time.
    pub on_start: bool,
    /// The file with the token for reading back. If `None`, Lychgate uses the token of `[credentials]`, if
    /// there is one.
    pub token_file: Option<PathBuf>,
}

/// Reads users back and records the results.
#[derive(Clone, Debug)]
pub struct Reconciler {
    /// The trail, which records the results.
    pub trail: Trail,
    pub directory: PathBuf,
    /// The contracts, which give the path to read a user.
    pub contracts: Arc<Contracts>,
    /// The origin of each account in the present config.
    pub domains: Arc<Directory>,
    pub fetch: Fetch,
    /// The file with the token for reading back, if any.
    pub token_file: Option<PathBuf>,
    /// Measures how long ago a deletion closed.
    pub clock: Clock,
}

impl Reconciler {
    pub async fn answer(&self, actor: Actor, request: Reconcile) -> Answer {
        match self.settle(actor, request).await {
            Ok(reconciled) => Answer::Reconciled(reconciled),
            Err(refused) => refused,
        }
    }

    /// All unresolved deletions: those in doubt that have not been read back yet.
    ///
    /// # Errors
    /// Returns an error if the trail cannot be read.
    pub(crate) async fn unresolved(&self) -> Result<Vec<Pending>, String> {
        let mut all = self.in_doubt().await?;
        all.retain(|pending| pending.deletion.reconciled.is_none());
        Ok(all)
    }

    async fn settle(
        &self,
        actor: Actor,
        request: Reconcile,
    ) -> Result<protocol::Reconciled, Answer> {
        let token = match &self.token_file {
            Some(file) => token::read(file).map_err(|why| Answer::refused(74, why))?,
            None => return Err(Answer::refused(2, token::MISSING)),
        };
        if let Some(closed) = self.trail.state().closed {
            // The trail cannot record a result, so do not ask upstream.
            let (cause, detail) = (closed.cause.as_str(), closed.detail);
            let message = format!("the trail takes no entries: {cause}: {detail}");
            return Err(Answer::refused(1, message));
        }
        let no = |why| Answer::refused(1, why);
        let all = self.in_doubt().await.map_err(no)?;
        let mut picked = pick::pick(all, &request).map_err(no)?;
        let meant = picked.len();
        picked.truncate(MAX_SETTLED);
        let (begun, mut deletions) = (Instant::now(), Vec::new());
        for pending in picked {
            if begun.elapsed() > REQUEST_TIMEOUT {
                break;
            }
            let settled = self.one(&pending, actor, &request, &token).await;
            deletions.push(show(&pending.deletion, settled));
        }
        let left = (meant - deletions.len()) as u64;
        Ok(protocol::Reconciled { deletions, left })
    }

    /// Reads back the users of one deletion and records the result. Returns the result and the
    /// index of the entry that records it.
    async fn one(
        &self,
        pending: &Pending,
        actor: Actor,
        request: &Reconcile,
        token: &HeaderValue,
    ) -> Result<(Found, u64), String> {
        let deletion = &pending.deletion;
        if !request.now {
            old_enough(pending.closed, self.clock.now())?;
        }
        let origin = self.origin(deletion)?;
        let targets = self.targets(deletion)?;
        let users = ask::read_back(&self.fetch, &origin, token, targets, PAUSE).await;
        let users = users.map_err(|why| {
            format!("{why}; it stays unresolved: mend this, then run `lychgate audit reconcile --config FILE --reason TEXT` again")
        })?;
        let Some(worst) = worst(&users) else {
            return Err("it names no user".into());
        };
        let result = worst.result;
        let entry = Reconciled {
            intent: deletion.index,
            request_id: deletion.request_id.clone(),
            result,
            status: worst.status,
            revision: worst.revision.clone(),
            host: origin.authority(),
            users,
            actor,
            reason: request.reason.clone(),
            part: None,
            parts: None,
            cut: [].into(),
        };
        let index = self.trail.reconciled(entry).await.map_err(|closed| {
            let cause = closed.cause.as_str();
            format!("it is not on record: {cause}: {}", closed.detail)
        })?;
        Ok((result, index))
    }

    async fn in_doubt(&self) -> Result<Vec<Pending>, String> {
        let location = Location::Folder(self.directory.clone());
        let read = tokio::task::spawn_blocking(move || in_doubt(|| location.open(None)));
        match read.await {
            Ok(Ok(found)) => {
                let all = found.missing.hides_nothing().map(|()| found.all);
                all.map_err(|missing| format!("the trail cannot be read: {missing}"))
            }
            Ok(Err(error)) => Err(format!("the trail cannot be read: {error}")),
            Err(_) => Err("reading the trail failed by a defect".into()),
        }
    }

    /// The origin that the trail records for the deletion, if the config still names that origin
    /// for the account.
    fn origin(&self, deletion: &Deletion) -> Result<Origin, String> {
        let recorded = deletion.domain.as_deref().unwrap_or_default();
        match self.domains.origin(&deletion.account) {
            Some(origin) if origin.to_string() == recorded => Ok(Origin::clone(origin)),
            _ => Err(format!(
                "the config does not name {recorded}, where it was sent, for account {}",
                deletion.account
            )),
        }
    }

    fn targets(&self, deletion: &Deletion) -> Result<Vec<(String, String)>, String> {
        let Deletion {
            operation, account, ..
        } = deletion;
        let target = |user: &String| {
            let target = self.contracts.read_back(operation, account, user)?;
            Some((user.clone(), target))
        };
        let targets: Option<Vec<_>> = deletion.users.iter().map(target).collect();
        targets.ok_or_else(|| format!("no contract says how a user of {operation} is read"))
    }
}

/// The first user with the worst result.
fn worst(users: &[UserFound]) -> Option<&UserFound> {
    users.iter().rev().max_by_key(|user| user.result)
}

fn old_enough(closed: Time, now: Time) -> Result<(), String> {
    let age = now.micros().saturating_sub(closed.micros());
    if i128::from(age) >= LEAST_AGE.as_micros().cast_signed() {
        return Ok(());
    }
    let seconds = age.max(0) / 1_000_000;
    Err(format!(
        "it was closed {seconds} s ago and may still come true: wait until it is 5 minutes old, or say --now"
    ))
}

fn show(deletion: &Deletion, settled: Result<(Found, u64), String>) -> Settled {
    Settled {
        index: deletion.index,
        request_id: deletion.request_id.clone(),
        users: deletion.users.len() as u64,
        result: settled.as_ref().ok().map(|done| done.0),
        entry: settled.as_ref().ok().map(|done| done.1),
        why: settled.err(),
    }
}

#[cfg(test)]
mod tests;
