//! The demo's output: 80 columns, at most 30 lines without `--verbose`, color only on a terminal.
//!
//! A user can paste each printed command into a shell unchanged, after the shell has read the file
//! `env`.

use std::io::{Result, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};

use super::call::Answer;
use super::ending::Act;
use super::scene::{ACCOUNT, OTHER_ACCOUNT, SCOPES, SUBJECT, Scene, collection, quoted};
use super::story::{Happened, Step};
use crate::audit::Receipt;
use crate::audit::read::query::{Deletion, Progress};
use crate::audit::read::verify::Summary;
use crate::cli::escape::cut;
use crate::simulator::users::FIRST_ID;

const TITLE: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const REFUSED: Style = AnsiColor::Yellow.on_default();
/// The width of a line.
const COLUMNS: usize = 80;
/// The widths of the columns SENT and ANSWER.
const SENT: usize = 42;
const ANSWER: usize = 22;

/// Prints the addresses and the caller. Then prints the table's head or, if `verbose`, the command that
/// defines the variables of the later commands.
pub(super) fn opening(out: &mut dyn Write, scene: &Scene, verbose: bool) -> Result<()> {
    let (gateway, users) = (scene.gateway.address(), scene.simulator.users.address());
    writeln!(
        out,
        "{TITLE}lychgate demo{TITLE:#}: caller → gateway {gateway} → Users API {users}"
    )?;
    let scopes = SCOPES.join(" ");
    writeln!(
        out,
        "{DIM}token: {SUBJECT}, account {ACCOUNT}, {scopes}{DIM:#}\n"
    )?;
    if verbose {
        writeln!(out, "Define what the commands below use:")?;
        return writeln!(out, "  {}\n", read_variables(scene));
    }
    let (sent, answer) = ("  SENT", "ANSWER");
    writeln!(out, "{DIM}{sent:<SENT$} {answer:<ANSWER$} ENTRIES{DIM:#}")
}

/// Prints one call on one line: the request, the answer, the trail entries.
pub(super) fn row(
    out: &mut dyn Write,
    number: usize,
    step: &Step,
    happened: &Happened,
) -> Result<()> {
    let sent = cut(&format!("{number} {}", step.sent), SENT);
    let (style, answer) = match &happened.answer {
        Ok(answer) => status(answer),
        Err(error) => (BAD, error.clone()),
    };
    let (answer, entries) = (cut(&answer, ANSWER), entries(happened.entry.as_ref()));
    writeln!(
        out,
        "{sent:<SENT$} {style}{answer:<ANSWER$}{style:#} {entries}"
    )
}

/// Prints one call as a command, with its whole answer and its trail entries.
pub(super) fn step(
    out: &mut dyn Write,
    number: usize,
    step: &Step,
    happened: &Happened,
) -> Result<()> {
    writeln!(out, "{TITLE}{number} {}{TITLE:#}", step.sent)?;
    writeln!(out, "  {}", curl(step))?;
    match &happened.answer {
        Ok(answer) => self::answer(out, answer)?,
        Err(error) => writeln!(out, "    {BAD}{error}{BAD:#}")?,
    }
    let entry = happened.entry.as_ref();
    let mut line = format!("entries: {}", entries(entry));
    if let Some(entry) = entry {
        let users = entry.users.join(" ");
        line += &format!(", {} {}/{users}", entry.operation, entry.account);
        line += &entry
            .code
            .iter()
            .map(|code| format!(", {code}"))
            .collect::<String>();
    }
    writeln!(out, "    {}", cut(&line, COLUMNS - 4))
}

/// Prints each difference from the expected result.
pub(super) fn faults(out: &mut dyn Write, faults: &[String]) -> Result<()> {
    faults
        .iter()
        .try_for_each(|fault| writeln!(out, "    {BAD}UNEXPECTED: {fault}{BAD:#}"))
}

/// Prints an act: the title and the answer of the last command. If `verbose`, also prints the commands.
pub(super) fn act(out: &mut dyn Write, number: usize, act: &Act, verbose: bool) -> Result<()> {
    writeln!(out, "{TITLE}{number} {}{TITLE:#}", act.title)?;
    if verbose {
        for command in &act.commands {
            writeln!(out, "  {command}")?;
        }
    }
    let style = if act.is_yes { GOOD } else { REFUSED };
    for line in act
        .answer
        .lines()
        .flat_map(|line| wrapped(line, COLUMNS - 4))
    {
        writeln!(out, "    {style}{line}{style:#}")?;
    }
    faults(out, act.fault.as_slice())
}

/// The call as a `curl` command.
fn curl(step: &Step) -> String {
    let mut line = "curl -i -X DELETE".to_owned();
    if step.with_token {
        line += " -H \"$TOKEN\"";
    }
    if let Some(revision) = step.if_match {
        line += &format!(" -H 'If-Match: {revision}'");
    }
    let target = step.target.replacen(&collection(ACCOUNT), "$USERS", 1);
    let target = target.replacen(&collection(OTHER_ACCOUNT), "$OTHER", 1);
    line + &format!(" \"{target}\"")
}

/// The answer's status and its color. If the gateway refused the call, the status includes the refusal's
/// code.
fn status(answer: &Answer) -> (Style, String) {
    let status = answer.status;
    match answer.header("lychgate-refusal") {
        Some(code) => (REFUSED, format!("{} {code}", status.as_u16())),
        None if status.is_success() => (GOOD, status.to_string()),
        None => (REFUSED, status.to_string()),
    }
}

fn answer(out: &mut dyn Write, answer: &Answer) -> Result<()> {
    let (style, status) = status(answer);
    let mut line = String::new();
    for name in ["ac-revision", "lychgate-receipt"] {
        if let Some(value) = answer.header(name) {
            line += &format!("  {name}: {value}");
        }
    }
    writeln!(out, "    {style}{status}{style:#}{line}")?;
    let detail = answer.member("detail").unwrap_or_default();
    let lines = wrapped(&detail, COLUMNS - 4);
    let mut lines = lines.iter().filter(|line| !line.is_empty());
    lines.try_for_each(|line| writeln!(out, "    {line}"))
}

/// The indexes of the call's entries, and the result that they record.
fn entries(entry: Option<&Deletion>) -> String {
    let Some(entry) = entry else {
        return "none".to_owned();
    };
    let index = entry.index;
    match (entry.outcome, entry.closing_index) {
        (Progress::Refused, _) => format!("{index} refused"),
        (outcome, Some(closing)) => {
            let outcome = serde_json::to_value(outcome).unwrap_or_default();
            format!(
                "{index}, {closing} {}",
                outcome.as_str().unwrap_or_default()
            )
        }
        (_, None) => format!("{index} open"),
    }
}

pub(super) fn verdict(
    out: &mut dyn Write,
    verified: &std::result::Result<Summary, String>,
) -> Result<()> {
    match verified {
        Ok(summary) => writeln!(
            out,
            "\n{GOOD}The trail itself verifies{GOOD:#}: {} entries, {} deletions sent, {} refused, {} open.",
            summary.entries,
            summary.deletions(),
            summary.refused,
            summary.open,
        ),
        Err(fault) => writeln!(out, "\n{BAD}The trail does not verify{BAD:#}: {fault}"),
    }
}

/// Prints complete commands to try while the demo serves.
pub(super) fn to_paste(out: &mut dyn Write, scene: &Scene, receipt: &Receipt) -> Result<()> {
    let (read_variables, receipt) = (read_variables(scene), &receipt.receipt);
    let (revision, user) = (scene.revision(), FIRST_ID + 1);
    write!(
        out,
        r#"
{TITLE}The gateway serves until Ctrl-C. Then the demo removes its folder. To paste:{TITLE:#}
{read_variables}
curl -i -H "$TOKEN" "$USERS?v=4.0"
curl -i -X DELETE -H "$TOKEN" -H 'If-Match: {revision}' "$USERS/{user}?v=4.0"
lychgate audit list --dir "$DEMO/audit"
lychgate audit prove {receipt} --dir "$DEMO/audit" > "$DEMO/proof"
lychgate audit verify --proof "$DEMO/proof" --key "$KEY"
lychgate audit verify --config "$DEMO/lychgate.toml"
"#
    )
}

/// The command that reads the file `env`, which defines the variables of the other commands.
fn read_variables(scene: &Scene) -> String {
    format!(". {}", quoted(&scene.folder.path().join("env")))
}

/// Prints that the gateway has stopped and its folder is gone.
pub(super) fn removed(out: &mut dyn Write, folder: &Path) -> Result<()> {
    writeln!(out, "stopped the gateway and removed {}", folder.display())
}

/// Wraps a text into lines of at most this many characters; a longer word gets its own line.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
