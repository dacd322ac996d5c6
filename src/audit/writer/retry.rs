//! The commit loop in an outage: how one begins, what the loop tries and when, and how it ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::commit_loop::CommitLoop;
use super::open::{self, Expected};
use super::outage::{FIRST_PAUSE, Outage};
use super::store::{Failed, was_late};
use super::write_queue::Work;
use crate::audit::status::{Cause, Unavailable, closed, trouble};

/// The longest pause between two tries to write. Pauses double, since each try may use up a segment. A failed
/// integrity check uses up none: its pause is [`FIRST_PAUSE`], or the time that the check took if that is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause between two tries to make a spare, which uses up no segment number.
const LONGEST_SPARE_PAUSE: Duration = Duration::from_secs(5);

impl CommitLoop {
    /// A flush failed. If the disk was late before that, the trail records both troubles.
    pub(super) fn failed(&mut self, failed: Failed) {
        if failed.late {
            let now = self.shared.clock.now();
            let late = Outage::new(was_late(), now, Instant::now());
            self.answer(Some(&failed.found), true);
            self.ledger.note(&late.entry("began", 0));
            self.ledger.note(&late.entry("ended", 0));
        }
        self.halt(failed.found);
    }

    /// Begins an outage: refuses deletions, answers the waiters, and closes their intents.
    pub(super) fn halt(&mut self, found: Unavailable) {
        let now = Instant::now();
        // A failed sync is tried again at once, in another segment; a failed integrity check later.
        let again = if found.cause.is_integrity() {
            now + FIRST_PAUSE
        } else {
            now
        };
        let outage = Outage::new(found.clone(), self.shared.clock.now(), again);
        self.shared.availability.close(found.clone());
        self.answer(Some(&found), false);
        self.ledger.note(&outage.entry("began", 0));
        self.outage = Some(outage);
    }

    /// The disk was late, and deletions are refused. Closes the intents of the late batch before the loop
    /// takes new ones.
    pub(super) fn late(&mut self) {
        let found = was_late();
        self.answer(Some(&found), true);
        let outage = Outage::new(found, self.shared.clock.now(), Instant::now());
        self.ledger.note(&outage.entry("began", 0));
        self.outage = Some(outage);
        self.try_again();
    }

    /// One turn in an outage: refuses new work, keeps outcomes, and tries again when it is time.
    pub(super) fn serve_halted(&mut self) -> Work {
        let work = self.shared.queue.take_all_but_configs();
        let again = self
            .outage
            .as_ref()
            .map_or_else(Instant::now, |outage| outage.again);
        let found = self.outage.as_ref().map(|outage| outage.found.clone());
        for intent in work.intents {
            if let Some(found) = &found {
                let _ = intent.answer.send(Err(found.clone()));
            }
        }
        for note in work.notes {
            if let Some(found) = &found {
                let _ = note.answer.send(Err(found.clone()));
            }
        }
        for closing in work.closings {
            self.take_closing(closing);
        }
        for _ in work.refused {
            self.shared.availability.count_refused();
        }
        let left = again.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.try_again();
        } else if !work.stop {
            self.shared.queue.pause(left);
        }
        Work {
            stop: work.stop,
            ..Work::default()
        }
    }

    /// Checks the files again if one was in doubt, writes the kept entries, and takes deletions again. The
    /// appender has given up a segment whose write failed, so the entries go to a new one.
    pub(super) fn try_again(&mut self) {
        let Some(mut outage) = self.outage.take() else {
            return;
        };
        let began = Instant::now();
        let judged = self.judge_again();
        let took = judged.is_err().then(|| began.elapsed());
        match judged.and_then(|()| self.write_kept(&outage)) {
            Ok(()) => self.open_gate(),
            Err(found) => {
                self.shared.availability.close(found.clone());
                let judged = took.or(found.cause.is_integrity().then(|| began.elapsed()));
                outage.put_off(found, LONGEST_PAUSE, judged);
                self.outage = Some(outage);
            }
        }
    }

    fn judge_again(&mut self) -> Result<(), Unavailable> {
        if !self.store.in_doubt {
            return Ok(());
        }
        if self.store.integrity.moved().is_none() && !self.store.is_let_go() {
            return self.store.judge_again();
        }
        self.store.let_go();
        self.open_again().map_err(|found| {
            let what = format!(
                "the trail's folder was moved, and the log at its path is not opened: {}",
                found.detail
            );
            closed(Cause::FolderMoved, what)
        })
    }

    /// Opens the log that is at the path now, and then releases the old one. The next flush writes the
    /// pending entries there.
    fn open_again(&mut self) -> Result<(), Unavailable> {
        let store = &mut self.store;
        let disk = Arc::clone(&store.integrity.disk);
        let expected = Expected {
            last: *store.appender.last(),
            kept: &self.ledger.pending,
            held: &mut store.integrity,
        };
        let (clock, availability) = (&self.shared.clock, &self.shared.availability);
        let (settings, metrics) = (&self.settings, &store.metrics);
        let (mut opened, _) = open::open(
            &disk,
            settings,
            clock,
            availability,
            metrics,
            Some(expected),
        )?;
        opened.begin()?;
        self.store = opened;
        self.shared.holds();
        self.tell_settled();
        Ok(())
    }

    fn write_kept(&mut self, outage: &Outage) -> Result<(), Unavailable> {
        self.store.flush(&mut self.ledger.pending)?;
        let refused = self.shared.availability.take_refused();
        self.ledger.note(&outage.entry("ended", refused));
        self.store.flush(&mut self.ledger.pending)?;
        Ok(())
    }

    fn open_gate(&self) {
        match &self.no_spare {
            Some(outage) => self.shared.availability.close(outage.found.clone()),
            None => self.shared.availability.open(),
        }
    }

    /// Records when a late publisher begins to cause refusals, and when that ends. [`Availability`] refuses
    /// them by itself.
    ///
    /// [`Availability`]: crate::audit::status::availability::Availability
    pub(super) fn tend_publisher(&mut self) {
        let now = self
            .shared
            .availability
            .lag
            .closed()
            .map(|(found, _)| found);
        let was = self.no_checkpoint.as_ref().map(Outage::cause);
        if now.as_ref().map(|found| found.cause) == was {
            return;
        }
        if let Some(outage) = self.no_checkpoint.take() {
            let refused = self.shared.availability.take_refused();
            self.ledger.note(&outage.entry("ended", refused));
        }
        if let Some(found) = now {
            let outage = Outage::new(found, self.shared.clock.now(), Instant::now());
            self.ledger.note(&outage.entry("began", 0));
            self.no_checkpoint = Some(outage);
        }
        self.settle();
    }

    /// Has a spare segment made if there is none. Without one the loop takes no new intents, so that open
    /// ones still find room.
    pub(super) fn tend_spare(&mut self) {
        let due = self
            .no_spare
            .as_ref()
            .is_none_or(|outage| outage.again <= Instant::now());
        let spare = match self.store.spares.poll() {
            Ok(false) if due => self.store.spares.begin().map(|()| false),
            other => other,
        };
        match spare {
            Ok(true) => self.spare_is_there(),
            Ok(false) => {}
            Err(error) => self.spare_failed(trouble(&error, "cannot make the next segment")),
        }
    }

    fn spare_is_there(&mut self) {
        let Some(outage) = self.no_spare.take() else {
            return;
        };
        let refused = self.shared.availability.take_refused();
        self.ledger.note(&outage.entry("ended", refused));
        if self.outage.is_none() {
            self.settle();
        }
        if self.outage.is_none() {
            self.open_gate();
        }
    }

    fn spare_failed(&mut self, found: Unavailable) {
        match &mut self.no_spare {
            Some(outage) => {
                let judged = found.cause.is_integrity().then_some(Duration::ZERO);
                outage.put_off(found.clone(), LONGEST_SPARE_PAUSE, judged);
            }
            None => {
                let again = Instant::now() + FIRST_PAUSE;
                let outage = Outage::new(found.clone(), self.shared.clock.now(), again);
                self.ledger.note(&outage.entry("began", 0));
                self.no_spare = Some(outage);
            }
        }
        if self.outage.is_none() {
            self.shared.availability.close(found);
            if !self.ledger.pending.is_empty() {
                self.settle();
            }
        }
    }
}
