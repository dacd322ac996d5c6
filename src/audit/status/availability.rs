//! Decides whether the trail refuses deletions now, why, and since when. Any task can ask without waiting for
//! the writer or the disk. In two further cases, `trail.rs` refuses a single deletion: if the writer's queue
//! is full, or if the intent is not durable in time.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::watch;

use super::space::{Levels, Space};
use super::{Cause, Unavailable, closed};
use crate::clock::{Clock, Time};
use crate::metrics::{CauseLabels, Metrics};
use crate::trouble::Trouble;

/// If an entry has waited longer than this for a checkpoint, the gateway refuses deletions.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What an operator can do about a seen file that cannot be written.
pub(crate) const UNWATCHED_REMEDY: &str = "make the seen file's folder writable for the gateway's user (docs/operations.md, \"Seen file\")";

/// A snapshot of the trail's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Why deletions are refused, with details; `None` if they are accepted.
    pub closed: Option<Unavailable>,
    /// Since when the gateway has accepted deletions, or refused them for the present cause.
    pub since: Time,
    /// The index of the next entry; 0 until the trail has been opened.
    pub next_index: u64,
    /// The number of intents without an outcome.
    pub open_intents: u64,
    /// The free space on the trail's disk.
    pub space: Space,
    /// Why the gateway cannot detect a rolled-back folder, and since when; `None` if it can.
    pub unwatched: Option<(String, Time)>,
}

/// Whether the gateway accepts deletions now. The writer and the publisher change this state. Any
/// task may read it and count refusals.
#[derive(Debug)]
pub(crate) struct Availability {
    /// The audit folder.
    directory: PathBuf,
    status: ArcSwap<Status>,
    /// Limits how many log lines report refused deletions.
    trouble: Trouble,
    is_stopped: AtomicBool,
    /// The start of the current sync; `None` if no sync is running.
    sync_began: ArcSwapOption<(Instant, Time)>,
    timeout: Duration,
    next_index: AtomicU64,
    open_intents: AtomicU64,
    /// The number of refused deletions without an entry of their own, since the writer last took this number.
    refused: AtomicU64,
    settled: watch::Sender<bool>,
    pub(crate) lag: CheckpointLag,
    levels: Levels,
    space: Mutex<Space>,
    space_trouble: Trouble,
    /// Stores why the gateway cannot detect a rolled-back folder, and limits the log lines about
    /// that.
    unwatched: Trouble,
    pub(crate) clock: Clock,
    metrics: Metrics,
}

#[derive(Debug)]
struct Status {
    closed: Option<Unavailable>,
    since: Time,
}

impl Availability {
    pub(crate) fn new(
        directory: PathBuf,
        timeout: Duration,
        levels: Levels,
        clock: Clock,
        metrics: Metrics,
    ) -> Arc<Self> {
        let status = Status {
            closed: Some(closed(Cause::Recovering, "the trail is being opened")),
            since: clock.now(),
        };
        let availability = Arc::new(Self {
            directory,
            status: ArcSwap::from_pointee(status),
            trouble: Trouble::new(clock.clone()),
            is_stopped: AtomicBool::new(false),
            sync_began: ArcSwapOption::empty(),
            timeout,
            next_index: AtomicU64::new(0),
            open_intents: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            settled: watch::Sender::new(false),
            lag: CheckpointLag::new(LONGEST_WAIT),
            levels,
            space: Mutex::default(),
            space_trouble: Trouble::new(clock.clone()),
            unwatched: Trouble::new(clock.clone()),
            clock,
            metrics,
        });
        // While a sync hangs, the writer updates no metrics. So each reading of the metrics updates
        // them first.
        let asked = Arc::downgrade(&availability);
        availability.metrics.before_reading(move || {
            if let Some(availability) = asked.upgrade() {
                availability.tell();
            }
        });
        availability.tell();
        availability
    }

    /// Why deletions are refused; `None` if they are accepted.
    pub(crate) fn closed(&self) -> Option<Unavailable> {
        self.closed_since().0
    }

    /// The result of [`Self::closed`], and when that state began. A sync past its timeout counts at
    /// once, because the writer hangs in that sync and cannot report it.
    fn closed_since(&self) -> (Option<Unavailable>, Time) {
        let status = self.status.load();
        if status.closed.is_some() {
            return (status.closed.clone(), status.since);
        }
        if let Some(since) = self.late_since() {
            let late = closed(Cause::SyncLate, "the disk has not answered in time");
            return (Some(late), since);
        }
        let Some((found, closed_for)) = self.lag.closed() else {
            return (None, status.since);
        };
        let micros = i64::try_from(closed_for.as_micros()).unwrap_or(i64::MAX);
        let since = Time(self.clock.now().0.saturating_sub(micros));
        (Some(found), since)
    }

    /// When the current sync passed its timeout; `None` if no sync is late.
    fn late_since(&self) -> Option<Time> {
        let sync = self.sync_began.load();
        let (began, at) = sync.as_deref().copied()?;
        let timeout = i64::try_from(self.timeout.as_micros()).unwrap_or(i64::MAX);
        (began.elapsed() > self.timeout).then(|| Time(at.0.saturating_add(timeout)))
    }

    /// Shows the state in the metrics, and logs that deletions are refused or accepted again.
    pub(crate) fn tell(&self) {
        let found = self.closed();
        self.metrics.audit_open.set(i64::from(found.is_none()));
        match found {
            Some(found) => self.log(&found, 0),
            None => self.log_end(),
        }
    }

    /// Decides whether to accept a deletion. If deletions are refused, counts and logs the refusal.
    pub(crate) fn pass(&self) -> Result<(), Unavailable> {
        match self.closed() {
            Some(found) => {
                self.refuses(&found);
                Err(found)
            }
            None => {
                self.log_end();
                Ok(())
            }
        }
    }

    /// Counts a refused deletion in the metrics, and logs it.
    pub(crate) fn refuses(&self, found: &Unavailable) {
        let cause = found.cause.as_str();
        let labels = CauseLabels { cause };
        self.metrics.audit_refused.get_or_create(&labels).inc();
        self.log(found, 1);
    }

    fn log(&self, found: &Unavailable, refused: u64) {
        if self.is_stopped.load(Ordering::Relaxed) {
            return;
        }
        let cause = found.cause.as_str();
        let Some(due) = self.trouble.occurs(cause, &found.detail, refused) else {
            return;
        };
        let directory = self.directory.display();
        let (reason, refused, since) = (&found.detail, due.count, due.since);
        let remedy = found.cause.remedy();
        // Each start begins with `recovering`, which usually ends within a second.
        if found.cause == Cause::Recovering {
            tracing::info!(cause, %directory, reason, refused, %since, remedy, "deletions are not accepted yet");
        } else {
            tracing::error!(cause, %directory, reason, refused, %since, remedy, "deletions are refused");
        }
    }

    fn log_end(&self) {
        if let Some(ended) = self.trouble.ends() {
            let (directory, since, refused) = (self.directory.display(), ended.since, ended.count);
            tracing::info!(%directory, %since, refused, "deletions are accepted");
        }
    }

    /// Counts a refused deletion that gets no entry of its own, because the trail is closed. The writer takes
    /// this count with [`Self::take_refused`] and records it.
    pub(crate) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn state(&self) -> State {
        let (closed, since) = self.closed_since();
        State {
            closed,
            since,
            next_index: self.next_index.load(Ordering::Relaxed),
            open_intents: self.open_intents.load(Ordering::Relaxed),
            space: *self.space(),
            unwatched: self.unwatched.present().map(|now| (now.detail, now.since)),
        }
    }

    pub(crate) fn close(&self, closed: Unavailable) {
        let status = self.status.load();
        let since = match &status.closed {
            Some(before) => (before.cause == closed.cause).then_some(status.since),
            None if closed.cause == Cause::SyncLate => self.late_since(),
            None => None,
        };
        let since = since.unwrap_or_else(|| self.clock.now());
        let settled = closed.cause != Cause::Recovering;
        let closed = Some(closed);
        self.status.store(Arc::new(Status { closed, since }));
        self.tell();
        self.settled
            .send_if_modified(|s| settled && !std::mem::replace(s, true));
    }

    /// Refuses deletions because the trail stops. Logs nothing, because a stop is not a fault.
    pub(crate) fn stop(&self, found: Unavailable) {
        self.is_stopped.store(true, Ordering::Relaxed);
        self.close(found);
    }

    pub(crate) fn open(&self) {
        let (closed, since) = (None, self.clock.now());
        self.status.store(Arc::new(Status { closed, since }));
        self.tell();
        self.settled.send_replace(true);
    }

    /// Notes and logs why the gateway cannot detect a rolled-back folder. `why` is `None` if it
    /// can.
    pub(crate) fn unwatched(&self, why: Option<&str>) {
        let directory = self.directory.display();
        let Some(reason) = why else {
            if let Some(ended) = self.unwatched.ends() {
                tracing::info!(%directory, since = %ended.since, "the seen file can be written again");
            }
            return;
        };
        if let Some(due) = self.unwatched.occurs("unwatched", reason, 1) {
            let (since, remedy) = (due.since, UNWATCHED_REMEDY);
            tracing::warn!(%directory, reason, %since, remedy, "a roll-back of the trail would not be noticed");
        }
    }

    /// Returns the number that [`Self::count_refused`] has counted since the last call.
    pub(crate) fn take_refused(&self) -> u64 {
        self.refused.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn show(&self, next_index: u64, open_intents: usize) {
        self.next_index.store(next_index, Ordering::Relaxed);
        let open = open_intents as u64;
        self.open_intents.store(open, Ordering::Relaxed);
        let gauge = i64::try_from(open).unwrap_or(i64::MAX);
        self.metrics.deletions_in_flight.set(gauge);
    }

    pub(crate) fn show_space(&self, free_bytes: u64) {
        let now = self.clock.now();
        let mut space = self.space();
        space.measure(free_bytes, self.levels, now, &self.metrics);
        let found = self.closed();
        if found.is_none_or(|found| found.cause != Cause::DiskFull) {
            // If the disk is full, the line `deletions are refused` tells the operator already.
            space.log(&self.space_trouble, &self.directory);
        }
    }

    fn space(&self) -> MutexGuard<'_, Space> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sync_begins(&self) {
        let began = (Instant::now(), self.clock.now());
        self.sync_began.store(Some(Arc::new(began)));
    }

    pub(crate) fn is_late(&self) -> bool {
        self.late_since().is_some()
    }

    /// Notes the end of the current sync. If the sync was late, the writer must call
    /// [`Self::close`] before this function.
    pub(crate) fn sync_ended(&self) {
        self.sync_began.store(None);
    }

    /// Waits until the trail is open or recovery has failed.
    pub(crate) async fn settled(&self) {
        // This wait cannot fail, because the sender lives as long as `self`.
        let _ = self.settled.subscribe().wait_for(|settled| *settled).await;
    }
}

/// How far the checkpoints lag behind the entries. The writer and the publisher update this lag.
#[derive(Debug)]
pub(crate) struct CheckpointLag {
    /// How long an entry may wait for a checkpoint: [`LONGEST_WAIT`], except in tests.
    longest: Duration,
    waiting: Mutex<Waiting>,
    /// The publisher's error, and when it began; `None` if the publisher works.
    publisher_error: ArcSwapOption<(Unavailable, Instant)>,
}

/// The entries that no checkpoint covers yet.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    /// When the oldest of these entries arrived; `None` if there are none.
    since: Option<Instant>,
    /// Whether the publisher's queue holds more bytes than its limit.
    too_much: bool,
}

impl CheckpointLag {
    fn new(longest: Duration) -> Self {
        Self {
            longest,
            waiting: Mutex::default(),
            publisher_error: ArcSwapOption::empty(),
        }
    }

    /// Returns why the trail is closed because of missing checkpoints, and for how long; `None` if it is not
    /// closed for this reason. A failed integrity check of the publisher, or a publisher's queue over its
    /// limit, closes the trail at once. Otherwise, the trail closes if an entry has waited too long for a
    /// checkpoint.
    pub(crate) fn closed(&self) -> Option<(Unavailable, Duration)> {
        let error = self.publisher_error.load();
        let error = error.as_deref();
        if let Some((found, since)) = error.filter(|(found, _)| found.cause.is_integrity()) {
            return Some((found.clone(), since.elapsed()));
        }
        let Waiting { since, too_much } = *self.waiting();
        let too_long = since.and_then(|since| since.elapsed().checked_sub(self.longest));
        let closed_for = too_long.or(too_much.then_some(Duration::ZERO))?;
        let hangs = || closed(Cause::SyncLate, "no checkpoint covers the newest entries");
        let found = error.map_or_else(hangs, |(found, _)| found.clone());
        Some((found, closed_for))
    }

    /// Notes the arrival of the oldest waiting entry, and whether the queue exceeds its limit.
    pub(crate) fn waits(&self, since: Instant, too_much: bool) {
        let mut waiting = self.waiting();
        // If an older entry already waits, keep the arrival time of that entry.
        waiting.since.get_or_insert(since);
        waiting.too_much = too_much;
    }

    /// Notes when the oldest unpublished entry arrived; `None` if every entry is published.
    pub(crate) fn published(&self, since: Option<Instant>, too_much: bool) {
        *self.waiting() = Waiting { since, too_much };
    }

    pub(crate) fn publisher_error(&self, error: Option<Unavailable>) {
        let before = self.publisher_error.load();
        let error = error.map(|found| {
            let same = before.as_ref().filter(|b| b.0.cause == found.cause);
            let since = same.map_or_else(Instant::now, |before| before.1);
            Arc::new((found, since))
        });
        self.publisher_error.store(error);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    fn availability_at(timeout: Duration) -> (Arc<Availability>, Clock, Metrics) {
        let (clock, metrics) = (Clock::manual(Time(1)), Metrics::new());
        (
            Availability::new(
                PathBuf::new(),
                timeout,
                Levels::default(),
                clock.clone(),
                metrics.clone(),
            ),
            clock,
            metrics,
        )
    }

    #[test]
    fn a_trail_starts_closed_as_recovering() {
        let (availability, _, metrics) = availability_at(Duration::ZERO);
        assert_eq!(availability.closed().unwrap().cause, Cause::Recovering);
        assert_eq!(metrics.audit_open.get(), 0);
        availability.open();
        assert_eq!((availability.closed(), metrics.audit_open.get()), (None, 1));
    }

    #[test]
    fn p3_a_sync_past_its_timeout_closes_without_the_writer() {
        let (late, clock, metrics) = availability_at(Duration::from_millis(2));
        late.open();
        clock.set(Time(10_000));
        late.sync_begins();
        clock.set(Time(50_000));
        std::thread::sleep(Duration::from_millis(5));
        let state = late.state();
        assert_eq!(state.closed.unwrap().cause, Cause::SyncLate);
        // Lateness counts from the timeout, in the metric too.
        assert_eq!(state.since, Time(12_000));
        assert!(metrics.encode().contains("lychgate_audit_open 0"));
        late.close(closed(Cause::SyncLate, "the writer says so, too"));
        assert_eq!(late.state().since, Time(12_000));
        late.open();
        late.sync_ended();
        assert_eq!(late.closed(), None);
        assert!(metrics.encode().contains("lychgate_audit_open 1"));
        let (in_time, _, _) = availability_at(Duration::from_secs(600));
        in_time.open();
        in_time.sync_begins();
        assert_eq!(in_time.closed(), None);
    }

    #[test]
    fn since_is_when_the_cause_began() {
        let (availability, clock, _) = availability_at(Duration::ZERO);
        clock.set(Time(10));
        availability.close(closed(Cause::DiskFull, "first"));
        clock.set(Time(20));
        availability.close(closed(Cause::DiskFull, "second"));
        assert_eq!(availability.state().since, Time(10));
        availability.close(closed(Cause::SyncFailed, "third"));
        assert_eq!(availability.state().since, Time(20));
    }

    #[test]
    fn refusals_are_counted_by_cause_and_taken_once() {
        let (availability, _, metrics) = availability_at(Duration::ZERO);
        availability.close(closed(Cause::Locked, "another"));
        assert_eq!(availability.pass().unwrap_err().cause, Cause::Locked);
        let labels = CauseLabels { cause: "locked" };
        assert_eq!(metrics.audit_refused.get_or_create(&labels).get(), 1);
        availability.count_refused();
        assert_eq!(
            (availability.take_refused(), availability.take_refused()),
            (1, 0)
        );
    }

    #[tokio::test]
    async fn waiting_for_the_trail_ends_when_recovery_fails() {
        let (availability, _, _) = availability_at(Duration::ZERO);
        availability.close(closed(Cause::Recovering, "still"));
        let early = tokio::time::timeout(Duration::from_millis(20), availability.settled()).await;
        assert!(early.is_err());
        availability.close(closed(Cause::Damaged, "here"));
        availability.settled().await;
    }

    fn cause(lag: &CheckpointLag) -> Option<Cause> {
        lag.closed().map(|(found, _)| found.cause)
    }

    #[test]
    fn p3_an_entry_that_waits_too_long_closes_the_trail() {
        let lag = CheckpointLag::new(Duration::from_secs(600));
        assert_eq!(cause(&lag), None);
        lag.waits(Instant::now(), false);
        assert_eq!(cause(&lag), None);
        lag.publisher_error(Some(closed(Cause::DiskFull, "full")));
        assert_eq!(cause(&lag), None, "not before it has waited");
        let lag = CheckpointLag::new(SHORT);
        lag.waits(Instant::now(), false);
        lag.publisher_error(Some(closed(Cause::DiskFull, "full")));
        std::thread::sleep(2 * SHORT);
        // A newer entry does not restart the wait: it still counts from the oldest entry.
        lag.waits(Instant::now(), false);
        assert_eq!(cause(&lag), Some(Cause::DiskFull));
        lag.publisher_error(None);
        assert_eq!(cause(&lag), Some(Cause::SyncLate), "it hangs");
        lag.published(None, false);
        assert_eq!(cause(&lag), None);
    }

    #[test]
    fn p3_a_failed_integrity_check_closes_at_once() {
        let lag = CheckpointLag::new(Duration::from_secs(600));
        lag.publisher_error(Some(closed(Cause::SecondWriter, "another")));
        assert_eq!(cause(&lag), Some(Cause::SecondWriter));
        std::thread::sleep(SHORT);
        lag.publisher_error(Some(closed(Cause::SecondWriter, "still")));
        assert!(lag.closed().unwrap().1 >= SHORT);
        lag.publisher_error(None);
        assert_eq!(cause(&lag), None);
    }

    #[test]
    fn p3_a_queue_over_its_limit_closes_at_once() {
        let lag = CheckpointLag::new(Duration::from_secs(600));
        lag.waits(Instant::now(), true);
        assert_eq!(cause(&lag), Some(Cause::SyncLate));
    }
}
