//! The end of the demo: an altered copy of the trail fails verification, and a receipt is verified
//! without the trail.
//!
//! The demo runs the `lychgate` commands exactly as it shows them. It does the work of `mkdir`, `cp` and
//! `sed` itself, because not every machine has these programs.

use std::fs;
use std::path::Path;

use super::call::Answer;
use crate::audit::Receipt;
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::VerifierKey;
use crate::audit::log::tiles::Bundle;
use crate::audit::read::CHECKPOINT;
use crate::audit::read::verify::parse_receipt;
use crate::cli::exit::{Exit, Stop};
use crate::cli::{CommandLine, Verb, audit};
use clap::Parser as _;

/// A part of the caller's name in the trail entry, and its replacement in the altered copy.
const NAMES: [&str; 2] = ["ada@", "eve@"];

/// Some commands that the demo runs, and the finding of the last command.
#[derive(Debug, Default)]
pub(super) struct Act {
    pub(super) title: &'static str,
    /// The commands. A user can paste them into a shell that has read the file `env`.
    pub(super) commands: Vec<String>,
    /// The end of the last command's output, which states the finding.
    pub(super) answer: String,
    /// Whether the last command exits with 0.
    pub(super) is_yes: bool,
    /// The difference from the expected result, if any.
    pub(super) fault: Option<String>,
}

/// The values of the variables in the commands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage<'s> {
    /// `$DEMO`, which holds the trail in `audit`.
    pub(super) folder: &'s Path,
    /// `$KEY`, the trail's verifier key.
    pub(super) key: &'s VerifierKey,
}

/// Copies the log, and replaces the caller's name in one entry of the copy: the intent of the deletion to
/// which the receipt belongs. Verification of the copy must fail and name that entry.
pub(super) fn altered_copy(stage: Stage<'_>, receipt: &Receipt) -> Act {
    Act::play(
        "a copy of the trail with another name in one entry",
        |act| {
            let (_, index) = parse_receipt(&receipt.receipt)?;
            let (log, copy) = (stage.folder.join("audit"), stage.folder.join("copy"));
            act.show(r#"mkdir -p "$DEMO/copy""#);
            act.show(r#"cp -r "$DEMO/audit/checkpoint" "$DEMO/audit/tile" "$DEMO/copy""#);
            let bundle = copy_log(&log, &copy, stage.key)?.path();
            let [was, is] = NAMES;
            // The command names the folder, not the bundle: when a user pastes the commands later, the log
            // may end in another bundle.
            let bundles = bundle.rsplit_once('/').map_or("", |(folder, _)| folder);
            act.show(format!(r#"sed -i s/{was}/{is}/ "$DEMO/copy/{bundles}"/*"#));
            alter(&copy.join(&bundle))?;
            let exit = act.run(
                stage,
                r#"lychgate audit verify --dir "$DEMO/copy" --key "$KEY""#,
            )?;
            let wanted = format!("the trail does NOT verify: entry {index} ({bundle}): ");
            act.must_say(exit == Exit::No, &wanted)
        },
    )
}

/// Makes a proof of the entry whose leaf the receipt names, and verifies the proof with only the
/// key.
pub(super) fn proved_receipt(stage: Stage<'_>, receipt: &Receipt) -> Act {
    Act::play("the receipt of call 1, verified with only the key", |act| {
        let Receipt { receipt, leaf, .. } = receipt;
        let prove = format!(
            "lychgate audit prove {receipt} --dir \"$DEMO/audit\" \\\n    --leaf {leaf} > \"$DEMO/proof\""
        );
        if act.run(stage, &prove)? != Exit::Fine {
            return Err("there should be a proof".to_owned());
        }
        let exit = act.run(
            stage,
            r#"lychgate audit verify --proof "$DEMO/proof" --key "$KEY""#,
        )?;
        act.must_say(exit == Exit::Fine, "the proof holds: ")
    })
}

/// Reads the receipt from an answer's headers.
pub(super) fn receipt(answer: &Answer) -> Option<Receipt> {
    let header = |name| answer.header(name).map(str::to_owned);
    Some(Receipt {
        receipt: header("lychgate-receipt")?,
        leaf: header("lychgate-receipt-leaf")?,
        signature: header("lychgate-receipt-signature")?,
    })
}

impl Act {
    fn play(title: &'static str, play: impl FnOnce(&mut Self) -> Result<(), String>) -> Self {
        let mut act = Self {
            title,
            ..Self::default()
        };
        act.fault = play(&mut act).err();
        act
    }

    fn show(&mut self, command: impl Into<String>) {
        self.commands.push(command.into());
    }

    /// Shows a `lychgate` command and runs it. The output goes to a file if the command redirects
    /// it.
    fn run(&mut self, stage: Stage<'_>, command: &str) -> Result<Exit, String> {
        self.show(command);
        let (command, file) = match command.split_once(" > ") {
            Some((command, file)) => (command, Some(stage.expand(file))),
            None => (command, None),
        };
        let words = command.split_whitespace().filter(|word| *word != "\\");
        let line = CommandLine::try_parse_from(words.map(|word| stage.expand(word)));
        let Verb::Audit(arguments) = line.map_err(|error| error.to_string())?.verb else {
            return Err("this is not an `audit` command".to_owned());
        };
        let mut out = Vec::new();
        let exit = match audit::run(&mut out, arguments) {
            Ok(exit) => exit,
            Err(Stop::Message(_, why) | Stop::Rendered(_, why)) => return Err(why),
            Err(Stop::Output(error)) => return Err(error.to_string()),
        };
        self.is_yes = exit == Exit::Fine;
        match file {
            Some(file) => fs::write(&file, out).map_err(|error| format!("{file}: {error}"))?,
            None => {
                let text = String::from_utf8_lossy(&out);
                let text = anstream::adapter::strip_str(&text).to_string();
                self.answer = text.trim_end().to_owned();
            }
        }
        Ok(exit)
    }

    /// Keeps the output from the line that begins with these words. Fails if there is no such line or the
    /// exit code is wrong.
    fn must_say(&mut self, exit_is_right: bool, words: &str) -> Result<(), String> {
        let lines = self.answer.lines();
        let answer: Vec<&str> = lines.skip_while(|line| !line.starts_with(words)).collect();
        if answer.is_empty() || !exit_is_right {
            return Err(format!("the answer should be: {words}"));
        }
        self.answer = answer.join(" ");
        Ok(())
    }
}

impl Stage<'_> {
    /// Expands the variables of a word, as a shell does.
    fn expand(&self, word: &str) -> String {
        word.replace('"', "")
            .replace("$KEY", &self.key.to_string())
            .replace("$DEMO", &self.folder.to_string_lossy())
    }
}

/// Copies the log: first the checkpoint, then the tiles, so that the copied tiles are never older than
/// the copied checkpoint. Returns the first bundle of the copy.
fn copy_log(log: &Path, copy: &Path, key: &VerifierKey) -> Result<Bundle, String> {
    let copied = || {
        fs::create_dir(copy)?;
        fs::copy(log.join(CHECKPOINT), copy.join(CHECKPOINT))?;
        copy_folder(&log.join("tile"), &copy.join("tile"))?;
        fs::read(copy.join(CHECKPOINT))
    };
    let bytes = copied().map_err(|error| format!("the log cannot be copied: {error}"))?;
    let checkpoint = Checkpoint::open(&bytes, key).map_err(|error| error.to_string())?;
    Bundle::at(0, checkpoint.size).ok_or_else(|| "the log is empty".to_owned())
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for item in fs::read_dir(from)? {
        let item = item?;
        let (from, to) = (item.path(), to.join(item.file_name()));
        match item.file_type()?.is_dir() {
            true => copy_folder(&from, &to)?,
            false => fs::copy(&from, &to).map(drop)?,
        }
    }
    Ok(())
}

/// Replaces the first occurrence of the name in the bundle.
fn alter(bundle: &Path) -> Result<(), String> {
    let [was, is] = NAMES.map(str::as_bytes);
    let altered = || {
        let mut bytes = fs::read(bundle)?;
        let mut windows = bytes.windows(was.len());
        let place = windows.position(|part| part == was);
        let place = place.ok_or_else(|| std::io::Error::other("the name is missing"))?;
        bytes.splice(place..place + was.len(), is.iter().copied());
        fs::write(bundle, bytes)
    };
    altered().map_err(|error| format!("{}: {error}", bundle.display()))
}

#[cfg(test)]
mod tests;
