//! All metrics of the gateway; every name begins with `lychgate_`.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry, Unit};

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

/// The label of a caller that left.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct LeftLabels {
    /// `closed` (FIN) or `reset` (RST).
    pub how: &'static str,
}

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

/// The values that all clones of [`Metrics`] share. [`Metrics::new`] describes each metric.
#[derive(Debug)]
pub struct All {
    pub requests: Family<RequestLabels, Counter>,
    pub request_seconds: Histogram,
    pub upstream_seconds: Histogram,
    pub upstream_connections: Counter,
    /// Requests that wait for a connection to upstream.
    pub upstream_waiting: Gauge,
    /// Requests refused because too many waited already.
    pub upstream_waiters_refused: Counter,
    /// Reads that the client sent again on another connection.
    pub upstream_retries: Counter,
    pub connections: Gauge,
    /// Callers that left while their request ran.
    pub callers_left: Family<LeftLabels, Counter>,
    /// Heads that were late or that the parser refused; `requests` counts them too.
    pub parser_refusals: Counter,
    /// Deletions with an intent and no outcome in the trail yet.
    pub deletions_in_flight: Gauge,
    pub audit_sync_seconds: Histogram,
    pub audit_entries: Counter,
    pub audit_checkpoint_entries: Gauge,
    /// Unix time in seconds when the publisher last published a checkpoint or confirmed that it is
    /// up to date.
    pub audit_checkpoint_time: Gauge,
    /// Seconds from the start of writing tiles to a durable checkpoint.
    pub audit_publish_seconds: Histogram,
    pub audit_open: Gauge,
    pub audit_free_bytes: Gauge,
    /// 0 if the free space is sufficient, 1 below `free_space_warn`, 2 below `free_space_low`.
    pub audit_space_level: Gauge,
    /// Bytes of the reserve file. The gateway frees this file when the disk is full.
    pub audit_reserve_bytes: Gauge,
    pub audit_refused: Family<CauseLabels, Counter>,
    /// Log lines dropped because their reader was too slow.
    pub log_lines_dropped: Counter,
    pub token_cache_hits: Counter,
    /// Tokens whose signature was checked.
    pub token_cache_misses: Counter,
    pub key_refreshes: Counter,
    pub key_refresh_failures: Counter,
    pub reloads: Family<ReloadLabels, Counter>,
    before_reading: BeforeReading,
    registry: Registry,
}

/// The function that runs before each read of the metrics, for values that are computed only on demand.
#[derive(Default)]
struct BeforeReading(Mutex<Option<Box<dyn Fn() + Send + Sync>>>);

impl fmt::Debug for BeforeReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BeforeReading")
    }
}

impl Metrics {
    /// Counts a request by its operation (if one matched), the status sent, and the refusal's code.
    pub fn count_request(&self, operation: Option<&Arc<str>>, status: u16, code: &'static str) {
        let labels = RequestLabels {
            operation: operation.map_or_else(|| "none".into(), Arc::clone),
            status,
            code,
        };
        self.requests.get_or_create(&labels).inc();
    }

    /// Registers every metric. The order here is the order in the encoded text.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("lychgate");
        let r = &mut registry;
        Self(Arc::new(All {
            requests: add(r, "requests", "Requests answered"),
            request_seconds: add_latency(r, "request", "Request head to answer head"),
            upstream_seconds: add_latency(r, "upstream", "Request sent to answer's first bytes"),
            upstream_connections: add(r, "upstream_connections", "Connections opened"),
            upstream_waiting: add(r, "upstream_waiting", "Requests that wait for a connection"),
            upstream_waiters_refused: add(
                r,
                "upstream_waiters_refused",
                "Requests refused because too many wait for a connection",
            ),
            upstream_retries: add(r, "upstream_retries", "Reads sent again"),
            connections: add(r, "connections", "Connections open from callers"),
            callers_left: add(r, "callers_left", "Callers that left before their answer"),
            parser_refusals: add(r, "parser_refusals", "Heads that are no request"),
            log_lines_dropped: add(r, "log_lines_dropped", "Log lines dropped"),
            deletions_in_flight: add(r, "deletions_in_flight", "Open intents"),
            audit_sync_seconds: add_latency(r, "audit_sync", "One sync of the trail"),
            audit_entries: add(r, "audit_entries", "Entries synced"),
            audit_checkpoint_entries: add(
                r,
                "audit_checkpoint_entries",
                "Entries that the newest checkpoint covers",
            ),
            audit_checkpoint_time: add_seconds(
                r,
                "audit_checkpoint_timestamp",
                "When the newest checkpoint was published or confirmed",
                Gauge::default(),
            ),
            audit_publish_seconds: add_latency(
                r,
                "audit_publish",
                "Time to write tiles and a checkpoint",
            ),
            audit_open: add(r, "audit_open", "1 while the trail accepts deletions"),
            audit_free_bytes: add(r, "audit_free_bytes", "Free bytes on the trail's disk"),
            audit_space_level: add(
                r,
                "audit_space_level",
                "Free space: 0 sufficient, 1 warning, 2 low",
            ),
            audit_reserve_bytes: add(r, "audit_reserve_bytes", "Bytes of the reserve file"),
            audit_refused: add(r, "audit_refused", "Deletions refused, by cause"),
            token_cache_hits: add(r, "token_cache_hits", "Tokens found in the cache"),
            token_cache_misses: add(r, "token_cache_misses", "Tokens checked"),
            key_refreshes: add(r, "key_refreshes", "Key sets read"),
            key_refresh_failures: add(r, "key_refresh_failures", "Key sets not read"),
            reloads: add(r, "reloads", "Reloads asked for"),
            before_reading: BeforeReading::default(),
            registry,
        }))
    }

    /// Sets the function that runs before each read of the metrics, and replaces the previous one.
    pub fn before_reading(&self, set: impl Fn() + Send + Sync + 'static) {
        let before = self.before_reading.0.lock();
        *before.unwrap_or_else(PoisonError::into_inner) = Some(Box::new(set));
    }

    /// All metrics in the OpenMetrics text format.
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

/// Registers a metric and returns it.
fn add<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn add_latency(registry: &mut Registry, name: &str, help: &str) -> Histogram {
    let latency = Histogram::new(exponential_buckets(0.000_25, 2.0, 17));
    add_seconds(registry, name, help, latency)
}

fn add_seconds<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
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
