//! Passes the request's body to hyper, data frames only, and tells the [`CountedStream`] when the body ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::counted_stream::CountedStream;
use crate::request::{Body, BoxError};

/// A request's body, and the stream of the connection that sends it.
#[derive(Debug)]
pub(super) struct Upload {
    body: Body,
    stream: Arc<CountedStream>,
}

impl Upload {
    pub(super) fn new(body: Body, stream: Arc<CountedStream>) -> Self {
        Self { body, stream }
    }

    /// The body of a request that hyper returned unsent.
    pub(super) fn into_body(self) -> Body {
        self.body
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_data() => {
                    if self.body.is_end_stream() {
                        self.stream.body_ended();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                // Drops trailers.
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    self.stream.body_failed();
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.stream.body_ended();
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
