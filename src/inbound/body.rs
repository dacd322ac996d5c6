//! Passes the caller's body to the stack and the answer's body to hyper.
//!
//! The stack gets only the data frames of the caller's body. A flag notes whether the stack read it to its end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use crate::request::{Body, BoxError};

/// A flag per connection: whether the body of the last request was dropped before its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Unread(Arc<AtomicBool>);

impl Unread {
    /// Clears the flag when a new request begins.
    pub(super) fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether bytes of an unread body may still arrive.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Converts hyper's body into the body type of the stack.
pub(super) fn inward(incoming: Incoming, unread: &Unread) -> Body {
    if incoming.is_end_stream() {
        return Body::Empty;
    }
    Body::stream(DataOnly {
        incoming,
        ended: false,
        unread: unread.clone(),
    })
}

/// A body that drops trailers. Otherwise hyper would forward an `if-match` in the trailers, although no layer
/// has judged it.
struct DataOnly {
    incoming: Incoming,
    ended: bool,
    unread: Unread,
}

impl http_body::Body for DataOnly {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        loop {
            match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                    Err(_trailers) => continue,
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.ended = true;
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for DataOnly {
    fn drop(&mut self) {
        if !self.ended && !self.incoming.is_end_stream() {
            self.unread.0.store(true, Ordering::Relaxed);
        }
    }
}

/// The body of an answer, for hyper. If the body breaks off, hyper drops the connection with all that it has not
/// written yet. So the error waits until hyper has had a chance to write the head and the bytes that came.
pub(super) struct Outward<B> {
    body: B,
    broken: Option<BoxError>,
}

impl<B> Outward<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body, broken: None }
    }
}

impl<B> http_body::Body for Outward<B>
where
    B: http_body::Body<Data = Bytes, Error = BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Err(error)) => {
                self.broken = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            frame => Poll::Ready(frame),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.broken.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
