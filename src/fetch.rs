//! Sends the HTTP requests that the gateway itself makes, to fetch keys and to read users back.
//! Each request is a GET with bounded size and time, without redirects and without a proxy.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;

use crate::tls::ClientTls;
use connection::{Connection, is_plain, read_body, too_long};

mod address;
mod connection;
mod keep_alive;

pub(crate) use address::Address;
pub(crate) use keep_alive::{Answer, KeepAliveClient};

/// Sends requests. A clone is cheap.
#[derive(Clone, Debug)]
pub struct Fetch {
    tls: ClientTls,
}

impl Fetch {
    /// Creates a client with these TLS settings.
    pub fn new(tls: ClientTls) -> Self {
        Self { tls }
    }

    /// Sends a GET on a new connection. The answer must be a 200 with at most `max_bytes`.
    /// `timeout` covers everything from the look-up of the name to the last byte of the body.
    ///
    /// The error is a text for people: what happened, and at which address. The text never contains
    /// a secret.
    pub async fn get(
        &self,
        address: &Address,
        max_bytes: usize,
        timeout: Duration,
    ) -> Result<Bytes, String> {
        let result = connection::within(timeout, self.call(address, max_bytes)).await;
        result.map_err(|why| format!("{address}: {why}"))
    }

    async fn call(&self, address: &Address, max_bytes: usize) -> Result<Bytes, String> {
        let mut connection = Connection::open(&self.tls, &address.origin).await?;
        let request = Request::get(address.target.as_str())
            .header(header::ACCEPT, "application/json")
            .header(header::CONNECTION, "close");
        let answer = connection.send(&address.origin, request).await?;
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
