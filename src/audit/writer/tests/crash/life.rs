//! One process of the campaign: a trail whose writer and publisher take turns as a seed says, and
//! the callers who delete by it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::random::Random;
use super::*;
use crate::audit::disk::fake::interrupt;
use crate::audit::entry::Reason;
use crate::audit::entry::compose::test_intent;
use crate::audit::publish::ByHand;
use crate::audit::status::Unavailable;
use crate::audit::writer::commit_loop::{CommitLoop, ROUND_BYTES};
use crate::audit::writer::outage::{Outage, Turn};
use crate::audit::writer::{Writer, tests::faults};
use crate::audit::{OpenIntent, Receipt, Unconfirmed};

/// What the callers know, through all crashes.
#[derive(Default)]
pub(super) struct Told {
    /// How many users each deletion that was asked for has, by its request id.
    pub(super) asked: BTreeMap<String, usize>,
    /// The durable intents, by index: upstream may have seen these deletions.
    pub(super) granted: BTreeMap<u64, String>,
    /// How each was to end.
    pub(super) tried: BTreeMap<u64, Ending>,
    /// Whose outcome was confirmed.
    pub(super) answered: BTreeMap<u64, Receipt>,
}

/// How a life ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The trail stopped on request.
    Stopped,
    /// The process was killed, or the power was lost.
    Killed,
}

type Answer<T> = Pin<Box<dyn Future<Output = T>>>;

enum Waiting {
    Begin(String, Answer<Result<OpenIntent, Unavailable>>),
    Close(u64, Answer<Result<Receipt, Unconfirmed>>),
}

/// The writer, without its thread.
struct Running {
    writer: Writer,
    /// `None` while a turn is under way.
    state: RefCell<Option<State>>,
}

enum State {
    Open(Box<CommitLoop>),
    Out(Outage),
}

pub(super) struct Life {
    disk: FakeDisk,
    trail: Trail,
    /// Gives the lock back, so it goes after the publisher.
    publisher: Rc<RefCell<ByHand>>,
    running: Rc<Running>,
    waiting: Vec<Waiting>,
    open: Vec<OpenIntent>,
}

impl Life {
    /// Opens the trail, and tries again if a step fails. `None` if the power was lost.
    pub(super) fn begin(disk: &FakeDisk, settings: &Settings, told: &mut Told) -> Option<Self> {
        let (clock, metrics) = (Clock::system(), Metrics::new());
        let trail = Trail::by_hand(settings, clock, &metrics);
        let writer = Writer {
            disk: Arc::new(disk.clone()),
            settings: settings.clone(),
            shared: Arc::clone(trail.shared()),
            metrics,
        };
        let mut outage = Outage::at_start();
        for _ in 0..50 {
            outage.hurry();
            match outage.turn(&writer) {
                Turn::Open(mut commit_loop) => {
                    let publisher = publisher_of(&mut commit_loop).unwrap();
                    let state = RefCell::new(Some(State::Open(commit_loop)));
                    return Some(Self {
                        disk: disk.clone(),
                        trail,
                        publisher: Rc::new(RefCell::new(publisher)),
                        running: Rc::new(Running { writer, state }),
                        waiting: Vec::new(),
                        open: Vec::new(),
                    });
                }
                _ if disk.is_dead() => return None,
                _ => {
                    let found = trail.state().closed.unwrap();
                    assert!(!found.cause.may_be_lost(), "{found:?}");
                }
            }
        }
        panic!(
            "never opens: {:?}, {} answered",
            trail.state(),
            told.answered.len()
        );
    }

    pub(super) fn closed(&self) -> Option<Unavailable> {
        self.trail.state().closed
    }

    /// Whether a roll-back would be noticed.
    pub(super) fn is_watched(&self) -> bool {
        self.trail.state().unwatched.is_none()
    }

    /// Makes this many moves, or fewer if the power is lost.
    pub(super) fn play(mut self, random: &mut Random, told: &mut Told, moves: usize) -> End {
        for _ in 0..moves {
            if self.disk.is_dead() {
                break;
            }
            self.move_by(random, told);
            self.take_turns(random);
            self.hear(told);
        }
        if self.disk.is_dead() || random.coin() {
            return End::Killed;
        }
        self.stop();
        self.hear(told);
        End::Stopped
    }

    /// A deletion as any other, and a stop.
    pub(super) fn go_on(mut self, told: &mut Told) {
        self.delete(told, 1, 1);
        self.stop();
    }

    /// Makes this many deletions of this many users, from intent to outcome, and publishes nothing.
    pub(super) fn delete(&mut self, told: &mut Told, count: usize, users: usize) {
        for _ in 0..count {
            self.ask(told, users);
        }
        self.hear(told);
        self.running.round();
        self.hear(told);
        for open in std::mem::take(&mut self.open) {
            self.close(told, open, deleted());
        }
        self.hear(told);
        self.running.round();
        self.hear(told);
        assert!(self.waiting.is_empty());
    }

    /// So many batches, the last of them an outcome, all of them published.
    pub(super) fn fill(&mut self, told: &mut Told, batches: usize) {
        self.running.tend();
        for _ in 0..batches % 2 {
            self.trail.refused(faults::refusal());
            self.running.round();
        }
        for _ in 0..batches / 2 {
            self.delete(told, 1, 1);
        }
        assert!(self.publisher.borrow_mut().publish());
    }

    /// Asks for a deletion that nobody closes.
    pub(super) fn leave_open(&mut self, told: &mut Told) {
        self.ask(told, 1);
        self.hear(told);
        self.write();
        self.hear(told);
    }

    /// The writer's turn.
    pub(super) fn write(&self) {
        self.running.round();
        self.take_publisher();
    }

    /// The publisher's turn; says whether it works.
    pub(super) fn publish(&self) -> bool {
        self.publisher.borrow_mut().publish()
    }

    /// The writer's turn without work.
    pub(super) fn look_after(&self) {
        self.running.tend();
    }

    fn stop(&mut self) {
        self.trail.shared().queue.stop();
        self.running.round();
        self.running.stop();
        self.take_publisher();
        self.publisher.borrow_mut().publish_the_rest();
        self.disk.put_back();
    }

    /// What callers do.
    fn move_by(&mut self, random: &mut Random, told: &mut Told) {
        match random.below(16) {
            0..=4 => {
                for _ in 0..=random.below(4) {
                    let users = [1, 1, 1, 2, 300, 3_000][random.below(6)];
                    self.ask(told, users);
                }
            }
            5..=10 => {
                while !self.open.is_empty() && random.below(4) > 0 {
                    let open = self.open.swap_remove(random.below(self.open.len()));
                    self.close(told, open, ending(random));
                }
            }
            // A caller goes away, or a deletion's task is lost.
            11 if random.coin() => drop(self.waiting.pop()),
            11 => drop(self.open.pop()),
            12 => self.trail.refused(faults::refusal()),
            13 | 14 => self.running.tend(),
            _ => match random.below(6) {
                0 | 1 => {
                    self.disk.put_copy("/audit");
                }
                2 => self.disk.put_back(),
                _ => {}
            },
        }
        self.take_publisher();
        self.hear(told);
    }

    /// Once the writer has opened the log again, another publisher publishes.
    fn take_publisher(&self) {
        if let Some(State::Open(commit_loop)) = &mut *self.running.state.borrow_mut()
            && let Some(publisher) = publisher_of(commit_loop)
        {
            self.publisher.replace(publisher);
        }
    }

    /// The writer writes or the publisher publishes, or one while the other does.
    fn take_turns(&self, random: &mut Random) {
        let (running, publisher) = (Rc::clone(&self.running), Rc::clone(&self.publisher));
        let under_way = Rc::clone(&self.publisher);
        let write = move || {
            // The writer waits for the publisher before it opens the log again.
            if running.is_open() || under_way.try_borrow_mut().is_ok() {
                running.round();
            }
        };
        let publish = move || {
            publisher.borrow_mut().publish();
        };
        let number = random.below(40);
        match random.below(8) {
            0 => publish(),
            1 | 2 => interrupt(publish, number, write),
            3 | 4 => interrupt(write, number, publish),
            _ => write(),
        }
        self.take_publisher();
    }

    fn ask(&mut self, told: &mut Told, users: usize) {
        let mut intent = test_intent(users);
        intent.request_id = format!("request-{:08}", told.asked.len());
        told.asked.insert(intent.request_id.clone(), users);
        let (trail, id) = (self.trail.clone(), intent.request_id.clone());
        let answer = Box::pin(async move { trail.begin(intent).await });
        self.waiting.push(Waiting::Begin(id, answer));
    }

    fn close(&mut self, told: &mut Told, open: OpenIntent, ending: Ending) {
        told.tried.insert(open.index(), ending.clone());
        let answer = Waiting::Close(open.index(), Box::pin(open.close(ending)));
        self.waiting.push(answer);
    }

    /// Lets each caller look for its answer.
    fn hear(&mut self, told: &mut Told) {
        let mut context = Context::from_waker(Waker::noop());
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Begin(id, mut answer) => match answer.as_mut().poll(&mut context) {
                    Poll::Ready(Ok(open)) => {
                        told.granted.insert(open.index(), id);
                        self.open.push(open);
                    }
                    Poll::Ready(Err(_)) => {}
                    Poll::Pending => self.waiting.push(Waiting::Begin(id, answer)),
                },
                Waiting::Close(index, mut answer) => match answer.as_mut().poll(&mut context) {
                    Poll::Ready(Ok(receipt)) => {
                        told.answered.insert(index, receipt);
                    }
                    Poll::Ready(Err(_)) => {}
                    Poll::Pending => self.waiting.push(Waiting::Close(index, answer)),
                },
            }
        }
    }
}

impl Running {
    fn is_open(&self) -> bool {
        matches!(&*self.state.borrow(), Some(State::Open(_)))
    }

    /// What the writer's thread does at a time.
    fn round(&self) {
        let Some(state) = self.state.take() else {
            return;
        };
        let next = match state {
            State::Open(mut commit_loop) => {
                let work = self.writer.shared.queue.take(ROUND_BYTES, Duration::ZERO);
                let result = commit_loop.round(work);
                after(commit_loop, result)
            }
            State::Out(mut outage) => {
                outage.hurry();
                match outage.turn(&self.writer) {
                    Turn::Open(commit_loop) => State::Open(commit_loop),
                    Turn::Wait(_) | Turn::Stop => State::Out(outage),
                }
            }
        };
        self.state.replace(Some(next));
    }

    /// The loop's work between rounds; waits for the thread that makes the spare.
    fn tend(&self) {
        let next = match self.state.take() {
            Some(State::Open(mut commit_loop)) => {
                let result = tend(&mut commit_loop);
                Some(after(commit_loop, result))
            }
            other => other,
        };
        self.state.replace(next);
    }

    fn stop(&self) {
        if let Some(State::Open(commit_loop)) = &mut *self.state.borrow_mut() {
            commit_loop.stop();
        }
    }
}

fn tend(commit_loop: &mut CommitLoop) -> Result<(), Unavailable> {
    commit_loop.store.look_after()?;
    commit_loop.spare_again = Instant::now();
    loop {
        commit_loop.tend_spare()?;
        if !commit_loop.store.spares.is_making() {
            return Ok(());
        }
        std::thread::yield_now();
    }
}

fn after(commit_loop: Box<CommitLoop>, result: Result<(), Unavailable>) -> State {
    match result {
        Ok(()) => State::Open(commit_loop),
        Err(found) => State::Out(Outage::of(commit_loop, found)),
    }
}

/// The publisher of a log that was just opened. The scrub is a thread that reads when it likes, so it goes.
fn publisher_of(commit_loop: &mut CommitLoop) -> Option<ByHand> {
    let publisher = commit_loop.store.publishing.as_mut()?.by_hand()?;
    commit_loop.store.scrub = None;
    Some(publisher)
}

fn ending(random: &mut Random) -> Ending {
    let unknown = |reason| Ending {
        outcome: Verdict::Unknown,
        reason: Some(reason),
        sent: Sent::Unknown,
        status: None,
        ..deleted()
    };
    match random.below(4) {
        0 => unknown(Reason::Timeout),
        1 => unknown(Reason::ConnectionLost),
        _ => deleted(),
    }
}
