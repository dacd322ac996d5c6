//! The control socket. While a gateway holds the trail's lock, a command that must write to the trail sends
//! its request to that gateway over this socket.
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
