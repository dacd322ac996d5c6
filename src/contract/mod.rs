//! The contract: the operations and their requirements as data, and pure checks of path, query,
//! `If-Match` and ids. This module does not depend on an HTTP server.
//!
//! `parse` reads the TOML file with [`strict_toml`](crate::strict_toml), which keeps positions, and
//! `rules` finds contradictions between keys. `template` matches paths, [`operation`] holds the
//! requirements of an operation, and [`table`] finds the operation of a request. `read_back` makes
//! the path and query for reading a user after a deletion.

pub(crate) mod ids;
pub(crate) mod if_match;
pub(crate) mod operation;
mod parse;
pub(crate) mod path;
pub(crate) mod query;
mod read_back;
mod rules;
pub(crate) mod table;
mod template;

pub use operation::{BodyRule, Effect, Operation};
pub use table::{Contract, Contracts, Found, Miss};
