//! Writes results to standard output and messages to standard error. Uses color only on a terminal.
//! On a terminal, a status line can follow the last line. Every result and message erases the status line first.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anstream::AutoStream;
use serde::Serialize;

use super::escape::{escape, json_line};
use super::exit::{Exit, Stop};

/// Runs a command with buffered standard output and returns its exit code.
pub(super) fn with_output(verb: impl FnOnce(&mut dyn Write) -> Result<Exit, Stop>) -> ExitCode {
    let out = AutoStream::auto(io::stdout().lock());
    let mut out = BufWriter::new(AboveStatus {
        is_terminal: io::stdout().is_terminal(),
        out,
    });
    let ended = verb(&mut out);
    let flushed = out.flush();
    end(ended.and_then(|exit| flushed.map(|()| exit).map_err(Stop::Output))).into()
}

/// If a command ended early, reports why. Returns the exit code.
///
/// A closed pipe (`lychgate audit list | head`) is not an error.
pub(super) fn end(ended: Result<Exit, Stop>) -> Exit {
    let mut status = status();
    status.clear();
    status.has_ended = true;
    drop(status);
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
    let mut status = status();
    status.clear();
    let mut err = anstream::stderr().lock();
    let mut written = writeln!(err, "lychgate: {}", escape(first));
    for line in lines {
        written = written.and_then(|()| writeln!(err, "{}", escape(line)));
    }
    // If standard error is closed, there is nowhere to report the error.
    drop(written);
}

/// The state of the status line on standard error.
#[derive(Debug)]
struct Status {
    is_shown: bool,
    /// The output on the terminal stopped within a line.
    is_within_line: bool,
    /// The command has ended, so the line does not come back.
    has_ended: bool,
}

static STATUS: Mutex<Status> = Mutex::new(Status {
    is_shown: false,
    is_within_line: false,
    has_ended: false,
});

fn status() -> MutexGuard<'static, Status> {
    STATUS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Status {
    fn clear(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
            self.is_shown = false;
        }
    }
}

/// Shows this status line, unless the command has ended or its output stopped within a line.
pub(super) fn show_status(line: &str) {
    let mut status = status();
    if !status.has_ended && !status.is_within_line {
        status.is_shown = true;
        // The work does not depend on this line.
        let _ = write!(io::stderr(), "\r{line}\u{1b}[K");
    }
}

/// Erases the status line.
pub(super) fn clear_status() {
    status().clear();
}

/// Erases the status line before it writes.
struct AboveStatus<W> {
    is_terminal: bool,
    out: W,
}

impl<W: Write> Write for AboveStatus<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut status = status();
        status.clear();
        let written = self.out.write(bytes)?;
        if let Some(last) = bytes[..written].last() {
            status.is_within_line = self.is_terminal && *last != b'\n';
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The assumed width of a terminal in characters.
pub(super) const COLUMNS: usize = 80;

/// Breaks long message lines between words, so that they fit a terminal. A text in backquotes stays
/// whole, so that the operator can paste it. A line that shows text of the config also stays whole.
pub(super) fn fold(text: &str) -> String {
    let lines = text.lines().map(|line| match line.find(": ") {
        Some(at) if line.trim_start().starts_with("= ") => fold_line(line, at + 2),
        Some(_) if line.starts_with(|c: char| c.is_ascii_lowercase()) => fold_line(line, 4),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn fold_line(line: &str, indent: usize) -> String {
    let (mut folded, mut column) = (String::new(), 0);
    for word in words(line) {
        let width = word.chars().count();
        if column > 0 && column + width > COLUMNS {
            folded.truncate(folded.trim_end().len());
            folded.push('\n');
            folded.push_str(&" ".repeat(indent));
            column = indent;
        }
        folded.push_str(word);
        column += width;
        if column < COLUMNS {
            folded.push(' ');
            column += 1;
        }
    }
    folded.trim_end().to_owned()
}

/// Splits a line into words. Spaces at the start of the line and in backquotes do not separate
/// words.
fn words(line: &str) -> Vec<&str> {
    let (mut words, mut begin, mut is_quoted) = (Vec::new(), 0, false);
    let text = line.len() - line.trim_start().len();
    for (at, character) in line.char_indices().skip_while(|(at, _)| *at < text) {
        match character {
            '`' => is_quoted = !is_quoted,
            ' ' if !is_quoted => {
                words.push(&line[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    words.push(&line[begin..]);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_folded_and_a_command_stays_whole() {
        let command = "`lychgate audit keygen --origin lychgate.example.com/edge-1 --out FILE`";
        let text = format!(
            "error: {}\n 1 | {}\n  = help: make one with {command}\n",
            "ab ".repeat(40),
            "x ".repeat(60)
        );
        let folded = fold(&text);
        let lines: Vec<&str> = folded.lines().collect();
        assert!(
            lines[0].len() <= COLUMNS && lines[1].starts_with("    ab"),
            "{folded}"
        );
        assert!(lines[2].starts_with(" 1 | x x"), "{folded}");
        assert_eq!(lines[3], "  = help: make one with");
        assert_eq!(lines[4], format!("          {command}"));
    }

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
