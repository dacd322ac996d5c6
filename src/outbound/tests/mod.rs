//! `outbound` against scripted raw sockets: `hyper_table` pins hyper's own behavior, `stale` ours on dead connections,
//! `wire_form` the bytes that upstream gets, `answers` the way back, `bounds` times and counts, `tls` the same under TLS.

mod answers;
mod bounds;
mod hyper_table;
mod stale;
mod support;
mod tls;
mod wire_form;
