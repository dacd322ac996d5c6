//! The control socket: how a command that writes to the trail asks the gateway that holds it.
//!
//! `control.sock` stands in the audit folder (mode 0600) as long as the gateway holds the lock. One
//! connection is one [`Request`], a line of JSON, and one [`Answer`], a line of JSON; the asking
//! process must be root's or of the gateway's own user, and what it asked is put on record with its
//! user id. In reading order: [`protocol`], [`socket`] (its place in the folder), [`server`] (the
//! gateway's end), [`client`] (the command's end).

pub mod client;
pub mod protocol;
pub mod server;
mod socket;

pub use protocol::{Answer, Request};

pub use crate::audit::disk::names::SOCKET;
