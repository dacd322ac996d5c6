//! Logs for people, on standard output: they never hold up a request, and may be dropped. The trail is
//! what proves things; nothing of it comes through here.
//!
//! 1. [`subscriber`] decides by level what is told;
//! 2. [`mod@line`] makes one line of it, for people or as JSON;
//! 3. [`queue`] hands lines to the one thread that writes;
//! 4. [`panics`] tells of a panic without what a caller sent.

mod line;
mod panics;
mod queue;
mod subscriber;

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tracing::level_filters::LevelFilter;

use crate::clock::Clock;
use line::Style;
use queue::Queue;

/// At the end, lines still waiting have so long to be read.
const MAX_FLUSH: Duration = Duration::from_secs(1);

/// How logs for people are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The least level shown: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// Lines for people, or JSON; `Auto` asks whether standard output is a terminal.
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

/// The process's logs: where lines go and which are told.
#[derive(Debug)]
pub struct Logs {
    queue: Queue,
    switches: Arc<Switches>,
}

/// What a reload may change while lines are being made.
#[derive(Debug)]
struct Switches {
    level: AtomicU8,
    style: AtomicU8,
}

impl Logs {
    /// Begins to write `tracing`'s events to standard output, and panics too, for the rest of the process.
    /// Lines that find no room are counted in `dropped`.
    ///
    /// # Errors
    /// Where standard output cannot be had, or logs were begun before.
    pub fn start(settings: &Settings, clock: Clock, dropped: Counter) -> io::Result<Self> {
        let output = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let queue = Queue::start(output, dropped)?;
        let switches = Arc::new(Switches::new(settings));
        let subscriber = subscriber::Lines::new(queue.clone(), Arc::clone(&switches), clock);
        tracing::subscriber::set_global_default(subscriber).map_err(io::Error::other)?;
        panics::tell();
        Ok(Self { queue, switches })
    }

    /// Takes over what a reload has changed.
    pub fn set(&self, settings: &Settings) {
        self.switches.set(settings);
        tracing::callsite::rebuild_interest_cache();
    }

    /// Writes what still waits, for at most a second: a reader who has stopped does not hold up the end.
    pub fn stop(self) {
        self.queue.stop(MAX_FLUSH);
    }
}

impl Switches {
    fn new(settings: &Settings) -> Self {
        let switches = Self {
            level: AtomicU8::new(0),
            style: AtomicU8::new(0),
        };
        switches.set(settings);
        switches
    }

    fn set(&self, settings: &Settings) {
        let rank = RANKS.iter().position(|(name, _)| *name == settings.level);
        // The config has judged the name; what is not one is `info`.
        let rank = rank.and_then(|rank| u8::try_from(rank).ok()).unwrap_or(2);
        self.level.store(rank, Ordering::Relaxed);
        self.style
            .store(style(settings.format) as u8, Ordering::Relaxed);
    }

    fn level(&self) -> LevelFilter {
        RANKS
            .get(usize::from(self.level.load(Ordering::Relaxed)))
            .map_or(LevelFilter::INFO, |(_, filter)| *filter)
    }

    fn style(&self) -> Style {
        match self.style.load(Ordering::Relaxed) {
            0 => Style::Json,
            1 => Style::Plain,
            _ => Style::Coloured,
        }
    }
}

const RANKS: [(&str, LevelFilter); 5] = [
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

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
mod tests {
    use super::*;

    fn settings(level: &str, format: Format) -> Settings {
        Settings {
            level: level.into(),
            format,
        }
    }

    #[test]
    fn a_reload_changes_level_and_form() {
        let switches = Switches::new(&settings("warn", Format::Json));
        assert_eq!(switches.level(), LevelFilter::WARN);
        assert_eq!(switches.style(), Style::Json);
        switches.set(&settings("trace", Format::Pretty));
        assert_eq!(switches.level(), LevelFilter::TRACE);
        assert_ne!(switches.style(), Style::Json);
    }

    #[test]
    fn every_level_of_the_config_is_known() {
        for (name, filter) in RANKS {
            let switches = Switches::new(&settings(name, Format::Json));
            assert_eq!(switches.level(), filter);
        }
    }
}
