//! Logs for people, on standard output. A log line never holds up a request, and may be dropped: the trail is
//! for proof, and no entry of it comes through here.
//!
//! 1. `tracing-subscriber` takes the events that [`Shown`] lets through;
//! 2. [`mod@line`] formats an event, for people or as JSON;
//! 3. [`queue`] hands lines to the one thread that writes;
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

/// At the end, the reader has this long to take the lines that wait.
const MAX_FLUSH: Duration = Duration::from_secs(1);

/// How logs for people are written.
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
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// The process's logs.
#[derive(Debug)]
pub(crate) struct Logs {
    queue: Queue,
    shown: Arc<ArcSwap<Shown>>,
}

/// Which events are shown, and how. A reload replaces it while other threads log.
#[derive(Debug)]
struct Shown {
    level: LevelFilter,
    style: Style,
}

impl Logs {
    /// Writes the events of `tracing`, and panics, to standard output for the rest of the process.
    /// Lines that find no room are counted in `dropped`.
    pub(crate) fn start(settings: &Settings, clock: Clock, dropped: Counter) -> io::Result<Self> {
        let output = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let queue = Queue::start(output, dropped)?;
        let shown = Arc::new(ArcSwap::from_pointee(Shown::of(settings)));
        let subscriber = subscriber(queue.clone(), Arc::clone(&shown), clock);
        tracing::subscriber::set_global_default(subscriber).map_err(io::Error::other)?;
        panics::tell();
        Ok(Self { queue, shown })
    }

    /// Applies what a reload has changed.
    pub(crate) fn set(&self, settings: &Settings) {
        self.shown.store(Arc::new(Shown::of(settings)));
        tracing::callsite::rebuild_interest_cache();
    }

    /// Writes the lines that wait, for at most a second: a reader who has stopped does not hold up the end.
    pub(crate) fn stop(self) {
        self.queue.stop(MAX_FLUSH);
    }
}

/// Not `tracing_subscriber::reload`: it takes a lock at each event, and an event inside an event could wait for ever.
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

    /// Events alone: the facts of a request are in its access line, so spans are not kept.
    fn includes(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.most(metadata.module_path())
    }

    /// Another crate's debug lines may hold bytes of a request, so only its warnings are shown.
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
