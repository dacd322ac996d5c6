//! The dependencies between the parts of `src`, from every `crate::` path outside comments.

use super::tree::{File, is_comment};

/// Each part and the other parts that it may use; `None` permits all.
const MAY_KNOW: &[(&str, Option<&[&str]>)] = &[
    ("audit", Some(&["clock", "metrics", "trouble"])),
    ("contract", Some(&["strict_toml"])),
    ("control", Some(&["audit", "clock", "metrics"])),
    (
        "reconcile",
        Some(&[
            "audit", "clock", "contract", "control", "domain", "fetch", "metrics", "request", "tls",
        ]),
    ),
    ("clock", Some(&[])),
    ("alarm", Some(&[])),
    ("metrics", Some(&[])),
    ("strict_toml", Some(&[])),
    ("tls", Some(&[])),
    ("random", Some(&[])),
    ("trouble", Some(&["clock"])),
    // A refusal contains the receipt of a deletion that was sent, and its advice depends on the effect.
    ("refusal", Some(&["audit", "contract", "request"])),
    ("request", Some(&["contract", "token"])),
    ("check", Some(&["refusal", "request"])),
    ("forward", Some(&["request"])),
    ("places", Some(&[])),
    ("fetch", Some(&["request", "tls"])),
    ("telemetry", Some(&["clock", "metrics"])),
    (
        "token",
        Some(&["fetch", "clock", "metrics", "request", "tls", "trouble"]),
    ),
    (
        "domain",
        Some(&["fetch", "clock", "metrics", "request", "tls"]),
    ),
    (
        "layers",
        Some(&[
            "request", "forward", "refusal", "check", "contract", "token", "domain", "audit",
            "metrics", "clock", "random", "places",
        ]),
    ),
    (
        "outbound",
        Some(&[
            "request", "forward", "refusal", "layers", "metrics", "tls", "random", "clock",
            "alarm", "trouble", "places",
        ]),
    ),
    (
        "inbound",
        Some(&["request", "metrics", "clock", "alarm", "trouble"]),
    ),
    (
        "admin",
        Some(&["audit", "metrics", "config", "clock", "request"]),
    ),
    (
        "config",
        Some(&[
            "admin",
            "audit",
            "contract",
            "domain",
            "inbound",
            "layers",
            "outbound",
            "reconcile",
            "request",
            "strict_toml",
            "telemetry",
            "token",
        ]),
    ),
    ("simulator", Some(&["clock", "token"])),
    ("stack", None),
    ("gateway", None),
    ("cli", None),
    ("lib", None),
    ("main", None),
];

/// A restriction of the table: `outbound` may use only the request and answer types of `layers`.
const ONLY: &[(&str, &str, &str)] = &[("outbound", "layers", "layers::record")];

/// The crates that a part must not use.
const NO_CRATE: &[(&str, &[&str])] = &[
    ("audit", &["http::", "hyper::", "hyper_util::", "tower::"]),
    (
        "contract",
        &["http::", "hyper::", "tower::", "tokio::", "aws_lc_rs::"],
    ),
];

/// All forbidden dependencies of a file.
pub(super) fn wrong_of(file: &File) -> Vec<String> {
    let part = part(&file.path);
    let Some((_, allowed)) = MAY_KNOW.iter().find(|(name, _)| *name == part) else {
        return vec![format!(
            "{}: `{part}` is not in the table of tests/tidy/dependencies.rs",
            file.path
        )];
    };
    let code: String = file
        .text
        .lines()
        .filter(|line| !is_comment(line))
        .collect::<Vec<_>>()
        .join("\n");
    let mut wrong = Vec::new();
    for path in crate_paths(&code) {
        let known = path.split("::").next().unwrap_or_default();
        // The name in `use crate::{self}` or in a macro's `$crate::name!` is not a part.
        let is_part = MAY_KNOW.iter().any(|(name, _)| *name == known);
        let may = allowed.is_none_or(|allowed| allowed.contains(&known)) || known == part;
        let narrow = ONLY
            .iter()
            .any(|(who, whom, only)| *who == part && *whom == known && !path.starts_with(only));
        if is_part && (!may || narrow) {
            wrong.push(format!(
                "{}: `{part}` may not know `crate::{path}`",
                file.path
            ));
        }
    }
    for (who, crates) in NO_CRATE {
        for name in crates
            .iter()
            .filter(|name| *who == part && names(&code, name))
        {
            wrong.push(format!("{}: `{part}` may not name `{name}`", file.path));
        }
    }
    wrong
}

/// The part of a file: the folder or file directly under `src`.
fn part(path: &str) -> &str {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    let first = inner.split('/').next().unwrap_or(inner);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// The paths after `crate::`; for a `crate::{...}` list, the first segment of each path.
fn crate_paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => paths.extend(heads(list)),
            None => paths.push(path(rest)),
        }
    }
    paths
}

/// The first segments in a use list, up to its closing brace.
fn heads(list: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0_usize;
    let mut head = String::new();
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(std::mem::take(&mut head)),
            _ if depth == 0 => head.push(c),
            _ => {}
        }
    }
    heads.push(head);
    let heads = heads.iter().map(|head| path(head.trim()));
    heads.filter(|head| !head.is_empty()).collect()
}

/// The leading `a::b::c` of a text.
fn path(text: &str) -> String {
    let is_path = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let path: String = text.chars().take_while(is_path).collect();
    path.trim_end_matches(':').to_owned()
}

/// Whether a path in the code begins with this crate.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
    })
}
