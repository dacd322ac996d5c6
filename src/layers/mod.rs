//! One layer a file, in the order a request meets them.

pub mod credentials;
