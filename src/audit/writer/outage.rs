//! An outage: a time in which no log is open. The writer refuses deletions, keeps outcomes in memory,
//! and tries to open the log again.

use std::time::{Duration, Instant};

use super::Writer;
use super::commit_loop::CommitLoop;
use super::incident::Incident;
use super::open::{self, Expected};
use super::write_queue::Work;
use crate::audit::status::{Cause, Unavailable, closed};

/// The first pause after a failed opening.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after a failed or late sync, because each try may use up a segment.
const LONGEST_SYNC_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause if the disk is full or read-only.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A time in which no log is open.
#[derive(Debug)]
pub(super) struct Outage {
    /// The record of the outage for the trail. `None` at a start until an opening fails, and after the
    /// trail has recorded the end of the outage.
    incident: Option<Incident>,
    state: State,
    /// The time of the next try.
    again: Instant,
    pause: Duration,
}

#[derive(Debug)]
enum State {
    /// This process has not opened the log yet, so it knows nothing about the log's content.
    AtStart,
    /// This process has written to the log. The log at the path must hold every batch that this process
    /// has answered for.
    Known(Box<CommitLoop>),
}

/// The result of [`Outage::turn`].
#[derive(Debug)]
pub(super) enum Turn {
    Open(Box<CommitLoop>),
    Wait(Duration),
    Stop,
}

impl Outage {
    pub(super) fn at_start() -> Self {
        Self {
            incident: None,
            state: State::AtStart,
            again: Instant::now(),
            pause: FIRST_PAUSE,
        }
    }

    /// Begins an outage because the commit loop has failed. After a failed write or sync, the first try
    /// to open the log is due at once; it writes to another segment. After a fault of the files, the
    /// first try is due after a pause.
    pub(super) fn of(mut commit_loop: Box<CommitLoop>, found: Unavailable) -> Self {
        let now = Instant::now();
        let again = match found.cause.is_integrity() {
            true => now + FIRST_PAUSE,
            false => now,
        };
        let shared = &commit_loop.shared;
        shared.availability.close(found.clone());
        let incident = Incident::new(found, shared.clock.now());
        commit_loop.composer.note(&incident.began());
        Self {
            incident: Some(incident),
            state: State::Known(commit_loop),
            again,
            pause: FIRST_PAUSE,
        }
    }

    /// Waits until the log is open. `None` if the writer must stop.
    pub(super) fn end(mut self, writer: &Writer) -> Option<Box<CommitLoop>> {
        loop {
            match self.turn(writer) {
                Turn::Open(commit_loop) => return Some(commit_loop),
                Turn::Wait(left) => writer.shared.queue.pause(left),
                Turn::Stop => return None,
            }
        }
    }

    /// Refuses the waiting work, and tries to open the log if a try is due.
    pub(super) fn turn(&mut self, writer: &Writer) -> Turn {
        let work = writer.shared.queue.take_all_but_configs();
        let stop = work.stop;
        self.refuse(work, writer);
        let left = self.again.saturating_duration_since(Instant::now());
        // Before a stop, a known log gets a last try, so that the kept outcomes can be written.
        let is_last = stop && matches!(self.state, State::Known(_));
        if stop && self.incident.is_some() && !is_last {
            return Turn::Stop;
        }
        if !left.is_zero() && !is_last {
            return Turn::Wait(left);
        }
        let began = Instant::now();
        match self.try_to_open(writer) {
            Ok(commit_loop) => Turn::Open(commit_loop),
            Err(_) if is_last => Turn::Stop,
            Err(found) => {
                self.put_off(found, began.elapsed(), writer);
                Turn::Wait(Duration::ZERO)
            }
        }
    }

    fn refuse(&mut self, work: Work, writer: &Writer) {
        let shared = &writer.shared;
        let found = shared.availability.closed();
        let found = found.unwrap_or_else(|| closed(Cause::Recovering, "the log is being opened"));
        for closing in work.refuse(&shared.availability, &found) {
            if let State::Known(commit_loop) = &mut self.state {
                commit_loop.composer.close(closing.intent, closing.ending);
                commit_loop.show();
            }
            if let Some(answer) = closing.answer {
                // The outcome is kept, even if its caller is gone.
                let _ = answer.send(Err(found.cause));
            }
        }
    }

    fn try_to_open(&mut self, writer: &Writer) -> Result<Box<CommitLoop>, Unavailable> {
        let mut commit_loop = match std::mem::replace(&mut self.state, State::AtStart) {
            State::AtStart => Box::new(writer.open()?),
            State::Known(mut commit_loop) => {
                let moved = commit_loop.store.integrity.moved();
                if let (Some(moved), Some(incident)) = (moved, &mut self.incident) {
                    incident.found = moved;
                }
                if let Err(found) = open_again(&mut commit_loop, writer) {
                    // This try used up no segment.
                    self.pause = FIRST_PAUSE;
                    self.state = State::Known(commit_loop);
                    return Err(found);
                }
                commit_loop
            }
        };
        match commit_loop.begin(&mut self.incident) {
            Ok(()) => Ok(commit_loop),
            Err(found) => {
                self.state = State::Known(commit_loop);
                Err(found)
            }
        }
    }

    /// Sets the time of the next try. The pause is at least as long as this try took, so that the writer
    /// spends at most half of its time on tries.
    fn put_off(&mut self, found: Unavailable, took: Duration, writer: &Writer) {
        self.again = Instant::now() + self.pause.max(took);
        self.pause = next_pause(found.cause, self.pause);
        let found = match &mut self.incident {
            // A fault of the files lasts until the log is open again.
            Some(incident) if incident.found.cause.is_integrity() => incident.lasts(&found),
            Some(incident) => {
                incident.found = found.clone();
                found
            }
            None => {
                let incident = Incident::new(found.clone(), writer.shared.clock.now());
                if let State::Known(commit_loop) = &mut self.state {
                    commit_loop.composer.note(&incident.began());
                }
                self.incident = Some(incident);
                found
            }
        };
        writer.shared.availability.close(found);
    }

    /// Makes the next try due now.
    #[cfg(test)]
    pub(super) fn hurry(&mut self) {
        self.again = Instant::now();
    }
}

/// Opens the log at the path, and then releases the log that this process held.
fn open_again(commit_loop: &mut CommitLoop, writer: &Writer) -> Result<(), Unavailable> {
    let store = &mut commit_loop.store;
    let is_same = store.is_same()?;
    store.let_go();
    // If `is_same` is false, this drops the spares. The drop waits for the thread that makes a spare.
    let mut spares = Some(store.spares.hand_over()).filter(|_| is_same);
    let expected = Expected {
        last: store.appender.last,
        kept: &commit_loop.composer.pending,
        spares: &mut spares,
        highest: store.spares.highest(),
        held: &mut store.integrity,
    };
    match open::open(writer, Some(expected)) {
        Ok((opened, _)) => commit_loop.store = opened,
        Err(found) => {
            if let Some(spares) = spares {
                store.spares = spares;
            }
            return Err(found);
        }
    }
    if !is_same {
        commit_loop.shared.holds();
    }
    Ok(())
}

/// The pause after the next failed try. `cause` and `pause` belong to the try that has just failed.
pub(super) fn next_pause(cause: Cause, pause: Duration) -> Duration {
    let longest = match cause {
        // An opening that fails for one of these causes has not written to the journal.
        Cause::Locked | Cause::KeyUnusable | Cause::RolledBack | Cause::Damaged => FIRST_PAUSE,
        cause if cause.is_integrity() => FIRST_PAUSE,
        Cause::SyncFailed | Cause::SyncLate => LONGEST_SYNC_PAUSE,
        _ => LONGEST_PAUSE,
    };
    longest.min(pause * 2)
}
