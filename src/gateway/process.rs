//! Finds out, from `/proc`, which process listens on a port and whether a process serves a config.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A process that holds a lock or a port. `pid` is `None` if the process id is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) pid: Option<u32>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(pid) = self.pid else {
            return f.write_str("another process");
        };
        write!(f, "process {pid}")?;
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
        match name {
            Ok(name) => write!(f, " ({})", name.trim_end().escape_debug()),
            Err(_) => Ok(()),
        }
    }
}

/// Whether a process is `lychgate run` with this config. `None` if the process's command is not visible
/// or is not `lychgate run`, for example because the id is from another container.
pub(super) fn serves(pid: u32, config: &Path) -> Option<bool> {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut words = command.split(|byte| *byte == 0);
    words.find(|word| *word == b"run")?;
    let path = loop {
        let word = words.next()?;
        match word.strip_prefix(b"--config") {
            Some(b"") => break words.next()?,
            Some([b'=', path @ ..]) => break path,
            _ => {}
        }
    };
    let path = PathBuf::from(std::ffi::OsString::from_vec(path.to_vec()));
    let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    let theirs = folder.join(path).canonicalize().ok()?;
    Some(theirs == config.canonicalize().ok()?)
}

/// The process that listens on the port of this address.
pub(super) fn listener(address: SocketAddr) -> Option<Holder> {
    let sockets = sockets(address);
    let names = std::fs::read_dir("/proc").ok()?.flatten();
    let mut pids = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let pid = pids.find(|pid| holds(*pid, &sockets) == Some(true));
    pid.map(|pid| Holder { pid: Some(pid) })
}

fn holds(pid: u32, sockets: &BTreeSet<String>) -> Option<bool> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    let mut targets = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    Some(targets.any(|target| {
        target
            .to_str()
            .is_some_and(|target| sockets.contains(target))
    }))
}

/// The listening sockets of a port, as `/proc/PID/fd` names them.
fn sockets(address: SocketAddr) -> BTreeSet<String> {
    let port = format!(":{:04X}", address.port());
    let listening = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_listening = fields.get(3) == Some(&"0A");
        let found = fields.get(1).is_some_and(|local| local.ends_with(&port)) && is_listening;
        found.then(|| format!("socket:[{}]", fields.get(9).unwrap_or(&"")))
    };
    let mut sockets = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        sockets.extend(text.lines().filter_map(listening));
    }
    sockets
}
