//! Events in, lines out.

use std::io::Read;

use super::*;
use crate::clock::Time;

/// The lines of the events that `told` logs. It may change the settings meanwhile.
fn lines_of(level: LevelFilter, style: Style, told: impl FnOnce(&Logs)) -> String {
    let (mut reader, writer) = io::pipe().unwrap();
    let queue = Queue::start(writer, Counter::default()).unwrap();
    let logs = Logs {
        queue: queue.clone(),
        shown: Arc::new(ArcSwap::from_pointee(Shown { level, style })),
    };
    let clock = Clock::manual(Time(1_764_000_000_000_005));
    let subscriber = subscriber(queue, Arc::clone(&logs.shown), clock);
    tracing::subscriber::with_default(subscriber, || told(&logs));
    logs.stop();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text
}

fn lines(level: LevelFilter, style: Style, told: impl FnOnce()) -> String {
    lines_of(level, style, |_| told())
}

/// The events that `told` logs, each as one object.
pub(crate) fn json_lines(told: impl FnOnce()) -> Vec<serde_json::Value> {
    let text = lines(LevelFilter::INFO, Style::Json, || {
        // Another thread may have met an event first, when no subscriber was interested in it.
        tracing::callsite::rebuild_interest_cache();
        told();
    });
    let parsed = text.lines().map(serde_json::from_str);
    parsed.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_reload_changes_level_and_form() {
    let text = lines_of(LevelFilter::WARN, Style::Json, |logs| {
        tracing::info!("quiet");
        logs.set(&Settings {
            level: LevelFilter::TRACE,
            format: Format::Pretty,
        });
        tracing::trace!("loud");
    });
    assert!(!text.contains("quiet"), "{text}");
    assert!(text.contains("trace") && text.contains("loud"), "{text}");
    assert!(!text.contains('{'), "{text}");
}

#[test]
fn a_json_line_is_one_object() {
    let text = lines(LevelFilter::INFO, Style::Json, || {
        tracing::info!(status = 200, code = "", took = 0.5, "answered \"it\"");
    });
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["time"], "2025-11-24T16:00:00.000005Z");
    assert_eq!(value["level"], "info");
    assert_eq!(value["target"], module_path!());
    assert_eq!(value["message"], "answered \"it\"");
    assert_eq!(value["status"], 200);
    assert_eq!(value["took"], 0.5);
}

#[test]
fn a_line_for_people_begins_with_its_message() {
    let text = lines(LevelFilter::INFO, Style::Plain, || {
        tracing::warn!(path = "/a b", n = 1, message = "closed");
    });
    assert!(text.contains("warn  closed path=\"/a b\" n=1\n"), "{text}");
}

#[test]
fn p8_nothing_from_outside_ends_a_line_or_steers_a_terminal() {
    let evil = "a\nb\u{1b}[31m\r\u{202e}\u{9b}";
    let spaced = format!("{evil} x=1");
    for style in [Style::Json, Style::Plain] {
        let text = lines(LevelFilter::INFO, style, || {
            tracing::info!(evil, spaced, "said {evil}");
            tracing::info!(%evil, ?evil, "{evil}");
        });
        assert_eq!(text.lines().count(), 2, "{text}");
        let harmful = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!text.contains(harmful), "{text:?}");
    }
    let text = lines(LevelFilter::INFO, Style::Json, || {
        tracing::info!(evil, "x");
    });
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["evil"], evil);
}

#[test]
fn p8_of_other_crates_only_warnings_are_shown() {
    let shown = |level| Shown {
        level,
        style: Style::Json,
    };
    let (trace, error) = (shown(LevelFilter::TRACE), shown(LevelFilter::ERROR));
    assert_eq!(trace.most(Some("lychgate::stack")), LevelFilter::TRACE);
    for other in [Some("hyper::proto"), None] {
        assert_eq!(trace.most(other), LevelFilter::WARN);
        assert_eq!(error.most(other), LevelFilter::ERROR);
    }
}

#[test]
fn an_event_below_the_level_is_not_shown() {
    let text = lines(LevelFilter::WARN, Style::Json, || {
        tracing::info!("quiet");
        tracing::error!("loud");
    });
    assert!(!text.contains("quiet") && text.contains("loud"), "{text}");
}
