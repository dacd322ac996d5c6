//! Results go to standard output, messages to standard error. Color only on a terminal.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use anstream::AutoStream;

use super::escape::escape;
use super::exit::{Exit, Stop};

/// Runs a command with buffered standard output and returns its exit code.
///
/// A closed pipe (`lychgate audit list | head`) is not an error.
pub(super) fn with_output(verb: impl FnOnce(&mut dyn Write) -> Result<Exit, Stop>) -> ExitCode {
    let mut out = BufWriter::new(AutoStream::auto(io::stdout().lock()));
    let ended = verb(&mut out);
    let flushed = out.flush();
    let (exit, message) = judge(ended, flushed);
    match message {
        Message::None => {}
        Message::Plain(text) => tell(text),
        Message::Rendered(text) => drop(writeln!(anstream::stderr().lock(), "{}", text.trim_end())),
    }
    exit.into()
}

/// Writes a message for the operator to standard error, with invisible characters escaped.
pub(super) fn tell(message: impl Display) {
    let message = message.to_string();
    let mut lines = message.lines();
    let first = lines.next().unwrap_or_default();
    let mut err = anstream::stderr().lock();
    let mut written = writeln!(err, "lychgate: {}", escape(first));
    for line in lines {
        written = written.and_then(|()| writeln!(err, "{}", escape(line)));
    }
    // If standard error is closed, there is nowhere to report it.
    drop(written);
}

#[derive(Debug, PartialEq, Eq)]
enum Message {
    None,
    Plain(String),
    Rendered(String),
}

fn judge(ended: Result<Exit, Stop>, flushed: io::Result<()>) -> (Exit, Message) {
    let output = |error: io::Error| match error.kind() {
        ErrorKind::BrokenPipe => (Exit::Fine, Message::None),
        _ => (
            Exit::Io,
            Message::Plain(format!("cannot write the result: {error}")),
        ),
    };
    match (ended, flushed) {
        (Err(Stop::Message(exit, message)), _) => (exit, Message::Plain(message)),
        (Err(Stop::Rendered(exit, text)), _) => (exit, Message::Rendered(text)),
        (Err(Stop::Output(error)), _) | (Ok(_), Err(error)) => output(error),
        (Ok(exit), Ok(())) => (exit, Message::None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken() -> io::Error {
        ErrorKind::BrokenPipe.into()
    }

    #[test]
    fn a_closed_pipe_is_not_an_error() {
        assert_eq!(
            judge(Err(broken().into()), Ok(())),
            (Exit::Fine, Message::None)
        );
        assert_eq!(
            judge(Ok(Exit::Fine), Err(broken())),
            (Exit::Fine, Message::None)
        );
    }

    #[test]
    fn any_other_output_error_exits_with_74() {
        let full = || io::Error::from(ErrorKind::StorageFull);
        assert_eq!(judge(Ok(Exit::Fine), Err(full())).0, Exit::Io);
        let (exit, message) = judge(Err(full().into()), Ok(()));
        assert_eq!(exit, Exit::Io);
        assert!(matches!(message, Message::Plain(text) if text.contains("cannot write")));
    }

    #[test]
    fn a_commands_own_result_is_kept() {
        assert_eq!(judge(Ok(Exit::No), Ok(())), (Exit::No, Message::None));
        let stop = Stop::with(Exit::Config, "wrong");
        assert_eq!(
            judge(Err(stop), Ok(())),
            (Exit::Config, Message::Plain("wrong".into()))
        );
    }
}
