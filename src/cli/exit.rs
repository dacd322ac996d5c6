//! The exit codes, and the errors that end a command early.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

/// The exit codes of the process. Codes from 64 on are those of sysexits.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Exit {
    /// 0: success, or the answer is yes.
    Fine = 0,
    /// 1: the answer is no, for example a trail that does not verify or an empty result.
    No = 1,
    /// 2: the command line is invalid.
    Usage = 2,
    /// 70: a defect in this program.
    Internal = 70,
    /// 74: a read or a write failed.
    Io = 74,
    /// 78: the config is invalid.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[derive(Debug)]
pub(super) enum Stop {
    /// The exit code, and the message for standard error.
    Message(Exit, String),
    /// The exit code, and lines that are already formatted.
    Rendered(Exit, String),
    /// Writing to standard output failed.
    Output(io::Error),
}

impl Stop {
    pub(super) fn no(message: impl Display) -> Self {
        Self::Message(Exit::No, message.to_string())
    }

    pub(super) fn usage(message: impl Display) -> Self {
        Self::Message(Exit::Usage, message.to_string())
    }

    pub(super) fn internal(message: impl Display) -> Self {
        Self::Message(Exit::Internal, message.to_string())
    }

    pub(super) fn io(message: impl Display) -> Self {
        Self::Message(Exit::Io, message.to_string())
    }
}

/// Lets `?` convert errors of standard output. Every other error gets its own message.
impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_the_documented_ones() {
        let codes = [
            (Exit::Fine, 0),
            (Exit::No, 1),
            (Exit::Usage, 2),
            (Exit::Internal, 70),
            (Exit::Io, 74),
            (Exit::Config, 78),
        ];
        for (exit, code) in codes {
            assert_eq!(exit as u8, code);
        }
    }
}
