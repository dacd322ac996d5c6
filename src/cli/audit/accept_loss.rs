//! `lychgate audit accept-loss`: abandons a log that cannot continue and starts a new one, while no
//! gateway runs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::keygen::origin;
use super::reach::{block_on, check_folder};
use super::reconcile::reason;
use super::source::{Folder, Source};
use crate::audit::entry::Actor;
use crate::audit::log::key::Key;
use crate::audit::status::space::Levels;
use crate::audit::writer::accept_loss::{Acceptance, Accepted};
use crate::audit::{Settings, Trail};
use crate::cli::escape::escape;
use crate::cli::exit::{Exit, Stop};
use crate::cli::output::{print_json, tell};
use crate::clock::Clock;
use crate::metrics::Metrics;

/// Far more than a sync of an idle disk takes; only the operator waits for it.
const SYNC_TIMEOUT: Duration = Duration::from_secs(10);
const SEGMENT_BYTES: u64 = 8 << 20;
const HEARTBEAT: Duration = Duration::from_secs(3_600);

#[derive(Debug, clap::Args)]
#[command(override_usage = "\
lychgate audit accept-loss [OPTIONS] --reason <TEXT> --origin <NEW>
         <--dir <DIR|ADDRESS>|--config <FILE>>")]
#[command(after_help = "Examples:
  lychgate audit keygen --origin lychgate.example.com/edge-1b \\
    --out audit-1b.key
  lychgate audit accept-loss --config lychgate.toml \\
    --origin lychgate.example.com/edge-1b --key-file audit-1b.key \\
    --reason 'disk lost in ticket 4711'

Then set origin and key_file in [audit] to the new ones, and start the gateway.

Stop the gateway first. While it holds the trail's lock, the command changes
nothing, names the process and exits with 1. A gateway that could not open the
trail (`rolled-back`, `damaged`) holds no lock: the command works beside it, but
the gateway needs a restart with the new config.

Change [audit] only after the command: the old seen file knows the old log's
newest checkpoint, and under another key_file the command does not find it.

Use the command if the trail is closed as `damaged` or `rolled-back`, or for
another cause that does not end by itself; it does not abandon a trail that
opens. It moves the files of the old log into a folder lost-TIME in the audit
folder, where `audit verify --dir` still reads them, and deletes nothing. The
new log needs another name, so that one name never covers two histories. Its
first entry holds the reason, the old name and the old log's newest known
checkpoint. If the command has the new key (--key-file, or from the config), the
new log starts at once; otherwise it starts with the next gateway that has the
key.")]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// The reason; it goes into the trail
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    /// The new log's name, which no log in this folder has had; set `origin` in the config to it
    /// afterwards
    #[arg(long, value_name = "NEW", value_parser = origin)]
    origin: String,
    /// The new log's signing key from `lychgate audit keygen --origin NEW`
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Done {
    /// The folder that now holds the files of the old log.
    left_in: PathBuf,
    old_origin: Option<String>,
    old_checkpoint: Option<String>,
    /// Why some files are still to be moved there, if any are.
    unfinished: Option<String>,
    origin: String,
    /// Whether the new log has started; otherwise it starts with a gateway that has its key.
    begun: bool,
}

/// Abandons the old log and starts the new one if its key is available.
pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let folder = arguments.source.folder()?;
    if let Some(file) = &arguments.key_file {
        let key = Key::read(file).map_err(Stop::io)?;
        if key.origin() != arguments.origin {
            let (file, held, given) = (file.display(), key.origin(), &arguments.origin);
            return Err(Stop::usage(format!(
                "{file} holds a key for {held}, and --origin says {given}"
            )));
        }
    }
    let done = block_on(accept(arguments, &folder))?;
    print(out, arguments.json, &done)?;
    Ok(Exit::Fine)
}

/// The settings that open the trail: the config's, or those for another name and key.
fn settings(folder: &Folder, origin: &str, key_file: &Path) -> Settings {
    // A seen file that was named after the old key does not belong to the new one.
    let of_old = folder.key_file.as_deref().map(Settings::seen_beside);
    let named = folder.seen_file.clone();
    let named = named.filter(|seen| Some(seen) != of_old.as_ref());
    Settings {
        directory: folder.directory.clone(),
        origin: origin.to_owned(),
        key_file: key_file.to_owned(),
        sync_timeout: SYNC_TIMEOUT,
        segment_bytes: SEGMENT_BYTES,
        space: Levels::default(),
        seen_file: named.unwrap_or_else(|| Settings::seen_beside(key_file)),
        heartbeat: HEARTBEAT,
    }
}

async fn accept(arguments: &Arguments, folder: &Folder) -> Result<Done, Stop> {
    let (Some(old), Some(old_key)) = (&folder.origin, &folder.key_file) else {
        let message = "give --config, so that the command can see whether the log is lost";
        return Err(Stop::usage(message));
    };
    let old = settings(folder, old, old_key);
    check_folder(&old)?;
    let seen_file = old.seen_file.clone();
    let acceptance = Acceptance {
        reason: arguments.reason.clone(),
        origin: arguments.origin.clone(),
        actor: Actor {
            uid: rustix::process::geteuid().as_raw(),
        },
    };
    let accepted = Trail::accept_loss(old, &acceptance, Clock::system()).await;
    let accepted = accepted.map_err(|why| Stop::no(format!("no loss was accepted: {why}")))?;
    if !accepted.is_seen {
        tell(unseen(&accepted, &seen_file));
    }
    let key_file = new_key(arguments, folder);
    if let Some(key_file) = &key_file {
        begin(settings(folder, &arguments.origin, key_file)).await?;
    }
    let begun = key_file.is_some();
    Ok(Done {
        left_in: folder.directory.join(accepted.left_in),
        old_origin: accepted.old_origin,
        old_checkpoint: accepted.old_checkpoint,
        // Opening the new log has moved the rest.
        unfinished: accepted.unfinished.filter(|_| !begun),
        origin: arguments.origin.clone(),
        begun,
    })
}

/// A warning that the seen file did not give the old log's newest checkpoint.
fn unseen(accepted: &Accepted, seen_file: &Path) -> String {
    let seen_file = seen_file.display();
    let old = accepted.old_origin.as_deref().unwrap_or("the old log");
    let recorded = match accepted.old_checkpoint.as_deref().and_then(size_of) {
        Some(size) => format!("only the folder's checkpoint of {size} entries"),
        None => "no checkpoint of it".to_owned(),
    };
    format!(
        "warning: the seen file {seen_file} is not that of {old}, so the new log records {recorded}; if [audit] named another `key_file` or `seen_file` before, keep that seen file as evidence: its checkpoint may be newer, and the new log can no longer record it"
    )
}

/// The number of entries that a checkpoint covers.
fn size_of(checkpoint: &str) -> Option<&str> {
    checkpoint.lines().nth(1)
}

/// The file with the new log's key, from the command line or the config.
fn new_key(arguments: &Arguments, folder: &Folder) -> Option<PathBuf> {
    let given = arguments.key_file.as_ref();
    let file = given.or(folder.key_file.as_ref())?.clone();
    let key = Key::read(&file).ok()?;
    (key.origin() == arguments.origin).then_some(file)
}

/// Opens the new log once, so that it starts.
async fn begin(settings: Settings) -> Result<(), Stop> {
    let trail = Trail::open(settings, Clock::system(), Metrics::new());
    trail.opened().await;
    let closed = trail.state().closed;
    trail.stop().await;
    let Some(closed) = closed else {
        return Ok(());
    };
    let (cause, detail) = (closed.cause.as_str(), closed.detail);
    Err(Stop::io(format!(
        "the loss is accepted, but the new log cannot start yet: {cause}: {detail}; it starts with a gateway whose config names it"
    )))
}

fn print(out: &mut dyn Write, json: bool, done: &Done) -> Result<(), Stop> {
    if json {
        return print_json(out, done);
    }
    let old = escape(done.old_origin.as_deref().unwrap_or("the old log"));
    let left_in = escape(&done.left_in.display().to_string());
    writeln!(out, "the files of {old} are now in {left_in}")?;
    if let Some(why) = &done.unfinished {
        let why = escape(why);
        writeln!(
            out,
            "but not all of them yet: {why}; the loss is accepted, and the next start of the trail moves the rest"
        )?;
    }
    let checkpoint = done.old_checkpoint.as_deref();
    if let Some(size) = checkpoint.and_then(size_of).map(escape) {
        writeln!(out, "its newest known checkpoint covers {size} entries")?;
    }
    let origin = &done.origin;
    let rest = "set origin and key_file in [audit], and start the gateway";
    if done.begun {
        writeln!(out, "{origin} has started: {rest}")?;
    } else {
        writeln!(out, "{origin} starts with a gateway that has its key:")?;
        writeln!(out, "  lychgate audit keygen --origin {origin} --out FILE")?;
        writeln!(out, "  then {rest}")?;
    }
    Ok(())
}
