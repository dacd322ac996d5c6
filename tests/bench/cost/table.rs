//! The table of one subject: each value of this build, and, if another build is given, its value,
//! the ratio and the bound.

use super::{Cost, Subject};

/// The bound on the ratio of system calls to another build's.
const SYSTEM_CALLS: f64 = 1.01;
/// The bound on the ratio of the publisher's periodic syncs, which depend on the speed of the disk.
const OTHER_SYNCS: f64 = 1.2;
/// The bound on the ratio of the medians of CPU time.
const CPU: f64 = 1.05;

/// One row of counts.
struct Row {
    name: &'static str,
    value: fn(&Cost) -> f64,
    /// The number of significant digits after the point.
    digits: usize,
    /// The bound on the ratio to another build's count.
    bound: Option<f64>,
}

fn rows(subject: &Subject) -> [Row; 5] {
    [
        Row {
            name: "user instructions",
            value: |cost| cost.instructions,
            digits: 0,
            bound: Some(subject.most_instructions),
        },
        Row {
            name: "heap allocations",
            value: |cost| cost.allocations,
            digits: 2,
            bound: None,
        },
        Row {
            name: "system calls",
            value: |cost| cost.system_calls,
            digits: 2,
            bound: Some(SYSTEM_CALLS),
        },
        Row {
            name: "fdatasyncs",
            value: |cost| cost.fdatasyncs,
            digits: 2,
            bound: Some(1.0),
        },
        Row {
            name: "other syncs",
            value: |cost| cost.other_syncs,
            digits: 2,
            bound: Some(OTHER_SYNCS),
        },
    ]
}

/// Prints the table. Returns whether every bound holds.
pub(super) fn print(subject: &Subject, costs: &[Cost]) -> bool {
    println!("per {}:", subject.name);
    let mut holds = true;
    for row in rows(subject) {
        let values: Vec<f64> = costs
            .iter()
            .map(|cost| rounded((row.value)(cost), row.digits))
            .collect();
        let shown: Vec<String> = values
            .iter()
            .map(|value| format!("{value:.*}", row.digits))
            .collect();
        let ratio = values.get(1).map(|other| ratio(values[0], *other));
        holds &= line(row.name, &shown, ratio, row.bound);
    }
    let cpu = costs.iter().map(|cost| {
        let [first, median, third] = cost.cpu.quartiles();
        format!("{median:.1} ({first:.1}-{third:.1})")
    });
    let ratio = costs.get(1).map(|other| costs[0].cpu.ratio_to(&other.cpu));
    holds
        & line(
            "CPU, microseconds",
            &cpu.collect::<Vec<_>>(),
            ratio,
            Some(CPU),
        )
}

/// Rounds to the printed digits, because smaller differences are noise.
fn rounded(value: f64, digits: usize) -> f64 {
    let scale = 10_f64.powi(i32::try_from(digits).expect("few digits"));
    (value * scale).round() / scale
}

/// Two zeros have the ratio 1.
fn ratio(mine: f64, its: f64) -> f64 {
    if mine == its { 1.0 } else { mine / its }
}

/// Prints one line. Returns whether its bound holds.
fn line(name: &str, values: &[String], ratio: Option<f64>, bound: Option<f64>) -> bool {
    print!("  {name:<20}");
    for value in values {
        print!(" {value:>22}");
    }
    let Some(ratio) = ratio else {
        println!();
        return true;
    };
    let ratio = rounded(ratio, 3);
    let holds = bound.is_none_or(|bound| ratio <= bound);
    let judged = bound.map_or(String::new(), |bound| {
        let word = if holds { "ok" } else { "BROKEN" };
        format!(", at most {bound:.2}: {word}")
    });
    println!("   {ratio:.3} times{judged}");
    holds
}
