//! Sends what is cleared and gives back what came, unrecorded.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::Settings;
use super::attempts::Sender;
use super::connect::Connector;
use super::origin_pool::Bounds;
use super::pool::Pool;
use crate::layers::record::{Cleared, Unrecorded};
use crate::metrics::Metrics;
use crate::tls::ClientTls;

/// The way out: one for the whole gateway, cheap to clone; its pool outlives a reload
/// where its settings stay the same.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

/// An answer to come: small enough for the allocator's fast path.
pub type Sending = Pin<Box<dyn Future<Output = Unrecorded> + Send>>;

#[derive(Debug)]
struct Inner {
    settings: Settings,
    sender: Sender,
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The roots cannot be read or hold no certificate.
    #[error("{0}")]
    Roots(String),
}

impl Client {
    /// Reads the roots, makes an empty pool; opens nothing yet. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Where the roots cannot be read.
    pub fn new(settings: Settings, metrics: Metrics) -> Result<Self, ClientError> {
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

    /// What it was made from.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Sends it; the report says what came and how often it was tried. Dropping the future
    /// ends the attempt and closes its connection.
    pub fn send(&self, cleared: Cleared) -> Sending {
        match self.inner.sender.prepare(cleared.into_outgoing()) {
            Ok(attempts) => Box::pin(async move { Unrecorded::new(attempts.deliver().await) }),
            Err(report) => Box::pin(std::future::ready(Unrecorded::new(*report))),
        }
    }

    #[cfg(test)]
    pub(super) fn line(
        &self,
        origin: &Arc<crate::request::Origin>,
    ) -> Arc<super::origin_pool::Line> {
        self.inner.sender.pool.line(origin).unwrap()
    }
}
