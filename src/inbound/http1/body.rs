//! Passes the caller's body to the stack, data frames only, and the answer's body to hyper. Both tell the
//! [`Progress`] how they end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::progress::Progress;
use crate::request::{Body, BoxError};

/// Converts hyper's body into the body type of the stack.
pub(super) fn inward(incoming: Incoming, progress: &Progress) -> Body {
    if incoming.is_end_stream() {
        return Body::Empty;
    }
    Body::stream(DataOnly {
        incoming,
        ended: false,
        progress: progress.clone(),
    })
}

/// A body that drops trailers. Otherwise hyper would forward an `if-match` in the trailers, although no layer
/// has judged it.
struct DataOnly {
    incoming: Incoming,
    ended: bool,
    progress: Progress,
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
            self.progress.body_is_dropped();
        }
    }
}

/// The body of an answer, for hyper. If the body breaks off, hyper drops the connection with all that it has not
/// written yet. So the error waits until hyper has had a chance to write the head and the bytes that came.
pub(super) struct Outward<B> {
    body: B,
    broken: Option<BoxError>,
    progress: Progress,
}

impl<B> Outward<B> {
    pub(super) fn new(body: B, progress: Progress) -> Self {
        progress.answer_begins();
        Self {
            body,
            broken: None,
            progress,
        }
    }
}

impl<B> Drop for Outward<B> {
    fn drop(&mut self) {
        self.progress.answer_ends();
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
