//! Deletions as CSV (RFC 4180), safe to open in a spreadsheet.
//!
//! A cell that a spreadsheet would take for a formula gets a leading apostrophe, and invisible
//! characters are escaped as on a terminal. Use JSON to get the exact text.

use serde_json::Value;

use crate::cli::escape::escape;

/// The columns: the fields of `audit list --json`. A field of a nested object follows a dot.
const COLUMNS: [&str; 29] = [
    "index",
    "time",
    "request_id",
    "operation",
    "account",
    "users",
    "caller.issuer",
    "caller.subject",
    "caller.client",
    "token_id",
    "if_match",
    "decision",
    "code",
    "outcome",
    "reason",
    "sent",
    "status",
    "revision",
    "domain",
    "attempts",
    "client_ip",
    "config",
    "closing_index",
    "group",
    "rule",
    "reconciled.result",
    "reconciled.index",
    "reconciled.actor.uid",
    "origin",
];

pub(super) fn head() -> String {
    record(COLUMNS.iter().map(ToString::to_string))
}

pub(super) fn line(deletion: &Value, origin: Option<&str>) -> String {
    record(COLUMNS.iter().map(|column| match *column {
        "origin" => origin.map(text).unwrap_or_default(),
        column => cell(find(deletion, column)),
    }))
}

fn find<'v>(deletion: &'v Value, column: &str) -> &'v Value {
    column.split('.').fold(deletion, |value, name| &value[name])
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(string) => text(string),
        // User ids hold only digits, so a space separates them.
        Value::Array(items) => {
            let items = items.iter().map(|item| item.as_str().unwrap_or_default());
            text(&items.collect::<Vec<_>>().join(" "))
        }
        other => text(&other.to_string()),
    }
}

/// Escapes a text, and makes it plain text if a spreadsheet would read it as a formula. The
/// full-width signs come from East Asian keyboards.
fn text(plain: &str) -> String {
    const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    let shown = escape(plain);
    match shown.trim_start().starts_with(FORMULA) {
        true => format!("'{shown}"),
        false => shown,
    }
}

fn record(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<_> = cells.map(quoted).collect();
    cells.join(",") + "\r\n"
}

/// Quotes a cell if necessary. Spreadsheets in some locales split cells at a semicolon.
fn quoted(cell: String) -> String {
    match cell.contains([',', ';', '"', '\'']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cells(subject: &str) -> String {
        line(&json!({"caller": {"subject": subject}}), None)
    }

    #[test]
    fn a_record_has_a_cell_for_each_column() {
        assert_eq!(head().matches(',').count(), COLUMNS.len() - 1);
        let empty = line(&json!({}), Some("a.example/1"));
        assert_eq!(empty.matches(',').count(), COLUMNS.len() - 1);
        assert!(empty.ends_with(",a.example/1\r\n"));
    }

    #[test]
    fn quotes_are_doubled_and_separators_quoted() {
        assert!(cells("a \"b\", c;d").contains(",\"a \"\"b\"\", c;d\","));
    }

    #[test]
    fn a_formula_becomes_text() {
        for bad in ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "＝1"] {
            let cells = cells(bad);
            let begin = cells
                .find("\"'")
                .unwrap_or_else(|| panic!("{bad}: {cells}"));
            assert!(cells[..begin].ends_with(','), "{cells}");
        }
    }

    #[test]
    fn no_control_character_is_written_raw() {
        let cells = cells("a\r\n=b\t\u{1b}[2J\u{0}\u{202e}");
        assert_eq!(cells.matches(char::is_control).count(), 2, "{cells:?}");
        assert!(cells.ends_with("\r\n"));
        assert!(cells.contains(r"a\r\n=b\t\u{1b}[2J\0\u{202e}"), "{cells}");
    }

    #[test]
    fn all_users_are_in_one_cell() {
        let line = line(&json!({"users": ["1", "2"], "status": 200}), None);
        assert!(line.contains(",1 2,"), "{line}");
        assert!(line.contains(",200,"), "{line}");
    }
}
