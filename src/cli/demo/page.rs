//! How the demo looks: 80 columns, about one screen, colour only where it is a terminal.

use std::io::{Result, Write};

use anstyle::{AnsiColor, Style};

use super::call::{Answer, Happened};
use super::scene::{ACCOUNT, SCOPES, SUBJECT, Scene};
use super::story::{Step, collection};
use crate::audit::query::{Deletion, Progress};
use crate::audit::verify::Summary;
use crate::simulator::issuer::{AUDIENCE, ISSUER};

const TITLE: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const REFUSED: Style = AnsiColor::Yellow.on_default();
/// A line ends here.
const COLUMNS: usize = 80;

/// What runs where.
pub(super) fn opening(out: &mut dyn Write, scene: &Scene) -> Result<()> {
    let (gateway, users) = (scene.address(), scene.users_address());
    writeln!(
        out,
        "{TITLE}lychgate demo{TITLE:#}: caller → gateway {gateway} → Users API {users}"
    )?;
    let scopes = SCOPES.join(" ");
    writeln!(
        out,
        "{DIM}$TOKEN: {SUBJECT}, account {ACCOUNT}, {scopes}{DIM:#}"
    )?;
    let users = collection("ACCOUNT").replace("ACCOUNT", "…");
    writeln!(out, "{DIM}$USERS: http://{gateway}{users}{DIM:#}\n")
}

/// One call, its answer, its entry.
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
    for fault in faults {
        writeln!(out, "  {BAD}NOT AS TOLD: {fault}{BAD:#}")?;
    }
    writeln!(out)
}

/// The call as it would be pasted, but for what the opening shortens.
fn curl(step: &Step) -> String {
    let mut line = "curl -X DELETE".to_owned();
    if step.with_token {
        line += " -H \"$TOKEN\"";
    }
    if let Some(revision) = step.if_match {
        line += &format!(" -H 'If-Match: {revision}'");
    }
    let mut parts = step.target.splitn(5, '/').skip(3);
    let account = parts.next().unwrap_or_default();
    let user = parts.next().and_then(|rest| rest.rsplit('/').next());
    line + &format!(" \"$USERS/{}\" # {account}", user.unwrap_or_default())
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
        Progress::Refused => format!("refused {}", entry.code.as_deref().unwrap_or_default()),
        Progress::Open => "open".to_owned(),
        Progress::Closed(_) => {
            let outcome = serde_json::to_value(entry.outcome).unwrap_or_default();
            let closed = entry.closing_index.unwrap_or_default();
            let outcome = outcome.as_str().unwrap_or_default();
            format!("forwarded, {outcome}, closed by {closed}")
        }
    };
    let (index, users) = (entry.index, entry.users.join(" "));
    let subject = &entry.caller.subject;
    format!(
        "{index}: {} {}/{users} by {subject}: {what}",
        entry.operation, entry.account
    )
}

/// Whether the trail verifies.
pub(super) fn verdict(
    out: &mut dyn Write,
    verified: &std::result::Result<Summary, String>,
) -> Result<()> {
    match verified {
        Ok(summary) => writeln!(
            out,
            "{GOOD}The trail verifies{GOOD:#}: {} entries, {} deletions sent, {} refused, {} open.",
            summary.entries,
            summary.deletions(),
            summary.refused,
            summary.open,
        ),
        Err(fault) => writeln!(out, "{BAD}The trail does not verify{BAD:#}: {fault}"),
    }
}

/// Commands to try while it serves.
pub(super) fn to_paste(out: &mut dyn Write, scene: &Scene) -> Result<()> {
    let program = std::env::current_exe()
        .map_or_else(|_| "lychgate".to_owned(), |path| path.display().to_string());
    let show = |name: &str| scene.path(name).display().to_string();
    let (gateway, admin) = (scene.address(), scene.admin_address());
    let users = collection(ACCOUNT);
    let scopes = SCOPES.join(" ");
    writeln!(out, "\n{TITLE}It serves until Ctrl-C. To paste:{TITLE:#}")?;
    writeln!(
        out,
        "alias lychgate={program}; USERS=http://{gateway}{users}"
    )?;
    writeln!(
        out,
        "TOKEN=\"Authorization: Bearer $({program} token mint \\"
    )?;
    writeln!(out, "  --key {} --issuer {ISSUER} \\", show("issuer.pem"))?;
    writeln!(
        out,
        "  --audience {AUDIENCE} --subject {SUBJECT} --accounts {ACCOUNT} \\"
    )?;
    writeln!(out, "  --scope '{scopes}')\"")?;
    writeln!(out, "curl -i -H \"$TOKEN\" \"$USERS?v=4.0\"")?;
    let (revision, user) = (scene.revision(), crate::simulator::store::FIRST_ID + 1);
    writeln!(
        out,
        "curl -i -X DELETE -H \"$TOKEN\" -H 'If-Match: {revision}' \"$USERS/{user}?v=4.0\""
    )?;
    writeln!(out, "lychgate audit list --dir {}", show("audit"))?;
    writeln!(
        out,
        "lychgate audit verify --config {}",
        show("lychgate.toml")
    )?;
    writeln!(out, "curl http://{admin}/readyz?verbose")
}

/// At most so many characters.
fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns - 1).chain(['…']).collect()
}
