//! Why the gateway refuses deletions, and since when.

pub(crate) mod availability;
mod cause;
pub(crate) mod checkpoint_lag;
pub(crate) mod space;

pub use availability::State;
pub use cause::{Cause, Unavailable};
pub(crate) use cause::{cause_of, closed, trouble};
