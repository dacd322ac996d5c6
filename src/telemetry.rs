//! To be written.

/// How logs for people are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The least level shown: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// Lines for people, or JSON; `Auto` asks whether standard error is a terminal.
    pub format: Format,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}
