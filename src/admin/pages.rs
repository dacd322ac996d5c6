//! The pages of the admin listener: text for people, JSON for programs.

use std::fmt::Write;

use serde::Serialize;

use super::view::{Reload, Report};

/// `/readyz?verbose`: one line for each part of the gateway, with the part's trouble, if any, and
/// the time at which the trouble began.
pub(super) fn verbose(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(page, "reads: {}", verdict(&report.reads));
    let _ = writeln!(page, "deletions: {}", verdict(&report.deletions));
    for part in &report.parts {
        let _ = match &part.trouble {
            None => writeln!(page, "{}: ok", part.name),
            Some((trouble, since)) => {
                writeln!(page, "{}: since {since}: {}", part.name, one_line(trouble))
            }
        };
    }
    let _ = writeln!(page, "reload: {}", last_reload(report.reload.as_ref()));
    page
}

/// The JSON of `/status`.
pub(super) fn status(report: &Report) -> String {
    let status = Status {
        version: env!("CARGO_PKG_VERSION"),
        started: report.started.to_string(),
        uptime_seconds: report.now.seconds() - report.started.seconds(),
        config: &report.config,
        ready: Ready {
            reads: report.reads.is_ok(),
            deletions: report.deletions.is_ok(),
        },
        trail: Trail {
            open: report.trail.closed.is_none(),
            cause: report.trail.closed.as_ref().map(|c| c.cause.as_str()),
            detail: report.trail.closed.as_ref().map(|c| c.detail.as_str()),
            since: report.trail.since.to_string(),
            next_index: report.trail.next_index,
            open_intents: report.trail.open_intents,
            free_bytes: report.trail.space.free_bytes,
        },
        reload: report.reload.as_ref().map(|reload| ReloadStatus {
            time: reload.time.to_string(),
            refused: reload.refused.as_deref(),
        }),
    };
    // This cannot fail: the page holds only plain values, such as strings and numbers.
    let mut page = serde_json::to_string_pretty(&status).unwrap_or_default();
    page.push('\n');
    page
}

#[derive(Serialize)]
struct Status<'a> {
    version: &'static str,
    started: String,
    uptime_seconds: i64,
    config: &'a str,
    ready: Ready,
    trail: Trail<'a>,
    reload: Option<ReloadStatus<'a>>,
}

#[derive(Serialize)]
struct Ready {
    reads: bool,
    deletions: bool,
}

#[derive(Serialize)]
struct Trail<'a> {
    open: bool,
    cause: Option<&'a str>,
    detail: Option<&'a str>,
    since: String,
    next_index: u64,
    open_intents: u64,
    free_bytes: Option<u64>,
}

#[derive(Serialize)]
struct ReloadStatus<'a> {
    time: String,
    refused: Option<&'a str>,
}

fn verdict(ready: &Result<(), String>) -> String {
    match ready {
        Ok(()) => "ok".into(),
        Err(why) => format!("refused: {}", one_line(why)),
    }
}

fn last_reload(reload: Option<&Reload>) -> String {
    match reload {
        None => "none since the start".into(),
        Some(Reload {
            time,
            refused: None,
        }) => format!("in force since {time}"),
        Some(Reload {
            time,
            refused: Some(why),
        }) => format!("refused at {time}, the config before it stays in force: {why}"),
    }
}

/// Replaces control characters, so that the text stays on one line and cannot control a terminal.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
