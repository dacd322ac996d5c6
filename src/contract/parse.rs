//! Parses a contract's TOML file strictly. The parser reports each fault with its position and
//! never guesses.

use std::sync::Arc;

use toml::de::DeTable;

use super::operation::{BodyRule, Effect, Operation};
use super::rules::{EXAMPLE, clashes, contradictions};
use super::table::{Closed, Contract, Route};
use super::template::Template;
use crate::strict_toml::{Placed, Problem, Reading, Table};

const BUILTIN: &str = include_str!("../../config/contracts/liveperson-users-4.0.toml");
/// The maximum number of operations in one contract, and also the maximum number of closed paths.
const MAX_ENTRIES: usize = 256;
/// The allowed methods of operations; `HEAD`, `OPTIONS`, `CONNECT` and `TRACE` are not allowed.
const METHODS: [(&str, &str); 5] = [
    ("GET", "GET"),
    ("POST", "POST"),
    ("PUT", "PUT"),
    ("PATCH", "PATCH"),
    ("DELETE", "DELETE"),
];
const EFFECTS: [(&str, Effect); 3] = [
    ("read", Effect::Read),
    ("write", Effect::Write),
    ("delete", Effect::Delete),
];
const BODIES: [(&str, BodyRule); 4] = [
    ("none", BodyRule::None),
    ("empty-json", BodyRule::EmptyJson),
    ("pass", BodyRule::Pass),
    ("ids", BodyRule::Ids),
];

impl Contract {
    /// Parses a contract's TOML text.
    ///
    /// # Errors
    /// Returns every fault, sorted by position.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let (tree, errors) = DeTable::parse_recoverable(text);
        let mut problems: Vec<Problem> = errors.iter().map(|e| Problem::syntax(e, text)).collect();
        let mut contract = None;
        // After a syntax error, the tree is a guess, so the parser does not report faults in the
        // content.
        if problems.is_empty() {
            let reading = Reading::default();
            contract = read_contract(text, Table::root(tree.get_ref(), &reading), &reading);
            problems = reading.problems.take();
        }
        problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        match contract {
            Some(contract) if problems.is_empty() => Ok(contract),
            _ => Err(problems),
        }
    }

    /// The built-in contract `liveperson-users-4.0`.
    #[must_use]
    pub fn builtin() -> Self {
        // A test shows that the built-in contract parses. If the contract did not parse, this
        // replacement without operations would refuse every request.
        Self::parse(BUILTIN).unwrap_or_else(|_| Self {
            name: String::new(),
            source: BUILTIN.to_owned(),
            routes: Vec::new(),
            closed: Vec::new(),
        })
    }
}

/// The settings that all entries of a contract file share.
struct Shared {
    base: String,
    version: Option<String>,
}

fn read_contract(text: &str, mut table: Table<'_>, reading: &Reading) -> Option<Contract> {
    table.require("name", EXAMPLE);
    table.require("version", EXAMPLE);
    let name = named(&mut table, "name", 64);
    let shared = Shared {
        version: named(&mut table, "version", 16),
        base: table.text("base").unwrap_or_default(),
    };
    let operations = table.tables("operation");
    let closings = table.tables("closed");
    for entries in [&operations, &closings] {
        if let Some(first_too_many) = entries.get(MAX_ENTRIES) {
            let message = format!("a contract has at most {MAX_ENTRIES} of these");
            table.problem(&first_too_many.span, message, EXAMPLE);
        }
    }
    if operations.is_empty() {
        let message = "a contract needs at least one `[[operation]]`";
        table.problem(&table.span, message, EXAMPLE);
    }
    table.end();
    let operations = operations.into_iter().take(MAX_ENTRIES);
    let routes: Vec<_> = operations
        .filter_map(|table| read_operation(table, &shared))
        .collect();
    let closings = closings.into_iter().take(MAX_ENTRIES);
    let closed: Vec<_> = closings
        .filter_map(|table| read_closed(table, &shared))
        .collect();
    clashes(&routes, &closed, reading);
    Some(Contract {
        name: name?,
        source: text.to_owned(),
        routes: routes.into_iter().map(|placed| placed.value).collect(),
        closed,
    })
}

fn read_operation(mut table: Table<'_>, shared: &Shared) -> Option<Placed<Route>> {
    for key in [
        "name", "method", "path", "effect", "if_match", "body", "scope",
    ] {
        table.require(key, EXAMPLE);
    }
    let span = table.span_of("name");
    let route = read_route(&mut table, shared);
    if let Some(route) = &route {
        for fault in contradictions(route) {
            let message = format!("`{}`: {fault}", route.operation.name);
            table.problem(&span, message, EXAMPLE);
        }
    }
    table.end();
    route.map(|value| Placed { value, span })
}

/// Reads an operation and its path. Reads every key before the first return, so that the parser
/// reports all faults at once.
fn read_route(table: &mut Table<'_>, shared: &Shared) -> Option<Route> {
    let name = named(table, "name", 64);
    let method = table.word("method", &METHODS);
    let template = read_template(table, shared);
    let effect = table.word("effect", &EFFECTS);
    let if_match = table.word("if_match", &[("required", true), ("optional", false)]);
    let body = table.word("body", &BODIES);
    let carriers = read_carriers(table);
    let scope = read_scope(table, "scope");
    let unconditional_scope = read_scope(table, "unconditional_scope");
    let off = read_off(table);
    Some(Route {
        template: template?,
        operation: Arc::new(Operation {
            name: name?.into(),
            method: method?.to_owned(),
            effect: effect?,
            version: shared.version.clone()?,
            if_match_required: if_match?,
            body: body?,
            scope: scope?,
            unconditional_scope,
            carriers,
        }),
        off,
    })
}

fn read_closed(mut table: Table<'_>, shared: &Shared) -> Option<Closed> {
    table.require("path", EXAMPLE);
    table.require("reason", EXAMPLE);
    let template = read_template(&mut table, shared);
    let reason = read_reason(&mut table);
    table.end();
    Some(Closed {
        template: template?,
        reason: reason?,
    })
}

fn read_template(table: &mut Table<'_>, shared: &Shared) -> Option<Template> {
    let path = table.text("path")?;
    let whole = match path.strip_prefix("{base}") {
        Some(rest) => format!("{}{rest}", shared.base),
        None => path,
    };
    let template = Template::parse(&whole).map_err(|fault| {
        let message = format!("`{whole}` is not a valid path for a contract: {fault}");
        table.problem(&table.span_of("path"), message, EXAMPLE);
    });
    template.ok()
}

/// Reads a name that fits into trail entries, metrics and headers: lower-case letters, digits, `.`,
/// `_` and `-`.
fn named(table: &mut Table<'_>, key: &'static str, longest: usize) -> Option<String> {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    table.parsed(key, EXAMPLE, |text| {
        if (1..=longest).contains(&text.len()) && text.bytes().all(plain) {
            return Ok(text.to_owned());
        }
        Err(format!(
            "must be 1 to {longest} lower-case letters, digits, `.`, `_` or `-`"
        ))
    })
}

/// Reads a scope-token (RFC 6749 §3.3) of at most 128 bytes.
fn read_scope(table: &mut Table<'_>, key: &'static str) -> Option<String> {
    let is_token = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    table.parsed(key, EXAMPLE, |scope| {
        if (1..=128).contains(&scope.len()) && scope.bytes().all(is_token) {
            return Ok(scope.to_owned());
        }
        Err("must be 1 to 128 visible ASCII characters without `\"` and `\\` (RFC 6749, section 3.3)".to_owned())
    })
}

fn read_carriers(table: &mut Table<'_>) -> Vec<String> {
    let mut carriers: Vec<String> = Vec::new();
    for Placed { value, span } in table.list("carried_by").unwrap_or_default() {
        if value == "GET" || !METHODS.iter().any(|(method, _)| *method == value) {
            let message = "`carried_by` lists POST, PUT, PATCH or DELETE, in capitals";
            table.problem(&span, message, EXAMPLE);
        } else if carriers.contains(&value) {
            table.problem(&span, format!("`{value}` appears twice"), "name it once");
        } else {
            carriers.push(value);
        }
    }
    carriers
}

/// Reads why an operation is off; `None` if the operation is on.
fn read_off(table: &mut Table<'_>) -> Option<String> {
    let is_on = table.flag("on", true);
    match (is_on, table.text("reason")) {
        (true, Some(_)) => {
            let message = "`reason` is for an operation with `on = false`";
            table.problem(&table.span_of("reason"), message, "leave it out");
            None
        }
        (false, None) => {
            let message = "`on = false` needs a `reason`, which callers receive";
            let hint = "such as reason = \"not offered here\"";
            table.problem(&table.span, message, hint);
            None
        }
        (false, Some(_)) => read_reason(table),
        (true, None) => None,
    }
}

fn read_reason(table: &mut Table<'_>) -> Option<String> {
    table.parsed("reason", "shorten it to one line", |reason| {
        if (1..=512).contains(&reason.len()) && !reason.contains(char::is_control) {
            return Ok(reason.to_owned());
        }
        Err("must be one line of 1 to 512 bytes".to_owned())
    })
}

#[cfg(test)]
mod tests;
