//! The contract: which operations there are and what each requires, as data, and the
//! plain judgements over path, query, `If-Match` and ids that it is made of. It knows no HTTP server.
//!
//! From a file to an answer: `parse` reads the TOML (by `reader`, with places; what the keys may not say
//! together stands in `rules`), `template` holds the paths, [`operation`] what each operation requires,
//! and [`table`] finds a request's own; `read_back` says how a deleted user is looked for.

pub mod ids;
pub mod if_match;
pub mod operation;
mod parse;
pub mod path;
pub mod query;
mod read_back;
mod reader;
mod rules;
pub mod table;
mod template;

pub use operation::{BodyRule, Effect, Operation};
pub use parse::ContractProblem;
pub use table::{Contract, Contracts, Found, Miss};
