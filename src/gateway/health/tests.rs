//! What the log and `docs/operations.md` say about the trail's troubles and the metrics.

use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::audit::Unavailable;
use crate::audit::status::Cause;
use crate::audit::status::availability::Availability;
use crate::audit::status::space::Levels;
use crate::telemetry::tests::json_lines;

const OPERATIONS: &str = include_str!("../../../docs/operations.md");
const DETAIL: &str = "journal/0000000007: other bytes at 4096";

/// The lines about a trail that is closed for this cause, refuses 1,002 deletions in a minute, and
/// opens again.
fn lines_about(cause: Cause) -> Vec<Value> {
    json_lines(|| {
        let clock = Clock::manual(Time(0));
        let (timeout, metrics) = (Duration::from_secs(600), Metrics::new());
        let levels = Levels::default();
        let availability =
            Availability::new("/trail".into(), timeout, levels, clock.clone(), metrics);
        availability.open();
        availability.close(Unavailable {
            cause,
            detail: DETAIL.into(),
        });
        let refuse = || assert_eq!(availability.pass().unwrap_err().cause, cause);
        (0..1_000).for_each(|_| refuse());
        clock.advance(Duration::from_secs(59));
        refuse();
        clock.advance(Duration::from_secs(1));
        refuse();
        availability.open();
        availability.pass().unwrap();
    })
}

#[test]
fn p3_each_cause_is_logged_once_a_minute_with_the_remedy() {
    // Registers the events, so that the next subscriber asks for all of them.
    lines_about(Cause::DiskFull);
    for cause in Cause::ALL {
        let lines = lines_about(cause);
        let told: Vec<_> = lines
            .iter()
            .map(|line| line["message"].as_str().unwrap())
            .collect();
        let (soon, refused, accepted) = (
            "deletions are not accepted yet",
            "deletions are refused",
            "deletions are accepted",
        );
        if cause == Cause::Recovering {
            assert_eq!(told, [soon, accepted, soon, soon, accepted]);
            continue;
        }
        assert_eq!(told, [soon, accepted, refused, refused, accepted]);
        for (line, count) in lines[2..4].iter().zip([0, 1_002]) {
            assert_eq!(line["level"], "error");
            assert_eq!(line["cause"], cause.as_str());
            assert_eq!(line["directory"], "/trail");
            assert_eq!(line["reason"], DETAIL);
            assert_eq!(line["refused"], count);
            assert_eq!(line["remedy"], cause.remedy());
        }
        assert_eq!(lines[4]["level"], "info");
    }
}

#[test]
fn p3_each_remedy_names_its_section_of_the_operations_page() {
    for cause in Cause::ALL {
        let cause = (cause.as_str(), cause.remedy());
        assert!(
            OPERATIONS.contains(&format!("\n### {}\n", cause.0)),
            "{cause:?}"
        );
        let section = format!("(docs/operations.md, \"{}\")", cause.0);
        assert!(cause.1.ends_with(&section), "{cause:?}");
    }
}

#[test]
fn each_metric_is_explained_on_the_operations_page() {
    let text = Metrics::new().encode();
    let helped = text.lines().filter_map(|line| line.strip_prefix("# HELP "));
    let names: Vec<_> = helped.filter_map(|line| line.split(' ').next()).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(OPERATIONS.contains(&format!("| `{name}` |")), "{name}");
    }
}
