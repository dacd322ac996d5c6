//! Writes logs for people to standard output. A log line never delays a request; if its reader is too slow,
//! the line is dropped. The entries of the audit trail never pass through this module.
//!
//! 1. `tracing-subscriber` takes the events that [`Shown`] lets through;
//! 2. [`mod@line`] formats an event, for people or as JSON;
//! 3. [`queue`] passes lines to the only thread that writes;
//! 4. [`panics`] logs a panic without the bytes that a caller sent.

mod line;
mod panics;
mod queue;

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::metrics::counter::Counter;
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::SubscriberExt;

use crate::clock::Clock;
use line::Style;
use queue::Queue;

/// When the process ends, how long it waits for the reader to take the queued lines.
const MAX_FLUSH: Duration = Duration::from_secs(1);

/// The settings of the logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The least severe level that is shown.
    pub level: LevelFilter,
    /// Lines for people, or JSON.
    pub format: Format,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// A line of text for people.
    Pretty,
    /// One JSON object per line.
    Json,
}

/// The process's logs.
#[derive(Debug)]
pub(crate) struct Logs {
    queue: Queue,
    shown: Arc<ArcSwap<Shown>>,
}

/// Which events the logs show, and in which style. A reload replaces this value while other threads log.
#[derive(Debug)]
struct Shown {
    level: LevelFilter,
    style: Style,
}

impl Logs {
    /// From now on, writes the events of `tracing` and all panics to standard output. `dropped` counts the
    /// lines that find no room in the queue.
    pub(crate) fn start(settings: &Settings, clock: Clock, dropped: Counter) -> io::Result<Self> {
        let output = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let queue = Queue::start(output, dropped)?;
        let shown = Arc::new(ArcSwap::from_pointee(Shown::of(settings)));
        let subscriber = subscriber(queue.clone(), Arc::clone(&shown), clock);
        tracing::subscriber::set_global_default(subscriber).map_err(io::Error::other)?;
        panics::tell();
        Ok(Self { queue, shown })
    }

    /// Applies the settings of a reload.
    pub(crate) fn set(&self, settings: &Settings) {
        self.shown.store(Arc::new(Shown::of(settings)));
        tracing::callsite::rebuild_interest_cache();
    }

    /// Writes the queued lines for at most a second, so that a stalled reader does not delay the end of the
    /// process.
    pub(crate) fn stop(self) {
        self.queue.stop(MAX_FLUSH);
    }
}

/// Makes the subscriber. It does not use `tracing_subscriber::reload`, which would take a lock at each event,
/// so an event that occurs inside another event could deadlock.
fn subscriber(
    queue: Queue,
    shown: Arc<ArcSwap<Shown>>,
    clock: Clock,
) -> impl Subscriber + Send + Sync {
    let filtered = Arc::clone(&shown);
    let filter = FilterFn::new(move |metadata| filtered.load().includes(metadata));
    let lines = tracing_subscriber::fmt::layer()
        .event_format(line::Format { shown, clock })
        .with_writer(queue);
    tracing_subscriber::registry().with(lines).with(filter)
}

impl Shown {
    fn of(settings: &Settings) -> Self {
        Self {
            level: settings.level,
            style: style(settings.format),
        }
    }

    /// Whether the logs show this event. Spans are never shown, because the access line holds the facts of a
    /// request.
    fn includes(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.most(metadata.module_path())
    }

    /// The most verbose level for a module. The debug lines of other crates may hold bytes of a request, so
    /// the logs show only warnings and errors of other crates.
    fn most(&self, module_path: Option<&str>) -> LevelFilter {
        match module_path {
            Some(path) if path.starts_with("lychgate") => self.level,
            _ => self.level.min(LevelFilter::WARN),
        }
    }
}

fn style(format: Format) -> Style {
    let terminal = io::stdout().is_terminal();
    let colour = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
    match format {
        Format::Json => Style::Json,
        Format::Auto if !terminal => Style::Json,
        Format::Auto | Format::Pretty if colour => Style::Coloured,
        Format::Auto | Format::Pretty => Style::Plain,
    }
}

#[cfg(test)]
pub(crate) mod tests;
