//! The entry point of `outbound`: takes a cleared request and returns an unrecorded answer.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use super::attempts::Attempts;
use super::connect::Connector;
use super::pool::Pool;
use super::settings::Settings;
use crate::clock::Clock;
use crate::forward::Report;
use crate::layers::record::{Cleared, Unrecorded};
use crate::metrics::Metrics;
use crate::tls::ClientTls;
use crate::trouble::Present;

/// The client for all origins. A clone is cheap. A reload keeps the pool if the outbound settings are
/// unchanged.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    settings: Arc<Settings>,
    pool: Arc<Pool>,
}

/// The boxed future of an answer. The future is small enough for the allocator's fast path.
pub(crate) type Sending = Pin<Box<dyn Future<Output = Result<Unrecorded, Infallible>> + Send>>;

impl Client {
    /// Reads the trusted root certificates and makes an empty pool. An error says what is wrong with the
    /// certificates. Must be called within a tokio runtime.
    pub(crate) fn new(settings: Settings, metrics: Metrics, clock: Clock) -> Result<Self, String> {
        let tls = ClientTls::new(settings.roots_file.as_deref())?;
        let settings = Arc::new(settings);
        let pool = Pool::new(Arc::clone(&settings), Connector::new(tls), metrics, clock);
        Ok(Self {
            settings,
            pool: Arc::new(pool),
        })
    }

    /// The settings that the client was made from.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The origins to which requests fail now, each with the reason and the remedy.
    pub(crate) fn troubles(&self) -> Vec<(String, Present)> {
        self.pool.troubles()
    }

    /// Sends the request. The report holds the reply and the number of attempts. A drop of the future closes
    /// the connection.
    pub(crate) fn send(&self, cleared: Cleared) -> Sending {
        let outgoing = cleared.into_outgoing();
        let attempts = match self.pool.origin_pool(outgoing.context.origin.known()) {
            Ok(pool) => Attempts::new(outgoing, pool, &self.settings),
            Err(failure) => {
                let unsent = Unrecorded::new(Report {
                    reply: Err(failure),
                    attempts: 0,
                });
                return Box::pin(ready(Ok(unsent)));
            }
        };
        Box::pin(async move { Ok(Unrecorded::new(attempts.deliver().await)) })
    }

    #[cfg(test)]
    pub(super) fn origin_pool(
        &self,
        origin: &Arc<crate::request::Origin>,
    ) -> Arc<super::origin_pool::OriginPool> {
        self.pool.origin_pool(origin).unwrap()
    }
}
