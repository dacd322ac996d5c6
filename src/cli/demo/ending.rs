//! The story's end: another name in a copy of the trail, and a receipt that is proved without the trail.
//!
//! Our own commands run as they are shown; `mkdir`, `cp` and `sed` are done here, as not every machine
//! has them.

use std::fs;
use std::path::Path;

use super::call::Answer;
use crate::audit::Receipt;
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::tiles::Bundle;
use crate::audit::log::verifier_key::VerifierKey;
use crate::audit::read::verify::{CHECKPOINT, parse_receipt};
use crate::cli::{CommandLine, Exit, Stop, Verb, audit};
use clap::Parser as _;

/// What stands in the entry, and what somebody puts there.
const NAMES: [&str; 2] = ["ada@", "eve@"];

/// Some commands, and what the last of them answers.
#[derive(Debug, Default)]
pub(super) struct Act {
    /// What it is, for people.
    pub(super) title: &'static str,
    /// To paste, where `LYCHGATE`, `DEMO` and `KEY` are set.
    pub(super) commands: Vec<String>,
    /// The last line of the last command's output.
    pub(super) answer: String,
    /// Whether the answer is yes.
    pub(super) is_yes: bool,
    /// What did not go as told.
    pub(super) fault: Option<String>,
}

/// Where the commands run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage<'s> {
    /// `$DEMO`: it holds the trail in `audit`.
    pub(super) folder: &'s Path,
    /// `$KEY`: the trail's verifier key.
    pub(super) key: &'s VerifierKey,
}

/// Puts another name into the deletion's intent in a copy of the log: verifying must name that entry.
pub(super) fn altered_copy(stage: Stage<'_>, receipt: &Receipt) -> Act {
    Act::play("another name in a copy of the trail", |act| {
        let (_, index) = parse_receipt(&receipt.receipt)?;
        let (log, copy) = (stage.folder.join("audit"), stage.folder.join("copy"));
        act.show("mkdir $DEMO/copy; cp -r $DEMO/audit/checkpoint $DEMO/audit/tile $DEMO/copy");
        let bundle = copy_log(&log, &copy, stage.key)?.path();
        let [was, is] = NAMES;
        act.show(format!("sed -i s/{was}/{is}/ $DEMO/copy/{bundle}"));
        alter(&copy.join(&bundle))?;
        let exit = act.run(
            stage,
            r#"$LYCHGATE audit verify --dir $DEMO/copy --key "$KEY""#,
        )?;
        let wanted = format!("the trail does NOT verify: entry {index} ({bundle}): ");
        act.must_say(exit == Exit::No, &wanted)
    })
}

/// Makes a proof of the entry whose leaf the receipt names, and verifies it by the key alone.
pub(super) fn proved_receipt(stage: Stage<'_>, receipt: &Receipt) -> Act {
    Act::play("the first receipt, proved to whoever has the key", |act| {
        let Receipt { receipt, leaf, .. } = receipt;
        let prove = format!(
            "$LYCHGATE audit prove {receipt} --dir $DEMO/audit \\\n      --leaf {leaf} > $DEMO/proof"
        );
        if act.run(stage, &prove)? != Exit::Fine {
            return Err("there should be a proof".to_owned());
        }
        let exit = act.run(
            stage,
            r#"$LYCHGATE audit verify --proof $DEMO/proof --key "$KEY""#,
        )?;
        act.must_say(exit == Exit::Fine, "the proof holds: ")
    })
}

/// The receipt in an answer's headers.
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

    /// Shows a command of ours and runs it, its output into a file where it says so.
    fn run(&mut self, stage: Stage<'_>, command: &str) -> Result<Exit, String> {
        self.show(command);
        let (command, file) = match command.split_once(" > ") {
            Some((command, file)) => (command, Some(stage.expand(file))),
            None => (command, None),
        };
        let words = command.split_whitespace().filter(|word| *word != "\\");
        let line = CommandLine::try_parse_from(words.map(|word| stage.expand(word)));
        let Verb::Audit(arguments) = line.map_err(|error| error.to_string())?.verb else {
            return Err("it is no command of `audit`".to_owned());
        };
        let mut out = Vec::new();
        let exit = match audit::run(&mut out, arguments) {
            Ok(exit) => exit,
            Err(Stop::Told(_, why) | Stop::Rendered(_, why)) => return Err(why),
            Err(Stop::Output(error)) => return Err(error.to_string()),
        };
        self.is_yes = exit == Exit::Fine;
        match file {
            Some(file) => fs::write(&file, out).map_err(|error| format!("{file}: {error}"))?,
            None => {
                let text = String::from_utf8_lossy(&out);
                let text = anstream::adapter::strip_str(&text).to_string();
                self.answer = text.lines().last().unwrap_or_default().to_owned();
            }
        }
        Ok(exit)
    }

    fn must_say(&self, exit_is_right: bool, words: &str) -> Result<(), String> {
        match exit_is_right && self.answer.starts_with(words) {
            true => Ok(()),
            false => Err(format!("the answer should be: {words}")),
        }
    }
}

impl Stage<'_> {
    /// A word as a shell would hand it on.
    fn expand(&self, word: &str) -> String {
        word.replace("\"$KEY\"", &self.key.to_string())
            .replace("$DEMO", &self.folder.to_string_lossy())
    }
}

/// Copies checkpoint and tiles, in this order: so the tiles are never older. Gives the bundle that the
/// copy's checkpoint implies.
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

/// Puts the other name where the first stands.
fn alter(bundle: &Path) -> Result<(), String> {
    let [was, is] = NAMES.map(str::as_bytes);
    let altered = || {
        let mut bytes = fs::read(bundle)?;
        let mut places = bytes.windows(was.len());
        let place = places.position(|part| part == was);
        let place = place.ok_or_else(|| std::io::Error::other("the name is not there"))?;
        bytes.splice(place..place + was.len(), is.iter().copied());
        fs::write(bundle, bytes)
    };
    altered().map_err(|error| format!("{}: {error}", bundle.display()))
}

#[cfg(test)]
mod tests;
