//! The command's end of the control socket: sends a request to the gateway that holds the trail.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::protocol::MAX_ANSWER_BYTES;
use super::socket::Place;
use super::{Answer, Request};

/// The timeout for writing the request.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// The timeout for the answer. The gateway limits its time for one request to less than this timeout.
const READ_TIMEOUT: Duration = Duration::from_secs(1_800);

/// Sends the request and reads the answer. `None` if no gateway listens in this audit folder.
pub(crate) fn ask(directory: &Path, request: &Request) -> io::Result<Option<Answer>> {
    let connected = Place::open(directory)
        .and_then(|place| UnixStream::connect(place.path()).map(|stream| (stream, place)));
    let (mut stream, _place) = match connected {
        Ok(connected) => connected,
        Err(error) if has_no_listener(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    stream.write_all(&request.line()?)?;
    let mut line = Vec::new();
    stream
        .take(MAX_ANSWER_BYTES as u64 + 1)
        .read_to_end(&mut line)?;
    if line.is_empty() {
        let what = "the gateway gave no answer: it may have been told to stop";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
    }
    Answer::parse(&line)
        .map(Some)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Whether a gateway listens in this audit folder. Also `false` if this user may not connect to the
/// gateway.
pub(crate) fn listens(directory: &Path) -> bool {
    let connected = Place::open(directory).and_then(|place| UnixStream::connect(place.path()));
    connected.is_ok()
}

/// Whether the error means that no gateway listens: there is no folder, no socket, or only the
/// socket of a gateway that has ended.
fn has_no_listener(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::test_folder;
    use crate::control::protocol::Reconcile;

    fn request() -> Request {
        Request::Reconcile(Reconcile {
            reason: "asked".into(),
            now: false,
            deletions: vec![],
            after: None,
        })
    }

    #[test]
    fn without_a_gateway_there_is_no_answer_and_no_error() {
        let folder = test_folder("client");
        assert_eq!(ask(folder.path(), &request()).unwrap(), None);
        assert_eq!(ask(&folder.path().join("none"), &request()).unwrap(), None);
        let place = Place::open(folder.path()).unwrap();
        drop(place.bind().unwrap());
        assert_eq!(ask(folder.path(), &request()).unwrap(), None);
    }

    #[test]
    fn a_gateway_that_hangs_up_is_an_error() {
        let folder = test_folder("client");
        let place = Place::open(folder.path()).unwrap();
        let (listener, _) = place.bind().unwrap();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1_024]).unwrap();
        });
        let error = ask(folder.path(), &request()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        answering.join().unwrap();
    }
}
