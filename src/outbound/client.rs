//! The door of `outbound`: takes a cleared request, returns an unrecorded answer.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::attempts::Sender;
use super::connect::Connector;
use super::origin_pool::Bounds;
use super::pool::Pool;
use crate::layers::record::{Cleared, Unrecorded};
use crate::metrics::Metrics;
use crate::tls::ClientTls;

/// The settings of the way to upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From the first packet to a usable connection, TLS included.
    pub connect_timeout: Duration,
    /// From the last byte sent to the answer's head.
    pub head_timeout: Duration,
    /// One request with all of its answer.
    pub total_timeout: Duration,
    /// An idle connection closes after this.
    pub idle_timeout: Duration,
    /// Connections to one origin at once.
    pub max_connections: usize,
    /// PEM file of the roots to trust instead of the system's.
    pub roots_file: Option<PathBuf>,
}

/// The client of the whole gateway, cheap to clone. Its pool outlives a reload that keeps its settings.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    inner: Arc<Inner>,
}

/// A future answer, small enough for the allocator's fast path.
pub(crate) type Sending = Pin<Box<dyn Future<Output = Unrecorded> + Send>>;

#[derive(Debug)]
struct Inner {
    settings: Settings,
    sender: Sender,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The roots cannot be read or hold no certificate.
    #[error("{0}")]
    Roots(String),
}

impl Client {
    /// Reads the roots and makes an empty pool. Must be called within a tokio runtime.
    pub(crate) fn new(settings: Settings, metrics: Metrics) -> Result<Self, ClientError> {
        let tls = ClientTls::new(settings.roots_file.as_deref()).map_err(ClientError::Roots)?;
        let bounds = Bounds {
            max_connections: settings.max_connections,
            connect_timeout: settings.connect_timeout,
            idle_timeout: settings.idle_timeout,
        };
        let sender = Sender {
            pool: Pool::new(bounds, Connector::new(tls), metrics),
            head_timeout: settings.head_timeout,
            total_timeout: settings.total_timeout,
        };
        Ok(Self {
            inner: Arc::new(Inner { settings, sender }),
        })
    }

    /// The settings that it was made from.
    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Sends it. The report says what came and counts the tries. A drop of the future closes the connection.
    pub(crate) fn send(&self, cleared: Cleared) -> Sending {
        match self.inner.sender.prepare(cleared.into_outgoing()) {
            Ok(attempts) => Box::pin(async move { Unrecorded::new(attempts.deliver().await) }),
            Err(report) => Box::pin(std::future::ready(Unrecorded::new(*report))),
        }
    }

    #[cfg(test)]
    pub(super) fn origin_pool(
        &self,
        origin: &Arc<crate::request::Origin>,
    ) -> Arc<super::origin_pool::OriginPool> {
        self.inner.sender.pool.origin_pool(origin).unwrap()
    }
}
