//! Holds one issuer's key set and keeps it up to date. A set stays in force until the background
//! task reads a newer valid set.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::KeySource;
use super::claims::sha256_hex;
use super::key_set::{KeySet, MAX_SET_BYTES};
use crate::clock::{Clock, Time};
use crate::fetch::{Address, Fetch};
use crate::metrics::Metrics;
use crate::trouble::Trouble;

mod file;
mod url;

/// How often the background task reads or fetches keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The time between two checks of a file.
    pub(super) poll: Duration,
    /// The time from one successful fetch to the next.
    pub(super) refresh: Duration,
    /// The minimum time from one fetch to an early next fetch. A token that may need a newer key,
    /// for example because its `kid` is unknown, triggers an early fetch.
    pub(super) asked: Duration,
    /// The delay after the first failed fetch, while no key set is in force. Each further failure
    /// doubles the delay.
    pub(super) first_retry: Duration,
    /// The maximum delay after a failed fetch.
    pub(super) longest_retry: Duration,
    /// The timeout of one fetch.
    pub(super) timeout: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            refresh: Duration::from_secs(300),
            asked: Duration::from_secs(30),
            first_retry: Duration::from_secs(1),
            longest_retry: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
        }
    }
}

/// The key set in force. Each new set increases the generation.
pub(super) struct Current {
    pub(super) set: KeySet,
    pub(super) generation: u64,
    digest: String,
}

/// One issuer's keys. Dropping the value stops the background task.
pub(super) struct Keys {
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("source", &self.shared.source)
            .finish_non_exhaustive()
    }
}

/// The state that [`Keys`] and the background task share.
struct Shared {
    issuer: String,
    source: KeySource,
    current: ArcSwapOption<Current>,
    trouble: Arc<Trouble>,
    /// When the gateway began to look for keys.
    started: Time,
    /// When the task last read a valid set.
    read: Mutex<Option<Instant>>,
    wish: Notify,
    metrics: Metrics,
}

impl Keys {
    /// Reads a file at once, or fetches a URL in the background. `seed` is the `Keys` value that
    /// the previous config had for the same issuer and source, if any. If `seed` has a key set,
    /// that set is in force at once, and an unreadable or invalid file is not an error.
    pub(super) fn new(
        issuer: &str,
        source: &KeySource,
        seed: Option<&Keys>,
        fetch: Fetch,
        metrics: Metrics,
        clock: Clock,
        pace: Pace,
    ) -> Result<Self, String> {
        let shared = Arc::new(Shared {
            issuer: issuer.to_owned(),
            source: source.clone(),
            current: ArcSwapOption::new(seed.and_then(|keys| keys.shared.current.load_full())),
            trouble: seed.map_or_else(
                || Arc::new(Trouble::new(clock.clone())),
                |keys| Arc::clone(&keys.shared.trouble),
            ),
            started: clock.now(),
            read: Mutex::new(seed.and_then(|keys| keys.shared.last_read())),
            wish: Notify::new(),
            metrics,
        });
        let task = match source {
            KeySource::File(path) => {
                let watch = file::Watch::start(path, &shared);
                if shared.current.load().is_none() {
                    let present = shared.trouble.present();
                    return Err(present.map_or_else(String::new, |present| present.detail));
                }
                tokio::spawn(watch.run(Arc::clone(&shared), pace))
            }
            KeySource::Url(text) => {
                let address = Address::parse(text).map_err(|why| format!("jwks_url {why}"))?;
                tokio::spawn(url::follow(Arc::clone(&shared), fetch, address, pace))
            }
        };
        Ok(Self {
            shared,
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// Whether these keys belong to this issuer and source. If so, a new config can take them over.
    pub(super) fn are_of(&self, issuer: &str, source: &KeySource) -> bool {
        self.shared.issuer == issuer && self.shared.source == *source
    }

    /// The key set in force; `None` until the first set is read. Takes no lock.
    pub(super) fn current(&self) -> Guard<Option<Arc<Current>>> {
        self.shared.current.load()
    }

    /// Requests a fetch because a token may need a newer key. The task limits the rate of fetches;
    /// the caller never waits.
    pub(super) fn ask(&self) {
        self.shared.wish.notify_one();
    }

    /// How long ago the set in force was read or confirmed; `None` if there is none.
    pub(super) fn age(&self) -> Option<Duration> {
        self.shared.last_read().map(|read| read.elapsed())
    }

    /// The present problem with the keys and the time at which it began; `None` if there is no
    /// problem. The text gives the cause, the effect and the remedy.
    pub(super) fn trouble(&self) -> Option<(String, Time)> {
        let shared = &self.shared;
        let Some(present) = shared.trouble.present() else {
            let is_read = shared.current.load().is_some();
            let none = || ("no key set was read yet".to_owned(), shared.started);
            return (!is_read).then(none);
        };
        let (effect, remedy) = (shared.effect(), shared.remedy());
        Some((
            format!("{}; {effect}; {remedy}", present.detail),
            present.since,
        ))
    }
}

impl Shared {
    fn last_read(&self) -> Option<Instant> {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a newly read set in force and returns `true`. If the read failed or the set is
    /// unusable, keeps the old set, logs the error and returns `false`.
    fn take(&self, read: Result<impl AsRef<[u8]>, String>) -> bool {
        match read.and_then(|bytes| self.accept(bytes.as_ref())) {
            Ok(()) => {
                self.metrics.key_refreshes.inc();
                *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                if let Some(ended) = self.trouble.ends() {
                    let (issuer, since) = (&self.issuer, ended.since);
                    tracing::info!(issuer, %since, "the key set can be read again");
                }
                true
            }
            Err(text) => {
                self.metrics.key_refresh_failures.inc();
                self.log(&text);
                false
            }
        }
    }

    fn log(&self, reason: &str) {
        let Some(due) = self.trouble.occurs("keys-unread", reason, 1) else {
            return;
        };
        let (issuer, effect, remedy) = (&self.issuer, self.effect(), self.remedy());
        let (failed, since) = (due.count, due.since);
        if self.current.load().is_some() {
            tracing::warn!(issuer, reason, failed, %since, remedy, "no new key set: {effect}");
        } else {
            tracing::error!(issuer, reason, failed, %since, remedy, "no key set: {effect}");
        }
    }

    fn effect(&self) -> &'static str {
        match self.current.load().is_some() {
            true => "the keys read before stay in force",
            false => "the issuer's callers are refused",
        }
    }

    fn remedy(&self) -> String {
        match &self.source {
            KeySource::File(path) => format!(
                "mend {}: the gateway reads it again within a second (docs/operations.md, \"Keys\")",
                path.display()
            ),
            KeySource::Url(text) => format!(
                "try `curl -v {}` from this machine: the gateway fetches again by itself (docs/operations.md, \"Keys\")",
                without_query(text)
            ),
        }
    }

    fn accept(&self, bytes: &[u8]) -> Result<(), String> {
        let digest = sha256_hex(bytes);
        let before = self.current.load_full();
        if before.as_ref().is_some_and(|old| old.digest == digest) {
            return Ok(());
        }
        let set = parse(bytes, &self.issuer, &self.source)?;
        self.current.store(Some(Arc::new(Current {
            set,
            generation: before.map_or(1, |old| old.generation + 1),
            digest,
        })));
        tracing::info!(issuer = self.issuer, "a key set is in force");
        Ok(())
    }
}

/// Reads an issuer's keys once, only to check them. The error says why there is no usable key.
pub(super) async fn read_once(
    issuer: &str,
    source: &KeySource,
    fetch: &Fetch,
) -> Result<(), String> {
    let set = match source {
        KeySource::File(path) => parse(&file::read(path)?.1, issuer, source),
        KeySource::Url(text) => {
            let address = Address::parse(text).map_err(|why| format!("jwks_url {why}"))?;
            let timeout = Pace::default().timeout;
            let bytes = fetch.get(&address, MAX_SET_BYTES, timeout).await?;
            parse(&bytes, issuer, source)
        }
    };
    set.map(drop)
}

fn parse(bytes: &[u8], issuer: &str, source: &KeySource) -> Result<KeySet, String> {
    let place = match source {
        KeySource::File(path) => path.display().to_string(),
        KeySource::Url(text) => without_query(text).to_owned(),
    };
    KeySet::parse(bytes, issuer).map_err(|why| format!("{place}: {why}"))
}

/// Removes the query, which may contain a secret.
fn without_query(url: &str) -> &str {
    url.split_once('?').map_or(url, |(start, _)| start)
}

#[cfg(test)]
mod tests;
