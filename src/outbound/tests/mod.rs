//! The way out against scripted raw sockets: `hyper_table` pins what hyper does by itself,
//! `stale` what we do about it, `wire_form` what upstream sees, `answers` what comes back,
//! `bounds` how long and how many, `tls` the same under TLS.

mod answers;
mod bounds;
mod hyper_table;
mod stale;
mod support;
mod tls;
mod wire_form;
