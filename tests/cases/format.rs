//! Parses a `.case` file. README.md in this folder describes the format.

use std::collections::BTreeMap;

/// One parsed case.
#[derive(Clone, Debug, Default)]
pub(super) struct Case {
    /// The first comment: the statement of the case.
    pub(super) says: String,
    /// Lines that override the base config.
    pub(super) config: Vec<String>,
    /// Token recipes by name; the unnamed one is `""`.
    pub(super) tokens: BTreeMap<String, Vec<String>>,
    /// The request, with unresolved placeholders.
    pub(super) request: Message,
    /// The behavior of upstream; `None` if it must receive nothing.
    pub(super) upstream: Option<Behaviour>,
    /// The request that upstream must receive; `None` if it must receive nothing.
    pub(super) saw: Option<Expected>,
    /// The expected answer.
    pub(super) answer: Expected,
    /// Checks of the joined trail entry; `None` if there must be no entry.
    pub(super) trail: Option<Vec<Check>>,
}

/// A message of head lines and a body, or of raw bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// The lines of the head; for a raw message, pieces that are joined without a separator.
    pub(super) lines: Vec<String>,
    /// The body.
    pub(super) body: String,
    /// Whether the message is complete as written: no line ends and no empty line are added.
    pub(super) raw: bool,
}

/// The behavior of upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Answers and keeps the connection.
    Answer(Message),
    /// Answers before it has read the body, and closes.
    Early(Message),
    /// Never answers.
    Hang,
    /// Closes.
    Close,
    /// Resets.
    Reset,
}

/// The expected properties of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// The request line, or the status and code.
    pub(super) first: String,
    /// Checks of headers and problem members.
    pub(super) checks: Vec<Check>,
    /// The exact body, if the case checks it.
    pub(super) body: Option<String>,
}

/// The check of one header, member or field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    /// Its name; the name of a problem member begins with a dot.
    pub(super) name: String,
    /// The condition.
    pub(super) wanted: Wanted,
}

/// The condition on a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// `! name`
    Absent,
    /// `name: *`
    Present,
    /// `name: ~text`
    Holding(String),
    /// `name: text`
    Exactly(String),
}

/// Parses a case.
///
/// Fails with a sentence that names the fault and its line.
pub(super) fn parse(text: &str) -> Result<Case, String> {
    let mut case = Case::default();
    let mut sections = sections(text, &mut case.says)?;
    for (name, lines) in &mut sections {
        let lines = std::mem::take(lines);
        read_section(&mut case, name, lines).map_err(|fault| format!("{name}: {fault}"))?;
    }
    for needed in ["request", "answer"] {
        if !sections.iter().any(|(name, _)| name == needed) {
            return Err(format!("there is no section `{needed}`"));
        }
    }
    if case.saw.is_none() && case.upstream.is_some() {
        return Err("upstream is scripted, so say in `upstream saw` what it must see".to_owned());
    }
    Ok(case)
}

/// The sections by name, without empty lines at the end.
fn sections(text: &str, says: &mut String) -> Result<Vec<(String, Vec<String>)>, String> {
    let mut sections: Vec<(String, Vec<String>)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(name) = line.strip_prefix("--- ") {
            if sections.iter().any(|(other, _)| other == name) {
                return Err(format!("line {}: `{name}` appears twice", number + 1));
            }
            sections.push((name.to_owned(), Vec::new()));
        } else if let Some((_, lines)) = sections.last_mut() {
            lines.push(line.to_owned());
        } else if let Some(comment) = line.strip_prefix("# ") {
            says.push_str(if says.is_empty() { "" } else { " " });
            says.push_str(comment);
        } else if !line.is_empty() {
            return Err(format!("line {}: is before the first section", number + 1));
        }
    }
    if says.is_empty() {
        return Err("line 1: the first line is `# ` and what the case states".to_owned());
    }
    for (_, lines) in &mut sections {
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
    }
    Ok(sections)
}

fn read_section(case: &mut Case, name: &str, lines: Vec<String>) -> Result<(), String> {
    match name {
        "config" => case.config = lines,
        "request" => case.request = message(lines),
        "upstream" => case.upstream = behaviour(lines)?,
        "upstream saw" => case.saw = unless_nothing(lines, expected)?,
        "answer" => case.answer = expected(lines)?,
        "trail" => case.trail = unless_nothing(lines, |lines| checks(&lines))?,
        "token" => drop(case.tokens.insert(String::new(), lines)),
        _ => match name.strip_prefix("token ") {
            Some(which) => drop(case.tokens.insert(which.to_owned(), lines)),
            None => return Err("is no section of a case".to_owned()),
        },
    }
    Ok(())
}

fn unless_nothing<T>(
    lines: Vec<String>,
    read: impl FnOnce(Vec<String>) -> Result<T, String>,
) -> Result<Option<T>, String> {
    if lines == ["nothing"] {
        return Ok(None);
    }
    read(lines).map(Some)
}

fn message(mut lines: Vec<String>) -> Message {
    let raw = lines.first().is_some_and(|line| line == "raw");
    if raw {
        lines.remove(0);
        return Message {
            lines,
            body: String::new(),
            raw,
        };
    }
    let body = split_body(&mut lines).unwrap_or_default();
    Message { lines, body, raw }
}

/// Removes and returns the body: the lines after the first empty one.
fn split_body(lines: &mut Vec<String>) -> Option<String> {
    let end = lines.iter().position(String::is_empty)?;
    let body = lines.split_off(end)[1..].join("\n");
    Some(body)
}

fn behaviour(mut lines: Vec<String>) -> Result<Option<Behaviour>, String> {
    let first = lines.first().cloned().unwrap_or_default();
    let alone = lines.len() == 1;
    Ok(Some(match first.as_str() {
        "nothing" if alone => return Ok(None),
        "hang" if alone => Behaviour::Hang,
        "close" if alone => Behaviour::Close,
        "reset" if alone => Behaviour::Reset,
        "raw" => Behaviour::Answer(message(lines)),
        _ if first.starts_with("early ") => {
            lines[0] = first["early ".len()..].to_owned();
            Behaviour::Early(message(lines))
        }
        _ if status(&first).is_some() => Behaviour::Answer(message(lines)),
        _ => return Err(format!("`{first}` is neither a status nor a behaviour")),
    }))
}

/// The status at the beginning of a line.
pub(super) fn status(line: &str) -> Option<u16> {
    let status = line.split(' ').next()?;
    (status.len() == 3).then(|| status.parse().ok()).flatten()
}

fn expected(mut lines: Vec<String>) -> Result<Expected, String> {
    let body = split_body(&mut lines);
    if lines.is_empty() {
        return Err("is empty".to_owned());
    }
    let first = lines.remove(0);
    let body = body.map(|body| {
        if body == "(empty)" {
            String::new()
        } else {
            body
        }
    });
    Ok(Expected {
        first,
        checks: checks(&lines)?,
        body,
    })
}

fn checks(lines: &[String]) -> Result<Vec<Check>, String> {
    lines.iter().map(|line| check(line)).collect()
}

fn check(line: &str) -> Result<Check, String> {
    if let Some(name) = line.strip_prefix("! ") {
        return Ok(Check {
            name: name.to_owned(),
            wanted: Wanted::Absent,
        });
    }
    let (name, value) = line
        .split_once(": ")
        .ok_or_else(|| format!("`{line}` is neither `name: value` nor `! name`"))?;
    let wanted = match value.strip_prefix('~') {
        Some(part) => Wanted::Holding(part.to_owned()),
        None if value == "*" => Wanted::Present,
        None => Wanted::Exactly(value.to_owned()),
    };
    Ok(Check {
        name: name.to_owned(),
        wanted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "# It says one thing,\n# in two lines.\n\n--- token\nclaims.sub = \"bob\"\n\n--- request\nPUT / HTTP/1.1\nHost: a\n\n{\"a\":\n1}\n\n--- upstream\n200 OK\nx: y\n\nbody\n\n--- upstream saw\nPUT / HTTP/1.1\n! cookie\nvia: *\n\n(empty)\n\n--- answer\n200\nx: ~y\n\n--- trail\noutcome: deleted\n";

    #[test]
    fn a_case_is_read_section_by_section() {
        let case = parse(WHOLE).unwrap();
        assert_eq!(case.says, "It says one thing, in two lines.");
        assert_eq!(case.tokens[""], ["claims.sub = \"bob\""]);
        assert_eq!(case.request.lines, ["PUT / HTTP/1.1", "Host: a"]);
        assert_eq!(case.request.body, "{\"a\":\n1}");
        let saw = case.saw.unwrap();
        assert_eq!(saw.body.as_deref(), Some(""));
        assert_eq!(saw.checks[0].wanted, Wanted::Absent);
        assert_eq!(
            case.answer.checks[0].wanted,
            Wanted::Holding("y".to_owned())
        );
        assert_eq!(case.trail.unwrap()[0].name, "outcome");
    }

    #[test]
    fn an_omitted_section_means_that_nothing_happened() {
        let case = parse("# A.\n--- request\nGET / HTTP/1.1\n--- answer\n404 operation-unknown\n")
            .unwrap();
        assert!(case.upstream.is_none() && case.saw.is_none() && case.trail.is_none());
        assert_eq!(case.answer.body, None);
    }

    #[test]
    fn anything_outside_the_format_fails() {
        for (text, fault) in [
            ("--- request\n", "line 1: the first line"),
            ("# A.\nrequest\n", "line 2: is before"),
            ("# A.\n--- requests\n", "requests: is no section"),
            ("# A.\n--- request\nx\n", "there is no section `answer`"),
            (
                "# A.\n--- answer\n400\nx\n--- request\nx\n",
                "neither `name: value`",
            ),
            (
                "# A.\n--- upstream\nsleep\n",
                "neither a status nor a behaviour",
            ),
            ("# A.\n--- trail\n--- trail\n", "appears twice"),
            (
                "# A.\n--- request\nx\n--- answer\n200\n--- upstream\n200\n",
                "say in `upstream saw`",
            ),
        ] {
            let found = parse(text).unwrap_err();
            assert!(found.contains(fault), "{text}: {found}");
        }
    }
}
