//! Why deletions are refused, and since when: the one place that says so.

pub(crate) mod gate;
pub(crate) mod lag;
pub mod space;
