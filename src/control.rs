//! The control socket. Over this socket, a command that writes to the trail asks the gateway that holds
//! the trail's lock.
//!
//! The gateway keeps `control.sock` (mode 0600) in the audit folder as long as it holds the trail's
//! lock. A connection carries one [`Request`] and one [`Answer`], each a line of JSON. The peer must run
//! as root or as the gateway's own user, and the trail records the peer's user id with the request. In
//! reading order: [`protocol`], [`socket`] (the socket's file), [`server`] (the gateway's end),
//! [`client`] (the command's end).

pub(crate) mod client;
pub(crate) mod protocol;
pub(crate) mod server;
mod socket;

pub(crate) use protocol::{Answer, Request};

pub(crate) use crate::audit::disk::names::SOCKET;
