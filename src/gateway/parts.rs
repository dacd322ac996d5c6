//! Builds the stack's parts from a config. A reload keeps each part whose settings did not change:
//! pools, key sets, verified tokens.

use std::sync::Arc;

use crate::audit::Trail;
use crate::audit::entry::ConfigInForce;
use crate::clock::Clock;
use crate::config::Config;
use crate::fetch::Fetch;
use crate::layers::credentials::Credentials;
use crate::layers::record::Deletions;
use crate::metrics::Metrics;
use crate::outbound::client::Client;
use crate::stack::Parts;
use crate::tls::ClientTls;
use crate::token::Verifier;

/// The parts that outlive every reload.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) trail: Trail,
    /// The deletions in flight.
    pub(super) deletions: Deletions,
    pub(super) metrics: Metrics,
    pub(super) clock: Clock,
}

impl Kept {
    /// Builds the parts for `config`. `previous` is the config in force and its parts.
    pub(super) fn build(
        &self,
        config: &Config,
        previous: Option<(&Config, &Parts)>,
    ) -> Result<Parts, String> {
        Ok(Parts {
            contracts: Arc::clone(&config.contracts),
            verifier: self.verifier(config, previous)?,
            domains: Arc::clone(&config.domains),
            credentials: credentials(config, previous)?,
            limits: config.limits,
            config: config.hash.as_str().into(),
            client: self.client(config, previous)?,
            trail: self.trail.clone(),
            deletions: self.deletions.clone(),
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
        })
    }

    /// Records in the trail which config is in force from now on.
    pub(super) fn tell(&self, config: &Config) {
        self.trail.config(ConfigInForce {
            config: config.hash.clone(),
            contracts: config.contract_hashes.clone(),
        });
    }

    fn verifier(
        &self,
        config: &Config,
        previous: Option<(&Config, &Parts)>,
    ) -> Result<Arc<Verifier>, String> {
        let roots = config.outbound.roots_file.as_deref();
        let same_roots = previous.filter(|(old, _)| old.outbound.roots_file.as_deref() == roots);
        if let Some((_, parts)) = same_roots.filter(|(old, _)| old.issuers == config.issuers) {
            return Ok(Arc::clone(&parts.verifier));
        }
        Verifier::new(
            &config.issuers,
            // The tasks that fetch keys keep their TLS roots, so a change of the roots needs new tasks.
            same_roots.map(|(_, parts)| &*parts.verifier),
            Fetch::new(ClientTls::new(roots)?),
            self.clock.clone(),
            self.metrics.clone(),
        )
        .map(Arc::new)
    }

    fn client(
        &self,
        config: &Config,
        previous: Option<(&Config, &Parts)>,
    ) -> Result<Client, String> {
        match previous {
            Some((_, parts)) if *parts.client.settings() == config.outbound => {
                Ok(parts.client.clone())
            }
            _ => Client::new(
                config.outbound.clone(),
                self.metrics.clone(),
                self.clock.clone(),
            ),
        }
    }
}

fn credentials(
    config: &Config,
    previous: Option<(&Config, &Parts)>,
) -> Result<Arc<Credentials>, String> {
    match previous {
        Some((_, parts)) if *parts.credentials.settings() == config.credentials => {
            Ok(Arc::clone(&parts.credentials))
        }
        _ => Credentials::new(config.credentials.clone()).map(Arc::new),
    }
}
