//! A bounded queue of log lines for standard output. One thread writes the lines, and no other thread waits
//! for a write.
//!
//! A thread that logs locks the queue only while it copies its line, and no thread writes to the output while
//! it holds that lock. So if the reader of the output stalls, lines are dropped and counted, but nothing else
//! happens.

use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// The most bytes in the queue. The batch that the writer thread holds can be just as large.
const MAX_WAITING_BYTES: usize = 1 << 20;
/// Extra room that only warnings and errors may use when the queue is full.
const RESERVED_BYTES: usize = 64 << 10;
/// How long the writer lets lines gather, so that one write covers many lines.
const GATHER: Duration = Duration::from_millis(5);
/// How long the writer thread waits before it writes again if standard output is a full, non-blocking pipe.
const FULL_PIPE_PAUSE: Duration = Duration::from_millis(10);

/// The queue. All clones share the same lines.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    dropped: Counter,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    lines: u64,
    /// Lines dropped since the last line that reported a drop.
    untold: u64,
    writing: bool,
    stopping: bool,
}

impl Queue {
    /// Starts the thread that writes to `output`.
    pub(super) fn start<W>(output: W, dropped: Counter) -> io::Result<Self>
    where
        W: Write + Send + 'static,
    {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            dropped,
        });
        let writer = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("log".into())
            .spawn(move || writer.write_all(output))?;
        Ok(Self { shared })
    }

    /// Adds one line with its line feed, and never waits for a write. Only an `urgent` line may use the extra
    /// room.
    fn push(&self, line: &[u8], urgent: bool) {
        let room = MAX_WAITING_BYTES + if urgent { RESERVED_BYTES } else { 0 };
        let mut state = self.shared.lock();
        if state.waiting.len() + line.len() > room {
            state.untold += 1;
            drop(state);
            self.shared.dropped.inc();
            return;
        }
        let was_empty = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        state.lines += 1;
        drop(state);
        if was_empty {
            self.shared.changed.notify_all();
        }
    }

    /// Waits until all lines are written, but no longer than `at_most`. After that, the writer thread may
    /// still be writing.
    pub(super) fn stop(&self, at_most: Duration) {
        let until = Instant::now() + at_most;
        let mut state = self.shared.lock();
        state.stopping = true;
        self.shared.changed.notify_all();
        while !state.waiting.is_empty() || state.writing {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return;
            };
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Entrance<'a>;

    fn make_writer(&'a self) -> Entrance<'a> {
        Entrance {
            queue: self,
            urgent: false,
        }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Entrance<'a> {
        Entrance {
            queue: self,
            urgent: *metadata.level() <= Level::WARN,
        }
    }
}

/// Adds lines to the queue. The `fmt` layer passes one whole line per write.
#[derive(Debug)]
pub(super) struct Entrance<'a> {
    queue: &'a Queue,
    urgent: bool,
}

impl Write for Entrance<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.queue.push(line, self.urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all<W: Write>(&self, mut output: W) {
        let mut batch = Vec::new();
        while let Some((lines, untold)) = self.next(&mut batch) {
            if write(&mut output, &batch).is_err() {
                // The lines are lost if the write fails, for example because the pipe has no reader. The
                // gateway continues.
                self.dropped.inc_by(lines);
            }
            if untold > 0 {
                let told = format!(
                    "{{\"level\":\"warn\",\"message\":\"{untold} log lines dropped here: their reader was too slow\"}}\n"
                );
                // This line is only for people. If its write fails too, the counter still shows the drop.
                let _ = write(&mut output, told.as_bytes());
            }
            batch.clear();
        }
    }

    /// Waits for lines and moves them into `batch`. Returns the number of these lines, and the number of
    /// lines dropped after them. Returns `None` if the queue is stopping and empty.
    fn next(&self, batch: &mut Vec<u8>) -> Option<(u64, u64)> {
        let mut state = self.lock();
        state.writing = false;
        self.changed.notify_all();
        while state.waiting.is_empty() {
            if state.stopping {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if !state.stopping {
            drop(state);
            std::thread::sleep(GATHER);
            state = self.lock();
        }
        std::mem::swap(&mut state.waiting, batch);
        state.writing = true;
        Some((
            std::mem::take(&mut state.lines),
            std::mem::take(&mut state.untold),
        ))
    }
}

/// Like `write_all`, but also waits for a full, non-blocking pipe.
fn write(output: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(FULL_PIPE_PAUSE);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    output.flush()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::mpsc::channel;

    use super::*;

    /// Met only by a failure.
    const PATIENCE: Duration = Duration::from_secs(120);

    /// Fails if the work never ends.
    fn ends(what: &str, work: impl FnOnce() + Send + 'static) {
        let (done, ended) = channel();
        std::thread::spawn(move || {
            work();
            let _ = done.send(());
        });
        assert!(ended.recv_timeout(PATIENCE).is_ok(), "{what} waited");
    }

    #[test]
    fn p14_a_reader_that_has_stopped_holds_up_nobody() {
        let (mut reader, writer) = io::pipe().unwrap();
        let dropped = Counter::default();
        let queue = Queue::start(writer, dropped.clone()).unwrap();
        // Nobody reads until both have ended.
        let pushing = queue.clone();
        ends("pushing", move || {
            for _ in 0..4096 {
                pushing.push(&[b'x'; 1024], false);
            }
        });
        let lost = dropped.get();
        assert!(lost >= 4096 - 2048 - 64 - 1);
        queue.push(b"a warning\n", true);
        assert_eq!(dropped.get(), lost);
        let stopping = queue.clone();
        ends("stopping", move || stopping.stop(Duration::from_millis(50)));

        // The reader comes back: it gets the lines that were kept, and the loss.
        let mut text = Vec::new();
        drop(queue);
        reader.read_to_end(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("log lines dropped here"));
        assert!(text.contains("a warning\n"));
    }

    #[test]
    fn lines_come_out_whole_and_in_order() {
        let (mut reader, writer) = io::pipe().unwrap();
        let queue = Queue::start(writer, Counter::default()).unwrap();
        for number in 0..100 {
            queue.push(format!("{number}\n").as_bytes(), false);
        }
        queue.stop(PATIENCE);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        let wanted: String = (0..100).map(|number| format!("{number}\n")).collect();
        assert_eq!(text, wanted);
    }

    #[test]
    fn without_a_reader_lines_are_counted_as_dropped() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let dropped = Counter::default();
        let queue = Queue::start(writer, dropped.clone()).unwrap();
        queue.push(b"lost\n", false);
        queue.stop(PATIENCE);
        assert_eq!(dropped.get(), 1);
    }
}
