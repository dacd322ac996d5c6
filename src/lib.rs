//! Lychgate: an authenticating reverse proxy in front of a users endpoint that
//! records every deletion before it happens.
//!
//! Read it in the order of a request:
//!
//! 1. [`inbound`] takes bytes in;
//! 2. [`stack`] says which layers a request passes, outermost first;
//! 3. [`layers`] holds one layer a file;
//! 4. [`outbound`] takes bytes out;
//! 5. [`audit`] is the durable trail that all of it leans on.
//!
//! Around them: [`contract`] (what each operation requires), [`token`] (who is
//! calling), [`domain`] (which origin serves an account), [`config`] (what the
//! operator wrote), [`gateway`] (builds the parts, reloads, drains), [`admin`]
//! (health, metrics), [`control`] (the socket of the commands that write to the
//! trail), [`reconcile`] (reads users back) and [`cli`] (the commands).
//!
//! Used by many: [`request`] (bodies, and the context that travels with a request),
//! [`forward`] (what `record` and `outbound` hand each other), [`check`] (a layer that
//! is one judgement), [`refusal`] (every "no"), [`fetch`] (the gateway's own calls), [`tls`],
//! [`metrics`], [`telemetry`] (logs), [`clock`], [`alarm`] and [`random`].

pub mod admin;
pub mod alarm;
pub mod audit;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod contract;
pub mod control;
pub mod domain;
pub mod fetch;
pub mod forward;
pub mod gateway;
pub mod inbound;
pub mod layers;
pub mod metrics;
pub mod outbound;
pub mod random;
pub mod reconcile;
pub mod refusal;
pub mod request;
#[cfg(feature = "demo")]
pub mod simulator;
pub mod stack;
pub mod telemetry;
pub mod tls;
pub mod token;
