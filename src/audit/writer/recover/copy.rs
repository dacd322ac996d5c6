//! Goes on in a copy of the folder that stands at its path, where it holds, byte for byte, what this
//! process knows; what is composed and not written yet is written there next.
//!
//! Known are the lock's line and the verifier key; each segment up to its last batch that counts, as
//! the digests fix it, and behind it; the newest batch that was synced and found in order, which
//! the chain must lead to; every tile and bundle under a checkpoint of ours. That checkpoint may be
//! older than the newest, where the copy was made before that was published: the journal holds what is
//! behind it, as after a crash, and the seen file must agree, as at any start.

use std::path::Path;
use std::sync::Arc;

use super::{catch_up, follow};
use crate::audit::integrity::{Custody, closed};
use crate::audit::journal::append::Appender;
use crate::audit::journal::spare::Spares;
use crate::audit::publish::retrace::Retrace;
use crate::audit::publish::{Publishing, Standing};
use crate::audit::status::space::Reserve;
use crate::audit::writer::ledger::Ledger;
use crate::audit::writer::store::Store;
use crate::audit::{Cause, Closed};
use crate::clock::Clock;

/// The store to go on with; the one that was held is let go of by whoever drops it. After an error
/// that one is as it was.
pub(crate) fn go_on(held: &mut Store, seen_file: &Path, clock: &Clock) -> Result<Store, Closed> {
    let (last, highest) = (*held.appender.last(), held.spares.highest());
    let copy = held.custody.of_copy(&last, highest)?;
    Standing::new(&copy.root, &held.key).judge()?;
    // Whoever copied it may not have synced it, and what was answered must stay answered.
    held.custody.sync_copy(&copy)?;
    // From here on nothing but the copy is published to, nor the seen file written by two.
    if let Some(publishing) = &mut held.publishing {
        publishing.pause();
    }
    let opened = open(held, copy, seen_file, clock);
    if opened.is_err()
        && let Some(publishing) = &mut held.publishing
    {
        publishing.resume();
    }
    opened
}

fn open(held: &Store, copy: Custody, seen_file: &Path, clock: &Clock) -> Result<Store, Closed> {
    let (key, last) = (Arc::clone(&held.key), *held.appender.last());
    let mut retrace = Retrace::open(&copy.disk, &copy.root, seen_file, key.verifier())?;
    let mut ledger = Ledger::new(clock.clone());
    let (found, _) = follow(&copy, &key, &mut ledger, &mut retrace, Some(last))?;
    if found.is_none_or(|found| found.link != last) {
        let what = "the journal ends before the last record";
        return Err(closed(Cause::Altered, what));
    }
    let mut spares = Spares::new(
        Arc::clone(&copy.journal),
        held.spares.highest(),
        held.spares.bytes(),
    );
    if let Some(spare) = held.spares.ready() {
        spares.adopt(spare.number);
    }
    let mut store = Store {
        appender: Appender::new(Arc::clone(&key), last),
        spares,
        reserve: Reserve::new(Arc::clone(&copy.root)),
        custody: copy,
        key,
        in_doubt: false,
        scrub: None,
        watch: None,
        publishing: None,
        gate: Arc::clone(&held.gate),
        metrics: held.metrics.clone(),
    };
    let publisher = catch_up(&store, retrace.into_published())?;
    store.begin_aside()?;
    let mut publishing = Publishing::new(publisher);
    publishing.begin()?;
    store.publishing = Some(publishing);
    Ok(store)
}
