//! Many reads from one origin, one after another on one connection: any status is an answer here.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use tokio_util::task::AbortOnDropHandle;

use super::{Fetch, USER_AGENT, broken, is_plain, read_body};
use crate::request::Origin;

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; `None` where it was too long, broken off, encoded, or framed in two ways.
    pub body: Option<Bytes>,
}

/// A connection that is made where one is needed.
#[derive(Debug)]
pub struct Line {
    fetch: Fetch,
    origin: Origin,
    open: Option<Open>,
}

#[derive(Debug)]
pub(super) struct Open {
    pub(super) sender: SendRequest<Empty<Bytes>>,
    pub(super) _driver: AbortOnDropHandle<()>,
}

impl Fetch {
    /// A line to this origin; nothing is opened yet.
    #[must_use]
    pub fn line(&self, origin: Origin) -> Line {
        Line {
            fetch: self.clone(),
            origin,
            open: None,
        }
    }
}

impl Line {
    /// GET, with this `Authorization` where one is given: whatever status comes within `timeout`, which counts from the
    /// look-up of the name to the body's last byte. A redirect is not followed.
    ///
    /// # Errors
    /// Where no answer came: what happened, at which host.
    pub async fn get<'a>(
        &mut self,
        target: &str,
        authorization: impl Into<Option<&'a HeaderValue>>,
        max_bytes: usize,
        timeout: Duration,
    ) -> Result<Answer, String> {
        let call = self.call(target, authorization.into(), max_bytes);
        let result = match tokio::time::timeout(timeout, call).await {
            Ok(result) => result,
            Err(_) => Err(format!("no whole answer within {timeout:?}")),
        };
        result.map_err(|why| {
            // What is left of an answer must not be taken for the next one's.
            self.open = None;
            format!("{}: {why}", self.origin)
        })
    }

    async fn call(
        &mut self,
        target: &str,
        authorization: Option<&HeaderValue>,
        max_bytes: usize,
    ) -> Result<Answer, String> {
        if let Some(open) = self.open.take().filter(|open| !open.sender.is_closed())
            && let Ok(answer) = self.exchange(open, target, authorization, max_bytes).await
        {
            return Ok(answer);
        }
        // A read may be sent again: upstream may have closed the connection meanwhile.
        let open = self.fetch.open(&self.origin).await?;
        self.exchange(open, target, authorization, max_bytes).await
    }

    async fn exchange(
        &mut self,
        mut open: Open,
        target: &str,
        authorization: Option<&HeaderValue>,
        max_bytes: usize,
    ) -> Result<Answer, String> {
        let mut request = Request::get(target)
            .header(header::HOST, self.origin.authority())
            .header(header::ACCEPT, "application/json, */*;q=0.9")
            .header(header::USER_AGENT, USER_AGENT);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request
            .body(Empty::new())
            .map_err(|error| format!("cannot be asked for: {error}"))?;
        open.sender.ready().await.map_err(broken)?;
        let answer = open.sender.send_request(request).await.map_err(broken)?;
        let (answer, whole) = take(answer, max_bytes).await;
        if whole {
            self.open = Some(open);
        }
        Ok(answer)
    }
}

/// The answer, and whether its connection can be used again.
async fn take(answer: Response<Incoming>, max_bytes: usize) -> (Answer, bool) {
    let plain = is_plain(answer.headers());
    let (head, body) = answer.into_parts();
    let body = read_body(body, max_bytes).await.ok();
    let whole = body.is_some() && plain;
    let answer = Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: body.filter(|_| plain),
    };
    (answer, whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::testing::{Server, ok};
    use crate::tls::ClientTls;

    /// Met only by a failure.
    const PATIENCE: Duration = Duration::from_secs(120);

    async fn got(bytes: &[u8]) -> Result<Answer, String> {
        let bytes = bytes.to_vec();
        let server = Server::start(move |_| bytes.clone()).await;
        let mut line = line(&server);
        let secret = HeaderValue::from_static("Bearer hidden");
        line.get("/a?v=1", &secret, 100, PATIENCE).await
    }

    fn line(server: &Server) -> Line {
        let origin = Origin::parse(&server.url("")).unwrap();
        Fetch::new(ClientTls::new(None).unwrap()).line(origin)
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
    async fn a_body_that_cannot_be_judged_is_none() {
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
    async fn a_connection_that_was_closed_meanwhile_is_made_again() {
        let server = Server::start(|_| ok("{}")).await;
        let mut line = line(&server);
        for _ in 0..3 {
            let token = HeaderValue::from_static("Bearer t");
            let answer = line.get("/a", &token, 100, PATIENCE).await.unwrap();
            assert_eq!(answer.status, 200);
        }
        assert!(server.heads()[2].contains("authorization: Bearer t\r\n"));
    }
}
