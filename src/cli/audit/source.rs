//! The options that name a trail: `--dir DIR` or `--config FILE`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::remote::is_address;
use crate::audit::log::key::VerifierKey;
use crate::audit::read::Trouble;
use crate::audit::read::verify::own_verifier;
use crate::cli::check;
use crate::cli::exit::{Exit, Stop};
use crate::cli::output::tell;
use crate::config::Config;

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Source {
    /// The audit folder; most commands also take the address of an admin listener
    /// (http://127.0.0.1:9080) or of any published log, and then read only what its checkpoint
    /// covers
    #[arg(long, value_name = "DIR|ADDRESS")]
    pub(crate) dir: Option<PathBuf>,
    /// The config that names the audit folder
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// A trail's folder, and the config's settings for it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Folder {
    pub directory: PathBuf,
    /// The signing key's file, if a config names one.
    pub key_file: Option<PathBuf>,
    /// The log's name, if a config gives it.
    pub origin: Option<String>,
    /// The file with the newest seen checkpoint, if a config names one.
    pub seen_file: Option<PathBuf>,
}

impl Source {
    pub(super) fn folder(&self) -> Result<Folder, Stop> {
        let folder = Folder::find(self.dir.as_deref(), self.config.as_deref())?;
        // The command line gives one of the two.
        Ok(folder.unwrap_or_default())
    }
}

/// The part of a config that is enough to read the trail, if `run` would refuse the config.
#[derive(Deserialize)]
struct Audited {
    audit: Folder,
}

/// The folder that a config names, even if the rest of the config is invalid here: a reader of the
/// trail may have no permission to read the signing key, or no network.
fn named_by(config: &Path) -> Result<Folder, Stop> {
    let refused = match check::load(config) {
        Ok(Config { audit, .. }) => {
            return Ok(Folder {
                directory: audit.directory,
                key_file: Some(audit.key_file),
                origin: Some(audit.origin),
                seen_file: Some(audit.seen_file),
            });
        }
        Err(refused) => refused,
    };
    let text = std::fs::read_to_string(config).ok();
    let Some(Audited { audit }) = text.and_then(|text| toml::from_str(&text).ok()) else {
        return Err(refused);
    };
    tell(format!(
        "`run` would refuse the config {} (see `lychgate check`); only its [audit] is used",
        config.display()
    ));
    let beside = config.parent().unwrap_or(Path::new(""));
    Ok(Folder {
        directory: beside.join(audit.directory),
        key_file: audit.key_file.map(|file| beside.join(file)),
        seen_file: audit.seen_file.map(|file| beside.join(file)),
        ..audit
    })
}

impl Folder {
    /// The folder at `dir` or of `config`; `None` if neither is given.
    pub(super) fn find(dir: Option<&Path>, config: Option<&Path>) -> Result<Option<Self>, Stop> {
        match (dir, config) {
            (_, Some(config)) => named_by(config).map(Some),
            (Some(dir), None) if is_address(dir) => Err(Stop::usage(
                "this command reads the audit folder itself; an address gives only the published log",
            )),
            (Some(dir), None) => Ok(Some(Self {
                directory: dir.to_owned(),
                ..Self::default()
            })),
            (None, None) => Ok(None),
        }
    }

    /// The public key in the folder; `None` if there is none.
    pub(super) fn verifier(&self) -> Result<Option<VerifierKey>, Stop> {
        own_verifier(&self.directory).map_err(|failure| {
            let exit = match failure.trouble {
                Trouble::Unreadable => Exit::Io,
                _ => Exit::No,
            };
            Stop::Message(exit, format!("{}: {failure}", self.directory.display()))
        })
    }

    /// The log's name, from the config or else from the folder.
    pub(super) fn origin(&self) -> Result<Option<String>, Stop> {
        match &self.origin {
            Some(origin) => Ok(Some(origin.clone())),
            None => Ok(self.verifier()?.map(|key| key.origin().to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::test_folder;

    fn named(text: &str) -> Result<Folder, Stop> {
        let folder = test_folder("source");
        let config = folder.path().join("lychgate.toml");
        std::fs::write(&config, text).unwrap();
        let named = named_by(&config)?;
        assert!(named.directory.starts_with(folder.path()));
        Ok(named)
    }

    #[test]
    fn a_config_with_unreadable_keys_still_names_the_trail() {
        let text = "[audit]\ndirectory = 'trail'\norigin = 'o'\nkey_file = 'secret/audit.key'\n";
        let folder = named(text).unwrap();
        assert!(folder.directory.ends_with("trail"));
        assert_eq!(folder.origin.as_deref(), Some("o"));
        assert!(folder.key_file.unwrap().ends_with("secret/audit.key"));
    }

    #[test]
    fn p12_a_config_without_a_trail_exits_with_78() {
        for text in ["", "[audit]\n", "[audit]\ndirectory = 1\n", "not toml"] {
            let stop = named(text).unwrap_err();
            assert!(
                matches!(stop, Stop::Rendered(Exit::Config, _)),
                "{text}: {stop:?}"
            );
        }
    }

    #[test]
    fn a_missing_config_exits_with_74() {
        let stop = named_by(Path::new("/nowhere/lychgate.toml")).unwrap_err();
        assert!(matches!(stop, Stop::Rendered(Exit::Io, _)), "{stop:?}");
    }
}
