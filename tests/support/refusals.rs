//! The table of docs/refusals.md, and what it requires of the text of a refusal.

use std::sync::LazyLock;

use serde_json::Value;

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) code: String,
    pub(crate) planned: bool,
    pub(crate) wrong: String,
    pub(crate) actor: String,
    pub(crate) repeat: String,
}

/// The page.
pub(crate) fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/refusals.md");
    std::fs::read_to_string(path).unwrap()
}

/// The lines of the first table, which opens the page.
pub(crate) fn rows() -> &'static [Row] {
    static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
        let page = page();
        let mut lines = page.lines().skip(2);
        let head = "| code | what is wrong | who must act | may the caller repeat the request |";
        assert_eq!(lines.next(), Some(head), "docs/refusals.md begins with it");
        let lines = lines.skip(1).take_while(|line| line.starts_with('|'));
        lines.map(row).collect()
    });
    &ROWS
}

fn row(line: &str) -> Row {
    let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [code, wrong, actor, repeat] = cells[..] else {
        panic!("not four cells: {line}");
    };
    Row {
        code: code.split('`').nth(1).unwrap_or_default().to_owned(),
        planned: code.ends_with(" (planned)"),
        wrong: wrong.to_owned(),
        actor: actor.to_owned(),
        repeat: repeat.to_owned(),
    }
}

/// What the text says for each cell of the last column.
const REPEATS: &[(&str, &str)] = &[
    ("once fixed", "fix the request before you repeat it."),
    (
        "with another token",
        "you may repeat the request with another token.",
    ),
    (
        "after `Retry-After`",
        "you may repeat the request after the time in Retry-After.",
    ),
    (
        "in a few seconds",
        "you may repeat the request in a few seconds.",
    ),
    (
        "once the operator has acted",
        "a repeat is refused until the operator has acted.",
    ),
];
/// Before a cell: the row may belong to a request that was sent.
const IF_UNSENT: &str = "only if `sent` is `no`: ";
const NEVER: &str = "no: read the user, then decide";
/// Parts of every address, folder and file of a gateway in a test.
const INSIDE: &[&str] = &[
    "127.0.0.1",
    "lychgate-test-",
    "lychgate.test",
    "audit.key",
    "keys.json",
    "journal",
];
const OPERATOR: &str = "The operator finds the reason in the log under the request id.";

/// The differences between the body of a refusal and the table. `is_read`: whether the request was a
/// read; `None` if that is not known.
pub(crate) fn faults(problem: &Value, is_read: Option<bool>) -> Vec<String> {
    let text = |name: &str| problem[name].as_str().unwrap_or_default();
    let (code, sent, detail) = (text("code"), text("sent"), text("detail"));
    let Some(row) = rows().iter().find(|row| row.code == code) else {
        return vec![format!("{code} is not in the table")];
    };
    let mut faults = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("{code}, sent {sent}: {what}: {detail}"));
        }
    };
    let guarded = row.repeat.starts_with(IF_UNSENT) || row.repeat == NEVER;
    let cell = row.repeat.trim_start_matches(IF_UNSENT);
    let repeat = REPEATS.iter().find(|(name, _)| *name == cell);
    let allows =
        |begin: &str| repeat.is_some_and(|(_, says)| detail.contains(&format!("{begin}: {says}")));
    let forbids = detail.contains("Do not repeat; read ") && detail.contains(", then decide.");
    must(
        repeat.is_some() || row.repeat == NEVER,
        "the table's last cell is none of the known",
    );
    match (sent, is_read) {
        ("no", _) => must(
            allows("Nothing was sent"),
            "the text does not say as the table when to repeat",
        ),
        (_, Some(true)) => must(
            allows("A read changes nothing"),
            "the text does not let a read be repeated",
        ),
        (_, Some(false)) => must(
            forbids && guarded,
            "the text or the table lets a sent request be repeated",
        ),
        (_, None) => must(
            forbids || allows("A read changes nothing"),
            "the text gives no advice",
        ),
    }
    for inside in INSIDE {
        must(
            !detail.contains(inside),
            "the text shows the inside of the gateway",
        );
    }
    must(
        detail.matches("repeat").count() == 1,
        "the text speaks of a repeat more than once",
    );
    must(
        !detail.contains(" again"),
        "the text gives advice of its own",
    );
    must(
        detail.ends_with(OPERATOR) == (row.actor == "operator"),
        "the text names the operator if and only if the table does",
    );
    must(
        row.actor != "issuer" || detail.contains("issuer"),
        "the text does not name the issuer",
    );
    faults
}
