//! A request's head as it was given to the wire, kept so that a lost request can be built once more.
//!
//! hyper consumes what it sends. A copy of all headers beforehand would cost every request what one
//! in a million needs; the bytes are a single copy into a buffer that the connection keeps.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};

/// A head is never longer: `[limits]` allows the caller half of it.
const MAX_HEAD_BYTES: usize = 256 * 1024;
/// Between requests the buffer is no larger than this.
const MAX_KEPT_BYTES: usize = 4 * 1024;

/// The head of the request under way.
#[derive(Debug, Default)]
pub(super) struct Written(Mutex<Buffer>);

#[derive(Default)]
struct Buffer {
    /// Whether the next bytes are a head that is to be kept.
    is_wanted: bool,
    bytes: Vec<u8>,
}

/// Shows no header: a token may stand there.
impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer").finish_non_exhaustive()
    }
}

impl Written {
    /// Forgets the last head, and says whether the next one is to be kept.
    pub(super) fn begin(&self, keep: bool) {
        let mut buffer = self.lock();
        buffer.is_wanted = keep;
        buffer.bytes.clear();
        buffer.bytes.shrink_to(MAX_KEPT_BYTES);
    }

    /// What is offered to the socket; the first that comes holds the whole head, for hyper writes
    /// no part of one.
    pub(super) fn offer(&self, bytes: &[u8]) {
        let mut buffer = self.lock();
        if std::mem::take(&mut buffer.is_wanted) && bytes.len() <= MAX_HEAD_BYTES {
            buffer.bytes.extend_from_slice(bytes);
        }
    }

    /// The head once more, where it was kept and offered.
    pub(super) fn again(&self) -> Option<Box<Parts>> {
        read(&self.lock().bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads back what hyper wrote: `METHOD TARGET HTTP/1.1`, then `name: value` a line.
fn read(bytes: &[u8]) -> Option<Box<Parts>> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let mut rest = bytes.get(..end + 2)?;
    let mut words = line(&mut rest)?.split(|byte| *byte == b' ');
    let method = Method::from_bytes(words.next()?).ok()?;
    let uri = Uri::try_from(words.next()?).ok()?;
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_11;
    while !rest.is_empty() {
        let header = line(&mut rest)?;
        let colon = header.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(header.get(..colon)?).ok()?;
        let value = header.get(colon + 1..)?.strip_prefix(b" ")?;
        let mut value = HeaderValue::from_bytes(value).ok()?;
        value.set_sensitive(name == AUTHORIZATION);
        request.headers_mut().append(name, value);
    }
    Some(Box::new(request.into_parts().0))
}

/// The next line without its end.
fn line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.windows(2).position(|two| two == b"\r\n")?;
    let (line, behind) = rest.split_at_checked(end)?;
    *rest = behind.get(2..)?;
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"GET /users/1?v=4.0&x='{}| HTTP/1.1\r\nhost: a\r\nx: 1\r\n\
        authorization: Bearer t\r\nif-match: \"a\xe9\tb\"\r\nx: \r\n\r\n";

    fn kept(bytes: &[u8]) -> Option<Box<Parts>> {
        let written = Written::default();
        written.begin(true);
        written.offer(bytes);
        written.again()
    }

    #[test]
    fn p7_a_head_is_read_back_byte_for_byte() {
        let head = kept(HEAD).unwrap();
        assert_eq!(head.method, Method::GET);
        assert_eq!(head.uri, "/users/1?v=4.0&x='{}|");
        assert_eq!(head.headers["if-match"].as_bytes(), b"\"a\xe9\tb\"");
        let values: Vec<_> = head.headers.get_all("x").iter().collect();
        assert_eq!(values, ["1", ""]);
        assert!(head.headers["authorization"].is_sensitive());
        assert_eq!(head.headers.len(), 5);
    }

    #[test]
    fn what_stands_behind_the_head_is_no_part_of_it() {
        let with_body = [HEAD, b"[\"1\"]: \r\n\r\n"].concat();
        assert_eq!(kept(&with_body).unwrap().headers.len(), 5);
    }

    #[test]
    fn half_a_head_or_none_is_no_request() {
        for end in 0..HEAD.len() {
            assert!(kept(&HEAD[..end]).is_none(), "{end}");
        }
    }

    #[test]
    fn only_the_first_bytes_are_kept_and_only_where_they_are_wanted() {
        let written = Written::default();
        written.begin(true);
        written.offer(HEAD);
        written.offer(b"GET /other HTTP/1.1\r\n\r\n");
        assert_eq!(written.again().unwrap().uri.path(), "/users/1");
        written.begin(false);
        written.offer(HEAD);
        assert!(written.again().is_none());
    }

    #[test]
    fn p8_debug_output_shows_no_header() {
        let written = Written::default();
        written.begin(true);
        written.offer(HEAD);
        assert!(!format!("{written:?}").contains("Bearer"));
    }
}
