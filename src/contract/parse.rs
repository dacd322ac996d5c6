//! Parses a contract's TOML file strictly: it reports each fault with its position and never
//! guesses.

use std::ops::Range;
use std::sync::Arc;

use toml::de::DeTable;

use super::operation::{BodyRule, Effect, Operation};
use super::reader::{Reader, Text};
use super::rules::{Placed, clashes, contradictions};
use super::table::{Closed, Contract, Route};
use super::template::Template;

/// The maximum number of operations and of closed paths in one contract, each.
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

/// A fault in a contract file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractProblem {
    /// The byte range in the file.
    pub span: Range<usize>,
    /// The fault and its correction.
    pub message: String,
}

/// Reads a file. The faults are sorted by position.
pub(super) fn contract(text: &str) -> Result<Contract, Vec<ContractProblem>> {
    let (table, syntax) = DeTable::parse_recoverable(text);
    let mut problems: Vec<ContractProblem> = syntax
        .iter()
        .map(|error| ContractProblem {
            span: error.span().unwrap_or_default(),
            message: error.message().to_owned(),
        })
        .collect();
    let mut contract = None;
    // After a syntax error the tree is a guess, so the parser does not report faults of its
    // content.
    if problems.is_empty() {
        (contract, problems) = read_contract(text, Reader::new(table.get_ref(), 0..0));
    }
    problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
    match contract {
        Some(contract) if problems.is_empty() => Ok(contract),
        _ => Err(problems),
    }
}

/// The parts that all entries of a file share.
struct Shared<'a> {
    base: &'a str,
    version: Option<&'a str>,
}

fn read_contract(
    text: &str,
    mut reader: Reader<'_, '_>,
) -> (Option<Contract>, Vec<ContractProblem>) {
    let name = named(&mut reader, "name", 64);
    let version = named(&mut reader, "version", 16);
    let base = reader.optional_text("base").map_or("", |base| base.text);
    let operations = reader.tables("operation");
    let closings = reader.tables("closed");
    for too_many in [&operations, &closings]
        .into_iter()
        .filter_map(|entries| entries.get(MAX_ENTRIES))
    {
        reader.problem(
            too_many.span(),
            format!("a contract has at most {MAX_ENTRIES} of these"),
        );
    }
    if operations.is_empty() {
        reader.problem(
            reader.span(),
            "a contract needs at least one `[[operation]]`",
        );
    }
    let shared = Shared {
        base,
        version: version.map(|version| version.text),
    };
    let mut problems = reader.end();
    let mut routes = Vec::new();
    for operation in operations.into_iter().take(MAX_ENTRIES) {
        let (route, faults) = read_operation(operation, &shared);
        problems.extend(faults);
        routes.extend(route);
    }
    let mut closed = Vec::new();
    for closing in closings.into_iter().take(MAX_ENTRIES) {
        let (closing, faults) = read_closed(closing, &shared);
        problems.extend(faults);
        closed.extend(closing);
    }
    problems.extend(clashes(&routes, &closed));
    let contract = name.map(|name| Contract {
        name: name.text.to_owned(),
        source: text.to_owned(),
        routes: routes.into_iter().map(|placed| placed.route).collect(),
        closed,
    });
    (contract, problems)
}

fn read_operation(
    mut reader: Reader<'_, '_>,
    shared: &Shared<'_>,
) -> (Option<Placed>, Vec<ContractProblem>) {
    let name = named(&mut reader, "name", 64);
    let route = read_route(&mut reader, name, shared);
    let placed = name.zip(route).map(|(name, route)| {
        for fault in contradictions(&route) {
            reader.problem(name.span(), format!("`{}`: {fault}", name.text));
        }
        Placed {
            route,
            span: name.span(),
        }
    });
    (placed, reader.end())
}

/// Reads every key before it returns, so that all faults are reported at once.
fn read_route(
    reader: &mut Reader<'_, '_>,
    name: Option<Text<'_>>,
    shared: &Shared<'_>,
) -> Option<Route> {
    let method = reader.word("method", &METHODS);
    let template = read_template(reader, shared);
    let effect = reader.word("effect", &EFFECTS);
    let if_match = reader.word("if_match", &[("required", true), ("optional", false)]);
    let body = reader.word("body", &BODIES);
    let carriers = read_carriers(reader);
    let scope = reader.text("scope");
    let scope = read_scope(reader, scope);
    let unconditional_scope = reader.optional_text("unconditional_scope");
    let unconditional_scope = read_scope(reader, unconditional_scope);
    let off = read_off(reader);
    Some(Route {
        template: template?,
        operation: Arc::new(Operation {
            name: Arc::from(name?.text),
            method: method?.to_owned(),
            effect: effect?,
            version: shared.version?.to_owned(),
            if_match_required: if_match?,
            body: body?,
            scope: scope?,
            unconditional_scope,
            carriers,
        }),
        off,
    })
}

fn read_closed(
    mut reader: Reader<'_, '_>,
    shared: &Shared<'_>,
) -> (Option<Closed>, Vec<ContractProblem>) {
    let template = read_template(&mut reader, shared);
    let reason = reader.text("reason");
    let reason = read_reason(&mut reader, reason);
    let closed = template
        .zip(reason)
        .map(|(template, reason)| Closed { template, reason });
    (closed, reader.end())
}

fn read_template(reader: &mut Reader<'_, '_>, shared: &Shared<'_>) -> Option<Template> {
    let path = reader.text("path")?;
    let whole = match path.text.strip_prefix("{base}") {
        Some(rest) => format!("{}{rest}", shared.base),
        None => path.text.to_owned(),
    };
    match Template::parse(&whole) {
        Ok(template) => Some(template),
        Err(fault) => {
            let message = format!("`{whole}` is not a valid path for a contract: {fault}");
            reader.problem(path.span(), message);
            None
        }
    }
}

/// A name for entries, metrics and headers: lower-case letters, digits, `.`, `_` and `-`.
fn named<'a>(reader: &mut Reader<'a, '_>, key: &'static str, longest: usize) -> Option<Text<'a>> {
    let text = reader.text(key)?;
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if (1..=longest).contains(&text.text.len()) && text.text.bytes().all(plain) {
        return Some(text);
    }
    let message =
        format!("`{key}` must be 1 to {longest} lower-case letters, digits, `.`, `_` or `-`");
    reader.problem(text.span(), message);
    None
}

/// A scope-token (RFC 6749 §3.3) of at most 128 bytes.
fn read_scope(reader: &mut Reader<'_, '_>, scope: Option<Text<'_>>) -> Option<String> {
    let scope = scope?;
    let is_token = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if (1..=128).contains(&scope.text.len()) && scope.text.bytes().all(is_token) {
        return Some(scope.text.to_owned());
    }
    let message = "a scope is 1 to 128 visible ASCII characters without `\"` and `\\` (RFC 6749, section 3.3)";
    reader.problem(scope.span(), message);
    None
}

fn read_carriers(reader: &mut Reader<'_, '_>) -> Vec<String> {
    let mut carriers: Vec<String> = Vec::new();
    for carrier in reader.texts("carried_by") {
        if carrier.text == "GET" || !METHODS.iter().any(|(method, _)| *method == carrier.text) {
            reader.problem(
                carrier.span(),
                "`carried_by` lists POST, PUT, PATCH or DELETE, in capitals",
            );
        } else if carriers.iter().any(|earlier| earlier == carrier.text) {
            reader.problem(carrier.span(), format!("`{}` appears twice", carrier.text));
        } else {
            carriers.push(carrier.text.to_owned());
        }
    }
    carriers
}

/// Why an operation is off; `None` if it is on.
fn read_off(reader: &mut Reader<'_, '_>) -> Option<String> {
    let is_on = reader.switch("on").unwrap_or(true);
    let reason = reader.optional_text("reason");
    match (is_on, reason) {
        (true, Some(reason)) => {
            reader.problem(
                reason.span(),
                "`reason` is for an operation with `on = false`",
            );
            None
        }
        (false, None) => {
            reader.problem(
                reader.span(),
                "`on = false` needs a `reason`, which callers receive",
            );
            None
        }
        (_, reason) => read_reason(reader, reason),
    }
}

fn read_reason(reader: &mut Reader<'_, '_>, reason: Option<Text<'_>>) -> Option<String> {
    let reason = reason?;
    if !(1..=512).contains(&reason.text.len()) || reason.text.contains(char::is_control) {
        reader.problem(reason.span(), "`reason` must be one line of 1 to 512 bytes");
        return None;
    }
    Some(reason.text.to_owned())
}

#[cfg(test)]
mod tests;
