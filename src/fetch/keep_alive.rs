//! A client for many reads from one origin, one after another on one connection. The client returns
//! an answer of any status.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header};

use super::Fetch;
use super::connection::{Connection, is_plain, read_body, within};
use crate::request::Origin;
use crate::tls::ClientTls;

/// An answer of the origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; `None` if the body was too long, cut short, encoded, or framed in two ways.
    pub body: Option<Bytes>,
}

/// A client of one origin that reuses its connection and connects again if needed.
#[derive(Debug)]
pub struct KeepAliveClient {
    tls: ClientTls,
    origin: Origin,
    idle: Option<Connection>,
}

impl Fetch {
    /// Creates a client for many reads from one origin. The client connects at the first read.
    pub fn keep_alive(&self, origin: Origin) -> KeepAliveClient {
        KeepAliveClient {
            tls: self.tls.clone(),
            origin,
            idle: None,
        }
    }
}

impl KeepAliveClient {
    /// Sends a GET, with the header `Authorization` if `authorization` is given. `timeout` covers
    /// everything from the look-up of the name to the last byte of the body. The client does not
    /// follow redirects. If no answer arrives, the error text gives the origin and the reason.
    pub async fn get<'a>(
        &mut self,
        target: &str,
        authorization: impl Into<Option<&'a HeaderValue>>,
        max_bytes: usize,
        timeout: Duration,
    ) -> Result<Answer, String> {
        let call = self.call(target, authorization.into(), max_bytes);
        let result = within(timeout, call).await;
        result.map_err(|why| {
            // Drop the connection, so that the rest of a late answer is never read as the next
            // answer.
            self.idle = None;
            format!("{}: {why}", self.origin)
        })
    }

    async fn call(
        &mut self,
        target: &str,
        authorization: Option<&HeaderValue>,
        max_bytes: usize,
    ) -> Result<Answer, String> {
        if let Some(idle) = self.idle.take().filter(|idle| !idle.sender.is_closed())
            && let Ok(answer) = self.exchange(idle, target, authorization, max_bytes).await
        {
            return Ok(answer);
        }
        // Send the read again on a new connection: the server may have closed the idle connection.
        let new = Connection::open(&self.tls, &self.origin).await?;
        self.exchange(new, target, authorization, max_bytes).await
    }

    async fn exchange(
        &mut self,
        mut connection: Connection,
        target: &str,
        authorization: Option<&HeaderValue>,
        max_bytes: usize,
    ) -> Result<Answer, String> {
        let mut request =
            Request::get(target).header(header::ACCEPT, "application/json, */*;q=0.9");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let answer = connection.send(&self.origin, request).await?;
        let plain = is_plain(answer.headers());
        let (head, body) = answer.into_parts();
        let body = read_body(body, max_bytes).await.ok().filter(|_| plain);
        if body.is_some() {
            self.idle = Some(connection);
        }
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::testing::{Server, ok};

    /// Reached only by a failure.
    const PATIENCE: Duration = Duration::from_secs(120);

    async fn got(bytes: &[u8]) -> Result<Answer, String> {
        let bytes = bytes.to_vec();
        let server = Server::start(move |_| bytes.clone()).await;
        let mut client = client(&server);
        let secret = HeaderValue::from_static("Bearer hidden");
        client.get("/a?v=1", &secret, 100, PATIENCE).await
    }

    fn client(server: &Server) -> KeepAliveClient {
        let origin = Origin::parse(&server.url("")).unwrap();
        Fetch::new(ClientTls::new(None).unwrap()).keep_alive(origin)
    }

    #[tokio::test]
    async fn any_status_is_an_answer() {
        let gone = got(b"HTTP/1.1 404 Not Found\r\nac-revision: 7\r\ncontent-length: 2\r\n\r\n{}");
        let gone = gone.await.unwrap();
        assert_eq!((gone.status, gone.body), (404, Some("{}".into())));
        assert_eq!(gone.headers["ac-revision"], "7");
        let moved = b"HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(got(moved).await.unwrap().status, 302);
    }

    #[tokio::test]
    async fn an_unusable_body_is_none() {
        let long = ok(&"x".repeat(101));
        let encoded = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx";
        let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx";
        for bytes in [&long[..], encoded, cut] {
            let answer = got(bytes).await.unwrap();
            assert_eq!((answer.status, answer.body), (200, None));
        }
    }

    #[tokio::test]
    async fn p8_no_answer_says_the_host_and_not_the_token() {
        let why = got(b"").await.unwrap_err();
        assert!(why.starts_with("http://127.0.0.1:"), "{why}");
        assert!(!why.contains("hidden"), "{why}");
    }

    #[tokio::test]
    async fn a_closed_connection_is_replaced() {
        let server = Server::start(|_| ok("{}")).await;
        let mut client = client(&server);
        for _ in 0..3 {
            let token = HeaderValue::from_static("Bearer t");
            let answer = client.get("/a", &token, 100, PATIENCE).await.unwrap();
            assert_eq!(answer.status, 200);
        }
        assert!(server.heads()[2].contains("authorization: Bearer t\r\n"));
    }
}
