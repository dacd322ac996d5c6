//! One layer a file, in the order a request meets them; [`crate::stack`] puts them together.
//!
//! | layer | takes | gives |
//! |---|---|---|
//! | [`request_id`], [`access_log`], [`refuse`] (which contains a panic: [`contain`]), [`limits`] | [`exchange::Arrival`] | the same |
//! | [`route`] | `Arrival` | [`route::Routed`]: which operation |
//! | [`authenticate`] | `Routed` | [`authenticate::Identified`]: who is calling |
//! | [`authorize`] | `Identified` | [`authorize::Permitted`]: they may |
//! | [`conform`] | `Permitted` | [`conform::Conforming`]: it fits the contract |
//! | [`domain`] | `Conforming` | [`domain::Addressed`]: where to |
//! | [`credentials`] | `Addressed` | [`credentials::Equipped`]: with upstream's credentials |
//! | [`record`] | `Equipped` | [`record::Cleared`]: a deletion's intent is on stable storage |
//!
//! A stage type has private fields and is made in its layer's file alone, so a layer that is left
//! out or stands in another place does not compile.

pub mod access_log;
pub mod authenticate;
pub mod authorize;
pub mod check;
pub mod conform;
pub mod contain;
pub mod credentials;
pub mod deletions;
pub mod domain;
pub mod exchange;
pub mod limits;
pub mod problem;
pub mod record;
pub mod refuse;
pub mod request_id;
pub mod route;
