//! The trail that a reading command uses. It is opened again for each read.

use std::path::PathBuf;
use std::sync::Arc;

use super::key::{GivenKey, missing_key};
use super::progress;
use super::remote::{Remote, is_address};
use super::source::Source;
use crate::audit::log::key::VerifierKey;
use crate::audit::read::verify::parse_receipt;
use crate::audit::read::{Location, Log, MissingRange, Trouble};
use crate::cli::exit::Stop;

/// The options for the trail and for the key that verifies its checkpoint.
#[derive(Debug, clap::Args)]
pub(super) struct Reading {
    #[command(flatten)]
    source: Source,
    /// The verifier key for the checkpoint, or a file that holds it; default: the folder's own. An
    /// address needs it
    #[arg(long, value_name = "VERIFIER|FILE", value_parser = GivenKey::parse)]
    key: Option<GivenKey>,
    /// The admin token, if the address in --dir requires it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// A trail in a folder or at an address.
#[derive(Debug)]
pub(super) struct Trail {
    pub(super) location: Location,
    /// The key that verifies the checkpoint.
    pub(super) key: Option<VerifierKey>,
    /// The log's name, if it is known without a checkpoint.
    pub(super) origin: Option<String>,
}

impl Reading {
    /// The trail; its reads show progress.
    pub(super) fn trail(&self) -> Result<Trail, Stop> {
        let given = self.key.as_ref().map(GivenKey::read).transpose()?;
        if let Some(place) = self.source.dir.as_ref().filter(|dir| is_address(dir)) {
            let key = given.ok_or_else(missing_key)?;
            let remote = Remote::new(&place.to_string_lossy(), self.token_file.as_deref())?;
            return Ok(Trail {
                location: progress::watched(Location::Published(Arc::new(remote))),
                origin: Some(key.origin().to_owned()),
                key: Some(key),
            });
        }
        let folder = self.source.folder()?;
        let key = match given {
            Some(key) => Some(key),
            None => folder.verifier()?,
        };
        Ok(Trail {
            origin: folder.origin()?,
            location: progress::watched(Location::Folder(folder.directory)),
            key,
        })
    }
}

impl Trail {
    /// Opens the current log; that of a folder includes the journal's entries after the checkpoint.
    pub(super) fn open(&self) -> Result<Log, Stop> {
        self.own(self.location.open(self.key.as_ref())?)
    }

    /// Opens the published part: the entries that the newest checkpoint covers.
    pub(super) fn published(&self) -> Result<Log, Stop> {
        self.own(Log::published(self.location.files()?, self.key.as_ref())?)
    }

    /// The same trail, read without progress.
    pub(super) fn unwatched(self) -> Self {
        let location = match self.location {
            Location::Through(place, _) => *place,
            place => place,
        };
        Self { location, ..self }
    }

    /// The log's name, from the config, the key or the checkpoint.
    pub(super) fn origin(&self, log: &Log) -> Option<String> {
        let said = log.checkpoint.as_ref().map(|c| c.origin.clone());
        self.origin.clone().or(said)
    }

    /// Whether the trail is at an address, which gives only the published part.
    pub(super) fn is_address(&self) -> bool {
        self.location.folder().is_none()
    }

    /// Refuses the checkpoint of another log.
    fn own(&self, log: Log) -> Result<Log, Stop> {
        match (&self.origin, &log.checkpoint) {
            (Some(own), Some(checkpoint)) if *own != checkpoint.origin => {
                let found = &checkpoint.origin;
                Err(Stop::no(format!(
                    "the checkpoint here is of {found}, and {own} was meant"
                )))
            }
            _ => Ok(log),
        }
    }
}

/// The index in a receipt. Refuses a receipt of another log than `own`.
pub(super) fn index_of_receipt(receipt: &str, own: Option<&str>) -> Result<u64, Stop> {
    let (origin, index) = parse_receipt(receipt).map_err(Stop::usage)?;
    match own.filter(|own| *own != origin) {
        Some(own) => Err(Stop::no(format!(
            "this trail is {own}, and the receipt is of {origin}"
        ))),
        None => Ok(index),
    }
}

impl From<MissingRange> for Stop {
    fn from(missing: MissingRange) -> Self {
        match missing.trouble {
            Trouble::Missing => Self::io(format!("there is no trail here: {missing}")),
            Trouble::Unreadable => Self::io(missing),
            Trouble::Damaged => Self::no(format!("{missing}; see `lychgate audit verify`")),
        }
    }
}
