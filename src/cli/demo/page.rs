//! The demo's output: 80 columns, about one screen, color only on a terminal.

use std::io::{Result, Write};

use anstyle::{AnsiColor, Style};

use super::call::Answer;
use super::ending::Act;
use super::scene::{ACCOUNT, SCOPES, SUBJECT, Scene};
use super::story::{Happened, Step, collection};
use crate::audit::read::query::{Deletion, Progress};
use crate::audit::read::verify::Summary;
use crate::cli::escape::cut;
use crate::simulator::issuer::{AUDIENCE, ISSUER};
use crate::simulator::users::FIRST_ID;

const TITLE: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const REFUSED: Style = AnsiColor::Yellow.on_default();
/// The width of a line.
const COLUMNS: usize = 80;

/// Prints the addresses and the variables of the commands.
pub(super) fn opening(out: &mut dyn Write, scene: &Scene) -> Result<()> {
    let (gateway, users) = (scene.gateway.address(), scene.simulator.users.address());
    writeln!(
        out,
        "{TITLE}lychgate demo{TITLE:#}: caller → gateway {gateway} → Users API {users}"
    )?;
    let scopes = SCOPES.join(" ");
    writeln!(
        out,
        "{DIM}$TOKEN: {SUBJECT}, account {ACCOUNT}, {scopes}{DIM:#}"
    )?;
    writeln!(out, "{DIM}$AT:    http://{gateway}/api/account{DIM:#}")?;
    let folder = scene.folder.0.display();
    writeln!(
        out,
        "{DIM}$DEMO:  {folder}; $KEY: the trail's verifier key{DIM:#}\n"
    )
}

/// Prints one call with its answer and its trail entry.
pub(super) fn step(
    out: &mut dyn Write,
    number: usize,
    step: &Step,
    happened: &Happened,
    faults: &[String],
) -> Result<()> {
    writeln!(out, "{TITLE}{number} {}{TITLE:#}", step.title)?;
    writeln!(out, "  {DIM}${DIM:#} {}", curl(step))?;
    match &happened.answer {
        Ok(answer) => self::answer(out, answer)?,
        Err(error) => writeln!(out, "  {BAD}{error}{BAD:#}")?,
    }
    match &happened.entry {
        Some(entry) => writeln!(out, "  {DIM}trail{DIM:#} {}", cut(&entry_line(entry), 72))?,
        None => writeln!(out, "  {DIM}trail no entry{DIM:#}")?,
    }
    faults.iter().try_for_each(|fault| self::fault(out, fault))
}

/// Prints a difference from the expected result.
pub(super) fn fault(out: &mut dyn Write, fault: &str) -> Result<()> {
    writeln!(out, "  {BAD}UNEXPECTED: {fault}{BAD:#}")
}

/// Prints the commands and the last one's answer.
pub(super) fn act(out: &mut dyn Write, number: usize, act: &Act) -> Result<()> {
    writeln!(out, "{TITLE}{number} {}{TITLE:#}", act.title)?;
    for command in &act.commands {
        writeln!(out, "  {DIM}${DIM:#} {command}")?;
    }
    let style = if act.is_yes { GOOD } else { REFUSED };
    for line in wrapped(&act.answer, COLUMNS - 2) {
        writeln!(out, "  {style}{line}{style:#}")?;
    }
    act.fault
        .iter()
        .try_for_each(|fault| self::fault(out, fault))
}

/// The call as a `curl` command, with the URL shortened.
fn curl(step: &Step) -> String {
    let mut line = "curl -XDELETE".to_owned();
    if step.with_token {
        line += " -H \"$TOKEN\"";
    }
    if let Some(revision) = step.if_match {
        line += &format!(" -H 'If-Match: {revision}'");
    }
    // /api/account/ACCOUNT/configuration/le-users/users/USER?v=4.0
    let account = step.target.split('/').nth(3).unwrap_or_default();
    let user = step.target.rsplit('/').next().unwrap_or_default();
    line + &format!(" \"$AT/{account}/…/{user}\"")
}

fn answer(out: &mut dyn Write, answer: &Answer) -> Result<()> {
    let status = answer.status;
    if let Some(code) = answer.header("lychgate-refusal") {
        writeln!(out, "  {REFUSED}{status} {code}{REFUSED:#}")?;
        let detail = answer.member("detail").unwrap_or_default();
        return writeln!(out, "  {}", cut(&detail, COLUMNS - 2));
    }
    let style = if status.is_success() { GOOD } else { REFUSED };
    let mut line = String::new();
    for name in ["ac-revision", "lychgate-receipt"] {
        if let Some(value) = answer.header(name) {
            line += &format!("  {name}: {value}");
        }
    }
    writeln!(out, "  {style}{status}{style:#}{line}")
}

fn entry_line(entry: &Deletion) -> String {
    let what = match entry.outcome {
        Progress::Refused => {
            let code = entry.code.as_deref().unwrap_or_default();
            format!("refused, {code}")
        }
        Progress::Open => "open".to_owned(),
        Progress::Closed(_) => {
            let outcome = serde_json::to_value(entry.outcome).unwrap_or_default();
            let closed = entry.closing_index.unwrap_or_default();
            let outcome = outcome.as_str().unwrap_or_default();
            format!("forwarded, {outcome}, closed by {closed}")
        }
    };
    let (index, operation, users) = (entry.index, &entry.operation, entry.users.join(" "));
    format!("{index}: {operation} {}/{users}: {what}", entry.account)
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
pub(super) fn to_paste(out: &mut dyn Write, scene: &Scene) -> Result<()> {
    let program = std::env::current_exe();
    let program = program.map_or_else(|_| "lychgate".to_owned(), |path| path.display().to_string());
    let (gateway, admin) = (scene.gateway.address(), scene.gateway.admin_address());
    let (users, scopes) = (collection(ACCOUNT), SCOPES.join(" "));
    let (revision, user) = (scene.revision(), FIRST_ID + 1);
    write!(
        out,
        r#"
{TITLE}The gateway serves until Ctrl-C. Commands to paste:{TITLE:#}
LYCHGATE={program}; DEMO={}
KEY="$(cat $DEMO/verifier.txt)"
USERS=http://{gateway}{users}
TOKEN="Authorization: Bearer $($LYCHGATE token mint --key $DEMO/issuer.pem \
  --issuer {ISSUER} --audience {AUDIENCE} \
  --subject {SUBJECT} --accounts {ACCOUNT} --scope '{scopes}')"
curl -i -H "$TOKEN" "$USERS?v=4.0"
curl -i -X DELETE -H "$TOKEN" -H 'If-Match: {revision}' "$USERS/{user}?v=4.0"
$LYCHGATE audit list --dir $DEMO/audit
$LYCHGATE audit verify --config $DEMO/lychgate.toml
curl "http://{admin}/readyz?verbose"
"#,
        scene.folder.0.display()
    )
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
