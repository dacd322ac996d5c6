//! The gateway's own calls (keys, users read back): bounded GET, no redirects, no proxy.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Empty;
use hyper::body::Incoming;

use crate::request::Origin;
use crate::tls::ClientTls;
use connection::{Connection, USER_AGENT, broken, is_plain, read_body, too_long};

mod address;
mod connection;
mod keep_alive;

pub(crate) use address::Address;
pub(crate) use keep_alive::{Answer, KeepAliveClient};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// For people: what happened, at which address, never a secret.
    #[error("{0}")]
    Failed(String),
}

/// Makes calls; cheap to clone.
#[derive(Clone, Debug)]
pub struct Fetch {
    tls: ClientTls,
}

impl Fetch {
    /// Makes calls that trust these roots.
    #[must_use]
    pub fn new(tls: ClientTls) -> Self {
        Self { tls }
    }

    /// A client for many reads from one origin. It connects with the first read.
    #[must_use]
    pub fn keep_alive(&self, origin: Origin) -> KeepAliveClient {
        KeepAliveClient::new(self.tls.clone(), origin)
    }

    /// GET on a new connection. The answer must be a 200 with at most `max_bytes`. `timeout` covers everything from the
    /// look-up of the name to the body's last byte.
    ///
    /// # Errors
    /// Any other status (redirects are not followed), a longer or encoded body, a broken answer, no connection, no
    /// trust.
    pub async fn get(
        &self,
        address: &Address,
        max_bytes: usize,
        timeout: Duration,
    ) -> Result<Bytes, FetchError> {
        let result = match tokio::time::timeout(timeout, self.call(address, max_bytes)).await {
            Ok(result) => result,
            Err(_) => Err(format!("no whole answer within {timeout:?}")),
        };
        result.map_err(|why| FetchError::Failed(format!("{address}: {why}")))
    }

    async fn call(&self, address: &Address, max_bytes: usize) -> Result<Bytes, String> {
        let mut connection = Connection::open(&self.tls, &address.origin).await?;
        let request = Request::get(address.target.as_str())
            .header(header::HOST, address.origin.authority())
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::CONNECTION, "close")
            .body(Empty::new())
            .map_err(|error| format!("cannot be asked for: {error}"))?;
        let answer = connection
            .sender
            .send_request(request)
            .await
            .map_err(broken)?;
        judge_head(&answer, max_bytes)?;
        read_body(answer.into_body(), max_bytes).await
    }
}

fn judge_head(answer: &Response<Incoming>, max_bytes: usize) -> Result<(), String> {
    if answer.status() != StatusCode::OK {
        let note = if answer.status().is_redirection() {
            " (redirects are not followed)"
        } else {
            ""
        };
        return Err(format!(
            "answered {}, not 200{note}",
            answer.status().as_u16()
        ));
    }
    if answer.headers().contains_key(header::CONTENT_ENCODING) {
        return Err("answered with an encoded body, which was not asked for".into());
    }
    if !is_plain(answer.headers()) {
        return Err("answered with two framings".into());
    }
    let announced = http_body::Body::size_hint(answer.body()).lower();
    if announced > max_bytes as u64 {
        return Err(too_long(max_bytes));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
