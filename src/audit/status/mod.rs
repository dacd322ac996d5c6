//! Why deletions are refused, and since when: the one place that says so.

pub(crate) mod availability;
mod cause;
pub(crate) mod checkpoint_lag;
pub mod space;

pub use availability::State;
pub use cause::{Cause, Unavailable};
pub(crate) use cause::{cause_of, closed, trouble};
