//! A log that is published at an address: an admin listener, or any host that serves the C2SP
//! tlog-tiles layout.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use tokio::runtime::Runtime;

use crate::audit::read::Files;
use crate::cli::exit::Stop;
use crate::fetch::{Address, Answer, Fetch, KeepAliveClient};
use crate::tls::ClientTls;

/// For fetching one file.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most requests for one file while the server is busy (503).
const TRIES: u32 = 3;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_secs(1);
/// Size limit of a token file.
const MAX_TOKEN_BYTES: u64 = 16 * 1024;
/// The log's path on an admin listener.
const ADMIN_PREFIX: &str = "/audit/";

/// The address, and the connections to it.
#[derive(Debug)]
pub(super) struct Remote {
    address: Address,
    authorization: Option<HeaderValue>,
    fetch: Fetch,
    clients: Mutex<Vec<KeepAliveClient>>,
    runtime: Runtime,
}

/// Whether `--dir` is an address.
pub(super) fn is_address(place: &Path) -> bool {
    place
        .to_str()
        .is_some_and(|text| text.starts_with("http://") || text.starts_with("https://"))
}

impl Remote {
    /// An address without a path is an admin listener's; otherwise the path is the log's.
    pub(super) fn new(place: &str, token_file: Option<&Path>) -> Result<Self, Stop> {
        let usage = |why: &str| Stop::usage(format!("{place}: {why}"));
        let mut address = Address::parse(place).map_err(|why| usage(&format!("it {why}")))?;
        if address.target.contains('?') {
            return Err(usage("it must not hold a query"));
        }
        if address.target == "/" {
            address.target = ADMIN_PREFIX.into();
        } else if !address.target.ends_with('/') {
            address.target.push('/');
        }
        let authorization = token_file.map(bearer).transpose()?;
        if authorization.is_some() && !address.origin.tls && !address.origin.is_loopback() {
            return Err(usage("a token is sent only over https or to loopback"));
        }
        let broken = |error: String| Stop::io(error);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| broken(format!("cannot start a client: {error}")))?;
        Ok(Self {
            address,
            authorization,
            fetch: Fetch::new(ClientTls::new(None).map_err(broken)?),
            clients: Mutex::default(),
            runtime,
        })
    }

    fn ask(&self, path: &str, max_bytes: usize) -> io::Result<Answer> {
        let clients = || self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = clients().pop();
        let mut client = idle.unwrap_or_else(|| self.fetch.keep_alive(self.address.origin.clone()));
        let target = format!("{}{path}", self.address.target);
        let authorization = self.authorization.as_ref();
        let got = client.get(&target, authorization, max_bytes, TIMEOUT);
        let answer = self.runtime.block_on(got).map_err(io::Error::other)?;
        clients().push(client);
        Ok(answer)
    }
}

impl Files for Remote {
    fn file(&self, path: &str, max_bytes: usize) -> io::Result<Option<Vec<u8>>> {
        let refused = |what: String| Err(io::Error::other(format!("{}: {what}", self.address)));
        for tried in 1..=TRIES {
            let answer = self.ask(path, max_bytes)?;
            match (answer.status, answer.body) {
                (200, Some(body)) => return Ok(Some(body.into())),
                (200, None) => {
                    return refused(format!(
                        "the body is encoded or longer than {max_bytes} bytes"
                    ));
                }
                (404, _) => return Ok(None),
                (401, _) => return refused("the admin token is required: --token-file".into()),
                (503, _) if tried < TRIES => std::thread::sleep(PAUSE),
                (status, _) => return refused(format!("answered {status}")),
            }
        }
        refused("it is too busy".into())
    }
}

fn bearer(path: &Path) -> Result<HeaderValue, Stop> {
    use std::io::Read as _;
    let shown = path.display();
    let mut text = zeroize::Zeroizing::new(String::new());
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_TOKEN_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| Stop::io(format!("cannot read {shown}: {error}")))?;
    let token = text.trim();
    let value = HeaderValue::from_str(&format!("Bearer {token}"));
    match value {
        Ok(mut value) if !token.is_empty() && text.len() as u64 <= MAX_TOKEN_BYTES => {
            value.set_sensitive(true);
            Ok(value)
        }
        _ => {
            let message = format!("{shown} holds no token: one line of visible ASCII is expected");
            Err(Stop::io(message))
        }
    }
}

#[cfg(test)]
mod tests;
