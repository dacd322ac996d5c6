//! What is counted and timed, in one place; every name begins with `lychgate_`.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Labels of a request: what was asked, what was answered.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RequestLabels {
    /// The contract's operation, or `none` where no operation was found.
    pub operation: Arc<str>,
    /// The status sent to the caller.
    pub status: u16,
    /// The refusal's code, or empty where upstream's answer was passed on.
    pub code: &'static str,
}

/// One counter of [`All::requests`], where no refusal's code stands.
#[derive(Clone, Debug)]
struct Answers {
    operation: Arc<str>,
    status: u16,
    counter: Counter,
}

/// Counters found without making labels; all others are looked up.
const MAX_ANSWERS: usize = 64;

/// Labels of a cause of trouble with the trail.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct CauseLabels {
    /// The cause as the refusal `audit-unavailable` names it.
    pub cause: &'static str,
}

/// Labels of a reload.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ReloadLabels {
    /// `in-force` or `refused`.
    pub result: &'static str,
}

/// Every metric of the gateway; a clone is one more reference to the same.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<All>);

impl Deref for Metrics {
    type Target = All;

    fn deref(&self) -> &All {
        &self.0
    }
}

/// What [`Metrics`] refers to.
#[derive(Debug)]
pub struct All {
    /// Requests answered, by operation, status and refusal code.
    pub requests: Family<RequestLabels, Counter>,
    /// The counters of answers that upstream gave, found without making labels.
    answers: ArcSwap<Vec<Answers>>,
    /// Seconds from a request's head to its answer's head.
    pub request_seconds: Histogram,
    /// Seconds from sending a request upstream to its answer's head.
    pub upstream_seconds: Histogram,
    /// Connections opened to upstream.
    pub upstream_connections: Counter,
    /// Requests that were sent again on another connection, reads only.
    pub upstream_retries: Counter,
    /// Connections open from callers.
    pub connections: Gauge,
    /// Connections closed or heads refused by the parser, before any layer saw them.
    pub parser_refusals: Counter,
    /// Deletions whose intent is written and whose outcome is not.
    pub deletions_in_flight: Gauge,
    /// Seconds one sync of the trail took.
    pub audit_sync_seconds: Histogram,
    /// Entries written to the trail and synced.
    pub audit_entries: Counter,
    /// Entries that the newest checkpoint covers.
    pub audit_checkpoint_entries: Gauge,
    /// Seconds since 1970 when the newest checkpoint was published, or found to stand still.
    pub audit_checkpoint_time: Gauge,
    /// Seconds from laying out tiles to a new checkpoint that is durable.
    pub audit_publish_seconds: Histogram,
    /// 1 while deletions are taken, 0 while the trail is closed.
    pub audit_open: Gauge,
    /// Bytes free on the trail's disk.
    pub audit_free_bytes: Gauge,
    /// 0 where they are enough, 1 below `free_space_warn`, 2 below `free_space_low`.
    pub audit_space_level: Gauge,
    /// Bytes of the reserve, which is given back on a full disk.
    pub audit_reserve_bytes: Gauge,
    /// Deletions refused because of the trail, by cause.
    pub audit_refused: Family<CauseLabels, Counter>,
    /// Access lines dropped because their reader was too slow.
    pub log_lines_dropped: Counter,
    /// Tokens answered from the cache of verified ones.
    pub token_cache_hits: Counter,
    /// Tokens whose signature was checked.
    pub token_cache_misses: Counter,
    /// Times a key set was fetched or read anew.
    pub key_refreshes: Counter,
    /// Times a key set could not be fetched or read.
    pub key_refresh_failures: Counter,
    /// Reloads asked for, by result.
    pub reloads: Family<ReloadLabels, Counter>,
    before_reading: BeforeReading,
    registry: Registry,
}

/// Sets what would be out of date when it is read.
#[derive(Default)]
struct BeforeReading(Mutex<Option<Box<dyn Fn() + Send + Sync>>>);

impl fmt::Debug for BeforeReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BeforeReading")
    }
}

fn latency() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.0, 17))
}

impl Metrics {
    /// Counts a request: its operation, where one was found, the status sent, and the refusal's code.
    pub fn count_request(&self, operation: Option<&Arc<str>>, status: u16, code: &'static str) {
        let answers = self.answers.load();
        let known = answers.iter().find(|known| {
            code.is_empty()
                && known.status == status
                && operation.is_some_and(|name| Arc::ptr_eq(name, &known.operation))
        });
        if let Some(known) = known {
            known.counter.inc();
            return;
        }
        let operation = operation.map_or_else(|| "none".into(), Arc::clone);
        let labels = RequestLabels {
            operation,
            status,
            code,
        };
        let counter = self.requests.get_or_create_owned(&labels);
        counter.inc();
        if code.is_empty() {
            // Reloads leave counters of operations behind that nobody asks for: then begun anew.
            let keep = if answers.len() < MAX_ANSWERS {
                &answers[..]
            } else {
                &[]
            };
            let mut more = keep.to_vec();
            more.push(Answers {
                operation: labels.operation,
                status,
                counter,
            });
            // Two at once may lose one of both: it is found the next time.
            self.answers.store(Arc::new(more));
        }
    }

    /// Registers every metric.
    #[must_use]
    pub fn new() -> Self {
        let mut all = All {
            requests: Family::default(),
            answers: ArcSwap::default(),
            request_seconds: latency(),
            upstream_seconds: latency(),
            upstream_connections: Counter::default(),
            upstream_retries: Counter::default(),
            connections: Gauge::default(),
            parser_refusals: Counter::default(),
            deletions_in_flight: Gauge::default(),
            audit_sync_seconds: latency(),
            audit_entries: Counter::default(),
            audit_checkpoint_entries: Gauge::default(),
            audit_checkpoint_time: Gauge::default(),
            audit_publish_seconds: latency(),
            audit_open: Gauge::default(),
            audit_free_bytes: Gauge::default(),
            audit_space_level: Gauge::default(),
            audit_reserve_bytes: Gauge::default(),
            audit_refused: Family::default(),
            log_lines_dropped: Counter::default(),
            token_cache_hits: Counter::default(),
            token_cache_misses: Counter::default(),
            key_refreshes: Counter::default(),
            key_refresh_failures: Counter::default(),
            reloads: Family::default(),
            before_reading: BeforeReading::default(),
            registry: Registry::default(),
        };
        let mut registry = Registry::with_prefix("lychgate");
        all.register_requests(&mut registry);
        all.register_audit(&mut registry);
        all.register_tokens(&mut registry);
        registry.register("reloads", "Reloads asked for", all.reloads.clone());
        all.registry = registry;
        Self(Arc::new(all))
    }

    /// Calls this whenever the metrics are read from now on, in place of what was called before.
    pub fn before_reading(&self, set: impl Fn() + Send + Sync + 'static) {
        let before = self.before_reading.0.lock();
        *before.unwrap_or_else(PoisonError::into_inner) = Some(Box::new(set));
    }

    /// All metrics as OpenMetrics text.
    #[must_use]
    pub fn encode(&self) -> String {
        let before = self.before_reading.0.lock();
        if let Some(set) = &*before.unwrap_or_else(PoisonError::into_inner) {
            set();
        }
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

impl All {
    fn register_requests(&self, r: &mut Registry) {
        r.register("requests", "Requests answered", self.requests.clone());
        r.register_with_unit(
            "request",
            "Head to head",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        r.register_with_unit(
            "upstream",
            "Request sent to answer's head",
            Unit::Seconds,
            self.upstream_seconds.clone(),
        );
        r.register(
            "upstream_connections",
            "Connections opened",
            self.upstream_connections.clone(),
        );
        r.register(
            "upstream_retries",
            "Reads sent again",
            self.upstream_retries.clone(),
        );
        r.register(
            "connections",
            "Connections open from callers",
            self.connections.clone(),
        );
        r.register(
            "parser_refusals",
            "Heads the parser refused",
            self.parser_refusals.clone(),
        );
        r.register(
            "log_lines_dropped",
            "Access lines dropped",
            self.log_lines_dropped.clone(),
        );
    }

    fn register_audit(&self, r: &mut Registry) {
        r.register(
            "deletions_in_flight",
            "Open intents",
            self.deletions_in_flight.clone(),
        );
        r.register_with_unit(
            "audit_sync",
            "One sync of the trail",
            Unit::Seconds,
            self.audit_sync_seconds.clone(),
        );
        r.register(
            "audit_entries",
            "Entries synced",
            self.audit_entries.clone(),
        );
        r.register(
            "audit_checkpoint_entries",
            "Entries that the newest checkpoint covers",
            self.audit_checkpoint_entries.clone(),
        );
        r.register_with_unit(
            "audit_checkpoint_timestamp",
            "When the newest checkpoint was published or found to stand",
            Unit::Seconds,
            self.audit_checkpoint_time.clone(),
        );
        r.register_with_unit(
            "audit_publish",
            "Laying out tiles and a checkpoint",
            Unit::Seconds,
            self.audit_publish_seconds.clone(),
        );
        r.register(
            "audit_open",
            "1 while deletions are taken",
            self.audit_open.clone(),
        );
        for (name, help, gauge) in [
            ("free_bytes", "Free on its disk", &self.audit_free_bytes),
            ("space_level", "0 to 2: low", &self.audit_space_level),
            ("reserve_bytes", "Kept back", &self.audit_reserve_bytes),
        ] {
            r.register(format!("audit_{name}"), help, gauge.clone());
        }
        r.register(
            "audit_refused",
            "Deletions refused by cause",
            self.audit_refused.clone(),
        );
    }

    fn register_tokens(&self, r: &mut Registry) {
        r.register(
            "token_cache_hits",
            "Tokens known",
            self.token_cache_hits.clone(),
        );
        r.register(
            "token_cache_misses",
            "Tokens checked",
            self.token_cache_misses.clone(),
        );
        r.register("key_refreshes", "Key sets read", self.key_refreshes.clone());
        r.register(
            "key_refresh_failures",
            "Key sets not read",
            self.key_refresh_failures.clone(),
        );
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_stands_in_the_text() {
        let metrics = Metrics::new();
        let labels = RequestLabels {
            operation: "users.get".into(),
            status: 401,
            code: "token-missing",
        };
        metrics.requests.get_or_create(&labels).inc();
        metrics.audit_sync_seconds.observe(0.001);
        let text = metrics.encode();
        assert!(text.contains(
            "lychgate_requests_total{operation=\"users.get\",status=\"401\",code=\"token-missing\"} 1"
        ));
        assert!(text.contains("lychgate_audit_sync_seconds_count 1"));
    }

    #[test]
    fn every_name_begins_with_the_program_and_the_text_ends_as_open_metrics_says() {
        let text = Metrics::new().encode();
        let names = text.lines().filter(|line| line.starts_with("# TYPE "));
        assert!(names.clone().count() >= 15);
        assert!(
            names
                .clone()
                .all(|line| line.starts_with("# TYPE lychgate_"))
        );
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn clones_count_into_the_same() {
        let metrics = Metrics::new();
        let other = metrics.clone();
        other.audit_entries.inc();
        assert_eq!(metrics.audit_entries.get(), 1);
        drop(other);
    }
}
