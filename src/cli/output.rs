//! Results go to standard output, messages to standard error. Color only on a terminal.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use anstream::AutoStream;
use serde::Serialize;

use super::escape::{escape, json_line};
use super::exit::{Exit, Stop};

/// Runs a command with buffered standard output and returns its exit code.
pub(super) fn with_output(verb: impl FnOnce(&mut dyn Write) -> Result<Exit, Stop>) -> ExitCode {
    let mut out = BufWriter::new(AutoStream::auto(io::stdout().lock()));
    let ended = verb(&mut out);
    let flushed = out.flush();
    end(ended.and_then(|exit| flushed.map(|()| exit).map_err(Stop::Output))).into()
}

/// Reports why a command ended early, if it did, and returns the exit code.
///
/// A closed pipe (`lychgate audit list | head`) is not an error.
pub(super) fn end(ended: Result<Exit, Stop>) -> Exit {
    match ended {
        Ok(exit) => exit,
        Err(Stop::Message(exit, message)) => {
            tell(message);
            exit
        }
        Err(Stop::Rendered(exit, text)) => {
            // If standard error is closed, the exit code still reports the failure.
            let _ = writeln!(anstream::stderr(), "{}", text.trim_end());
            exit
        }
        Err(Stop::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Exit::Fine,
        Err(Stop::Output(error)) => {
            tell(format!("cannot write the result: {error}"));
            Exit::Io
        }
    }
}

/// Prints a value as one line of JSON.
pub(super) fn print_json(out: &mut dyn Write, value: &impl Serialize) -> Result<(), Stop> {
    writeln!(out, "{}", json_line(value).map_err(Stop::internal)?)?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_not_an_error() {
        let broken = io::Error::from(ErrorKind::BrokenPipe);
        assert_eq!(end(Err(broken.into())), Exit::Fine);
    }

    #[test]
    fn any_other_output_error_exits_with_74() {
        let full = io::Error::from(ErrorKind::StorageFull);
        assert_eq!(end(Err(full.into())), Exit::Io);
    }

    #[test]
    fn a_commands_own_result_is_kept() {
        assert_eq!(end(Ok(Exit::No)), Exit::No);
        let rendered = Stop::Rendered(Exit::Config, "wrong".into());
        assert_eq!(end(Err(rendered)), Exit::Config);
        assert_eq!(end(Err(Stop::usage("wrong"))), Exit::Usage);
    }
}
