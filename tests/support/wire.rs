//! Sends bytes to a server and reads its answer, without a library that could correct either.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The limit of every wait, after which the test fails. It is so long that no busy machine reaches
/// it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// One received answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The headers in order, with names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the connection ended before the body did.
    pub(crate) cut: bool,
}

impl Answer {
    /// A header's first value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// All values of a header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let same = |(one, _): &&(String, String)| one.eq_ignore_ascii_case(name);
        let values = self.headers.iter().filter(same);
        values.map(|(_, value)| value.as_str()).collect()
    }

    /// The body as JSON; `Null` if it is not JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Head and body as text for messages.
    pub(crate) fn shown(&self) -> String {
        let mut text = format!("{}\n", self.status);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\n");
        }
        text + "\n" + &String::from_utf8_lossy(&self.body) + if self.cut { "(cut)" } else { "" }
    }
}

/// Sends `request` on a new connection and reads one answer. Returns `None` if the connection ends
/// without one.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).expect("the listener takes connections");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    // A server may refuse and close before it has read everything. Its answer still counts.
    let _ = stream.write_all(request);
    read_answer(&mut stream)
}

/// A minimal HTTP/1.1 GET of a path.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    exchange(address, request.as_bytes())
}

/// Reads one answer and skips interim ones.
pub(crate) fn read_answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            match find(&buffer, b"\r\n\r\n") {
                Some(end) => break end,
                None if fill(stream, &mut buffer) => {}
                None => return None,
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        buffer.drain(..end + 4);
        let (status, headers) = parse_head(&head);
        if status < 200 {
            continue;
        }
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
            cut: false,
        };
        read_body(stream, buffer, &mut answer);
        return Some(answer);
    }
}

/// Status and headers of a head without its last empty line.
fn parse_head(head: &str) -> (u16, Vec<(String, String)>) {
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|status| status.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    (
        status.expect("an answer has a status line"),
        headers.collect(),
    )
}

fn read_body(stream: &mut TcpStream, mut buffer: Vec<u8>, answer: &mut Answer) {
    let chunked = answer.header("transfer-encoding").is_some();
    let length = answer.header("content-length").map(str::to_owned);
    if matches!(answer.status, 204 | 304) {
        return;
    }
    if chunked {
        loop {
            if let Some(body) = unchunk(&buffer) {
                answer.body = body;
                return;
            }
            if !fill(stream, &mut buffer) {
                answer.cut = true;
                answer.body = buffer;
                return;
            }
        }
    }
    let wanted = length.map_or(usize::MAX, |length| length.parse().unwrap());
    while buffer.len() < wanted && fill(stream, &mut buffer) {}
    answer.cut = wanted != usize::MAX && buffer.len() < wanted;
    buffer.truncate(wanted);
    answer.body = buffer;
}

/// The content of a chunked body; `None` until it is complete.
pub(crate) fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = find(rest, b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            find(rest, b"\r\n")?;
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

/// Reads once more. Returns whether any bytes arrived.
fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
    let mut piece = [0; 16 * 1024];
    match stream.read(&mut piece) {
        Ok(count) => {
            buffer.extend_from_slice(&piece[..count]);
            count > 0
        }
        Err(fault) if fault.kind() == std::io::ErrorKind::WouldBlock => {
            panic!("no answer within {PATIENCE:?}")
        }
        Err(_) => false,
    }
}

/// The position of `needle`.
pub(crate) fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len())
        .position(|window| window == needle)
}

#[test]
fn a_chunked_body_is_whole_only_with_its_last_chunk() {
    assert_eq!(unchunk(b"3\r\nabc\r\n0\r\n"), None);
    assert_eq!(unchunk(b"3\r\nabc\r\n0\r\n\r\n"), Some(b"abc".to_vec()));
    assert_eq!(
        unchunk(b"2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n"),
        Some(b"abc".to_vec())
    );
}
