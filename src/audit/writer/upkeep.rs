//! The commit loop's work between batches: checks the files, starts to make a spare segment, watches the
//! publisher, and writes the periodic entries.

use std::time::{Duration, Instant};

use super::commit_loop::{CommitLoop, IDLE};
use super::incident::Incident;
use crate::audit::entry::Kind;
use crate::audit::status::{Unavailable, trouble};

const SUMMARY_EVERY: Duration = Duration::from_secs(60);
/// The pause after a failed try to make a spare segment.
const SPARE_PAUSE: Duration = Duration::from_secs(1);

impl CommitLoop {
    pub(super) fn tend(&mut self) -> Result<(), Unavailable> {
        self.tend_integrity()?;
        self.tend_spare()?;
        self.tend_publisher()?;
        self.tend_time()?;
        self.shared.availability.tell();
        self.show();
        Ok(())
    }

    /// Checks the files between batches, at most once per [`IDLE`].
    fn tend_integrity(&mut self) -> Result<(), Unavailable> {
        if self.checked.elapsed() < IDLE {
            return Ok(());
        }
        self.checked = Instant::now();
        // The spare takes precedence over the reserve.
        let may_reserve = self.no_spare.is_none() && self.store.spares.ready.is_some();
        self.store.tend_space(may_reserve);
        self.store.look_after()
    }

    /// Starts to make a spare segment if there is none. If that fails, new intents are refused, so that
    /// the outcomes of open intents still find room.
    pub(super) fn tend_spare(&mut self) -> Result<(), Unavailable> {
        let is_due = self.spare_again <= Instant::now();
        let spare = match self.store.spares.poll() {
            Ok(false) if is_due => self.store.spares.begin().map(|()| false),
            other => other,
        };
        match spare {
            Ok(true) => self.spare_is_there(),
            Ok(false) => Ok(()),
            Err(error) => self.spare_failed(trouble(&error, "cannot make the next segment")),
        }
    }

    fn spare_is_there(&mut self) -> Result<(), Unavailable> {
        let Some(incident) = self.no_spare.take() else {
            return Ok(());
        };
        let refused = self.shared.availability.take_refused();
        self.composer.note(&incident.ended(refused));
        self.settle()?;
        self.open_gate();
        Ok(())
    }

    fn spare_failed(&mut self, found: Unavailable) -> Result<(), Unavailable> {
        self.spare_again = Instant::now() + SPARE_PAUSE;
        self.shared.availability.close(found.clone());
        match &mut self.no_spare {
            Some(incident) => incident.found = found,
            None => {
                let incident = Incident::new(found, self.shared.clock.now());
                self.composer.note(&incident.began());
                self.no_spare = Some(incident);
            }
        }
        self.settle()
    }

    /// Takes deletions, unless no spare segment can be made.
    pub(super) fn open_gate(&self) {
        match &self.no_spare {
            Some(incident) => self.shared.availability.close(incident.found.clone()),
            None => self.shared.availability.open(),
        }
    }

    /// Records the begin and the end of the refusals that a late publisher causes. [`Availability`]
    /// itself refuses the deletions.
    ///
    /// [`Availability`]: crate::audit::status::availability::Availability
    fn tend_publisher(&mut self) -> Result<(), Unavailable> {
        let lag = self.shared.availability.lag.closed();
        let now = lag.map(|(found, _)| found);
        let was = self.no_checkpoint.as_ref().map(|was| was.found.cause);
        if now.as_ref().map(|found| found.cause) == was {
            return Ok(());
        }
        if let Some(incident) = self.no_checkpoint.take() {
            let refused = self.shared.availability.take_refused();
            self.composer.note(&incident.ended(refused));
        }
        if let Some(found) = now {
            let incident = Incident::new(found, self.shared.clock.now());
            self.composer.note(&incident.began());
            self.no_checkpoint = Some(incident);
        }
        self.settle()
    }

    fn tend_time(&mut self) -> Result<(), Unavailable> {
        if self.summed_up.elapsed() >= SUMMARY_EVERY {
            self.sum_up();
        }
        if self.written.elapsed() >= self.heartbeat {
            self.composer.note(&Kind::Alive {});
        }
        self.composer.watch_clock();
        self.settle()
    }

    pub(super) fn sum_up(&mut self) {
        self.summed_up = Instant::now();
        if let Some(sum) = self.shared.summary() {
            self.composer.note(&Kind::TurnedAway(sum));
        }
    }
}
