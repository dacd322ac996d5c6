//! The commands, one file a verb.

use std::process::ExitCode;

/// Parses the command line, runs the verb, gives its exit code.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
