//! The exit codes, and how a verb ends early.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

/// What the process says of itself when it ends (the numbers of sysexits.h, where it has them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// 0: all is well, and the answer is yes.
    Fine = 0,
    /// 1: the answer is no: a trail does not verify, nothing was found.
    No = 1,
    /// 2: the command line is not one.
    Usage = 2,
    /// 70: a defect of this program.
    Internal = 70,
    /// 74: something could not be read or written.
    Io = 74,
    /// 78: the config is wrong.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a verb ended before its work was done.
#[derive(Debug)]
pub enum Stop {
    /// The exit code, and what the operator is told on standard error.
    Told(Exit, String),
    /// The exit code, and lines that are laid out already.
    Rendered(Exit, String),
    /// Standard output took no more.
    Output(io::Error),
}

impl Stop {
    /// With a message.
    pub fn with(exit: Exit, message: impl Display) -> Self {
        Self::Told(exit, message.to_string())
    }
}

/// Only standard output is written with `?`; whatever else fails says what it was about.
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
