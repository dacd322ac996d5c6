//! All metrics of the gateway; every name begins with `lychgate_`.

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

/// The labels of a request.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RequestLabels {
    /// The contract's operation; `none` if the request matches no operation.
    pub operation: Arc<str>,
    /// The status sent to the caller.
    pub status: u16,
    /// The refusal's code; empty for an answer of upstream.
    pub code: &'static str,
}

/// One counter of [`All::requests`] without a refusal's code.
#[derive(Clone, Debug)]
struct Answers {
    operation: Arc<str>,
    status: u16,
    counter: Counter,
}

/// The maximum number of counters that are found without building labels.
const MAX_ANSWERS: usize = 64;

/// The label of a trail outage.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct CauseLabels {
    /// The cause, as in the refusal `audit-unavailable`.
    pub cause: &'static str,
}

/// The label of a reload.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ReloadLabels {
    /// `in-force` or `refused`.
    pub result: &'static str,
}

/// Every metric of the gateway; clones share the same values.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<All>);

impl Deref for Metrics {
    type Target = All;

    fn deref(&self) -> &All {
        &self.0
    }
}

/// The values behind [`Metrics`].
#[derive(Debug)]
pub struct All {
    /// Requests answered, by operation, status and refusal code.
    pub requests: Family<RequestLabels, Counter>,
    /// Counters of upstream's answers, found without building labels.
    answers: ArcSwap<Vec<Answers>>,
    /// Seconds from a request's head to its answer's head.
    pub request_seconds: Histogram,
    /// Seconds from sending a request upstream to its answer's head.
    pub upstream_seconds: Histogram,
    /// Connections opened to upstream.
    pub upstream_connections: Counter,
    /// Reads that the client sent again on another connection.
    pub upstream_retries: Counter,
    /// Connections open from callers.
    pub connections: Gauge,
    /// Connections that the parser closed and heads that it refused, before any layer saw them.
    pub parser_refusals: Counter,
    /// Deletions with an intent and no outcome in the trail yet.
    pub deletions_in_flight: Gauge,
    /// Seconds of one sync of the trail.
    pub audit_sync_seconds: Histogram,
    /// Entries written to the trail and synced.
    pub audit_entries: Counter,
    /// Entries that the newest checkpoint covers.
    pub audit_checkpoint_entries: Gauge,
    /// Unix time in seconds when the publisher last published a checkpoint or confirmed that it is
    /// up to date.
    pub audit_checkpoint_time: Gauge,
    /// Seconds from the start of writing tiles to a durable checkpoint.
    pub audit_publish_seconds: Histogram,
    /// 1 while the trail accepts deletions, 0 during an outage.
    pub audit_open: Gauge,
    /// Bytes free on the trail's disk.
    pub audit_free_bytes: Gauge,
    /// 0 if the free space is sufficient, 1 below `free_space_warn`, 2 below `free_space_low`.
    pub audit_space_level: Gauge,
    /// Bytes of the reserve file, which is freed when the disk is full.
    pub audit_reserve_bytes: Gauge,
    /// Deletions refused because of the trail, by cause.
    pub audit_refused: Family<CauseLabels, Counter>,
    /// Access records dropped because their reader was too slow.
    pub log_lines_dropped: Counter,
    /// Tokens answered from the cache.
    pub token_cache_hits: Counter,
    /// Tokens whose signature was checked.
    pub token_cache_misses: Counter,
    /// Successful reads or fetches of a key set.
    pub key_refreshes: Counter,
    /// Failed reads or fetches of a key set.
    pub key_refresh_failures: Counter,
    /// Requested reloads, by result.
    pub reloads: Family<ReloadLabels, Counter>,
    before_reading: BeforeReading,
    registry: Registry,
}

/// Updates the values that are computed only when the metrics are read.
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
    /// Counts a request by its operation (if one matched), the status sent, and the refusal's code.
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
            // Reloads leave unused counters of old operations, so a full list starts again empty.
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
            // Of two concurrent updates, one may be lost; the next request adds it again.
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

    /// Sets the function that runs before each read of the metrics, and replaces the previous one.
    pub fn before_reading(&self, set: impl Fn() + Send + Sync + 'static) {
        let before = self.before_reading.0.lock();
        *before.unwrap_or_else(PoisonError::into_inner) = Some(Box::new(set));
    }

    /// All metrics in the OpenMetrics text format.
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
            "Request head to answer head",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        r.register_with_unit(
            "upstream",
            "Request sent to answer head",
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
            "Heads that the parser refused",
            self.parser_refusals.clone(),
        );
        r.register(
            "log_lines_dropped",
            "Access records dropped",
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
            "When the newest checkpoint was published or confirmed",
            Unit::Seconds,
            self.audit_checkpoint_time.clone(),
        );
        r.register_with_unit(
            "audit_publish",
            "Time to write tiles and a checkpoint",
            Unit::Seconds,
            self.audit_publish_seconds.clone(),
        );
        r.register(
            "audit_open",
            "1 while the trail accepts deletions",
            self.audit_open.clone(),
        );
        for (name, help, gauge) in [
            (
                "free_bytes",
                "Free bytes on the trail's disk",
                &self.audit_free_bytes,
            ),
            (
                "space_level",
                "Free space: 0 sufficient, 1 warning, 2 low",
                &self.audit_space_level,
            ),
            (
                "reserve_bytes",
                "Bytes of the reserve file",
                &self.audit_reserve_bytes,
            ),
        ] {
            r.register(format!("audit_{name}"), help, gauge.clone());
        }
        r.register(
            "audit_refused",
            "Deletions refused, by cause",
            self.audit_refused.clone(),
        );
    }

    fn register_tokens(&self, r: &mut Registry) {
        r.register(
            "token_cache_hits",
            "Tokens found in the cache",
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
    fn the_text_contains_the_counted_values() {
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
    fn names_have_the_prefix_and_the_text_ends_with_eof() {
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
    fn clones_share_their_values() {
        let metrics = Metrics::new();
        let other = metrics.clone();
        other.audit_entries.inc();
        assert_eq!(metrics.audit_entries.get(), 1);
        drop(other);
    }
}
