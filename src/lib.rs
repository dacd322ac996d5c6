//! Lychgate: an authenticating reverse proxy for a users API. It records every deletion before it
//! sends the deletion upstream.
//!
//! Read the modules in the order of a request:
//!
//! 1. [`inbound`] accepts connections and parses requests;
//! 2. [`stack`] lists the layers that a request passes, outermost first;
//! 3. [`layers`] holds one file per layer;
//! 4. [`outbound`] sends requests upstream;
//! 5. [`audit`] keeps the durable trail of deletions.
//!
//! Around the path of a request: [`contract`] (the rules of each operation), [`token`] (who is calling),
//! [`domain`] (which origin serves an account), [`config`] (the configuration file), [`gateway`] (builds the
//! parts, reloads, drains), [`admin`] (health, metrics), [`control`] (the socket for commands that write to
//! the trail), [`reconcile`] (reads users back) and [`cli`] (the commands).
//!
//! Shared modules: [`request`] (bodies and the context of a request), [`forward`] (the types that `record`
//! and `outbound` share), [`check`] (a layer that only passes or refuses), [`refusal`] (every refusal),
//! [`fetch`] (the gateway's own HTTP calls), [`tls`] (TLS to upstream), [`strict_toml`] (the reader of config
//! and contracts), [`metrics`], [`telemetry`] (logs), [`trouble`] (when to log a lasting trouble),
//! [`clock`], [`alarm`] (a timer that rarely fires) and [`random`].

mod admin;
mod alarm;
pub mod audit;
mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod contract;
mod control;
mod domain;
mod fetch;
mod forward;
pub mod gateway;
mod inbound;
pub mod layers;
mod metrics;
mod outbound;
mod places;
mod random;
mod reconcile;
pub mod refusal;
pub mod request;
#[cfg(feature = "demo")]
pub mod simulator;
mod stack;
mod strict_toml;
mod telemetry;
mod tls;
pub mod token;
mod trouble;
