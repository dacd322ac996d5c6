//! Which events become lines. Spans are not kept: a request's facts stand in its one access line.

use std::cell::RefCell;
use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use super::queue::Queue;
use super::{Switches, line};
use crate::clock::{Clock, Stamp};

/// A thread's buffer is no longer than this between lines.
const MAX_KEPT_BYTES: usize = 4 * 1024;

thread_local! {
    /// One a thread: an access line costs no allocation.
    static BUFFER: RefCell<Buffer> = const { RefCell::new(Buffer::new()) };
}

/// Where a line is made.
struct Buffer {
    line: String,
    stamp: Stamp,
}

impl Buffer {
    const fn new() -> Self {
        Self {
            line: String::new(),
            stamp: Stamp::new(),
        }
    }
}

/// Turns events into lines.
#[derive(Debug)]
pub(super) struct Lines {
    queue: Queue,
    switches: Arc<Switches>,
    clock: Clock,
}

impl Lines {
    /// Lines go into `queue`.
    pub(super) fn new(queue: Queue, switches: Arc<Switches>, clock: Clock) -> Self {
        Self {
            queue,
            switches,
            clock,
        }
    }

    fn is_told(&self, metadata: &Metadata<'_>) -> bool {
        // Another crate's debug lines may show bytes of a request: only its warnings are told.
        let ours = metadata
            .module_path()
            .is_some_and(|path| path.starts_with("lychgate"));
        let most = if ours {
            self.switches.level()
        } else {
            self.switches.level().min(LevelFilter::WARN)
        };
        metadata.is_event() && *metadata.level() <= most
    }

    fn push(&self, buffer: &mut Buffer, event: &Event<'_>) {
        let Buffer { line, stamp } = buffer;
        line.clear();
        let time = stamp.show(self.clock.now());
        line::write(line, self.switches.style(), time, event);
        let urgent = *event.metadata().level() <= Level::WARN;
        self.queue.push(line.as_bytes(), urgent);
        line.shrink_to(MAX_KEPT_BYTES);
    }
}

impl Subscriber for Lines {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.is_told(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.is_told(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.switches.level())
    }

    fn event(&self, event: &Event<'_>) {
        BUFFER.with(|buffer| match buffer.try_borrow_mut() {
            Ok(mut buffer) => self.push(&mut buffer, event),
            // A value that logs while it is being shown.
            Err(_) => self.push(&mut Buffer::new(), event),
        });
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, Read};
    use std::time::Duration;

    use prometheus_client::metrics::counter::Counter;

    use super::super::{Format, Settings};
    use super::*;
    use crate::clock::Time;

    /// What `told` logs at this level and in this form.
    fn lines(level: &str, format: Format, told: impl FnOnce()) -> String {
        let (mut reader, writer): (PipeReader, _) = std::io::pipe().unwrap();
        let queue = Queue::start(writer, Counter::default()).unwrap();
        let switches = Switches::new(&Settings {
            level: level.into(),
            format,
        });
        let clock = Clock::manual(Time(1_764_000_000_000_005));
        let subscriber = Lines::new(queue.clone(), Arc::new(switches), clock);
        tracing::subscriber::with_default(subscriber, told);
        queue.stop(Duration::from_secs(5));
        drop(queue);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_json_line_is_one_object() {
        let text = lines("info", Format::Json, || {
            tracing::info!(status = 200, code = "", took = 0.5, "answered \"it\"");
        });
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["time"], "2025-11-24T16:00:00.000005Z");
        assert_eq!(value["level"], "info");
        assert_eq!(value["message"], "answered \"it\"");
        assert_eq!(value["status"], 200);
        assert_eq!(value["took"], 0.5);
    }

    #[test]
    fn a_line_for_people_begins_with_its_message() {
        let text = lines("info", Format::Pretty, || {
            tracing::warn!(path = "/a b", n = 1, "closed");
        });
        assert!(text.contains("warn  closed path=\"/a b\" n=1\n"), "{text}");
    }

    #[test]
    fn p8_nothing_from_outside_ends_a_line_or_steers_a_terminal() {
        let evil = "a\nb\u{1b}[31m\r\u{202e}\u{9b}";
        for format in [Format::Json, Format::Pretty] {
            let text = lines("info", format, || {
                tracing::info!(evil, "said {evil}");
                tracing::info!(%evil, ?evil, "{evil}");
            });
            assert_eq!(text.lines().count(), 2, "{text}");
            let harmful = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
            assert!(!text.contains(harmful), "{text:?}");
        }
        let text = lines("info", Format::Json, || tracing::info!(evil, "x"));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["evil"], evil);
    }

    #[test]
    fn what_lies_below_the_level_is_not_told() {
        let text = lines("warn", Format::Json, || {
            tracing::info!("quiet");
            tracing::error!("loud");
        });
        assert!(!text.contains("quiet") && text.contains("loud"), "{text}");
    }
}
