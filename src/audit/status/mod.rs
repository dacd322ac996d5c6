//! Why deletions are refused, and since when: the one place that says so.

mod cause;
pub(crate) mod gate;
pub(crate) mod lag;
pub mod space;

pub use cause::{Cause, Closed};
pub(crate) use cause::{cause_of, closed, trouble};
pub use gate::State;
