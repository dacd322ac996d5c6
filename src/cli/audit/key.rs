//! The option `--key`: a verifier key, as its text or as a file that holds it.

use std::path::{Path, PathBuf};

use crate::audit::log::key::VerifierKey;
use crate::cli::exit::Stop;

/// A verifier key is shorter than this: 255 bytes of name, an id and 44 of base64.
const MAX_FILE_BYTES: u64 = 512;

/// The value of `--key`.
#[derive(Clone, Debug)]
pub(super) enum GivenKey {
    Text(VerifierKey),
    File(PathBuf),
}

impl GivenKey {
    /// A text with a `+` is a key, unless there is a file of that name.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if !text.contains('+') || Path::new(text).exists() {
            return Ok(Self::File(text.into()));
        }
        let key = VerifierKey::parse(text);
        key.map(Self::Text).map_err(|error| error.to_string())
    }

    /// The key; reads its file.
    pub(super) fn read(&self) -> Result<VerifierKey, Stop> {
        let path = match self {
            Self::Text(key) => return Ok(key.clone()),
            Self::File(path) => path,
        };
        let shown = path.display();
        let text = text_of(path).map_err(|error| {
            Stop::io(format!(
                "--key: cannot read the file {shown}: {error}; a verifier key itself has the form NAME+HASH+BASE64"
            ))
        })?;
        VerifierKey::parse(text.trim_end()).map_err(|error| {
            Stop::usage(format!(
                "--key: {shown} holds no verifier key: {error}; `lychgate audit keygen` prints it"
            ))
        })
    }
}

fn text_of(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The error for a log at an address without a key.
pub(super) fn missing_key() -> Stop {
    Stop::usage(
        "an address cannot say which key to trust: give --key with the line that `lychgate audit keygen` printed (it is also in the audit folder, in the file `verifier`) or with a file that holds it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::log::key::test_key;
    use crate::audit::test_folder;
    use crate::cli::exit::Exit;

    fn read(text: &str) -> Result<VerifierKey, Exit> {
        let given = GivenKey::parse(text).map_err(|_| Exit::Usage)?;
        given.read().map_err(|stop| match stop {
            Stop::Message(exit, _) => exit,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_key_is_a_text_or_a_file() {
        let folder = test_folder("key");
        let key = test_key().verifier().clone();
        let text = key.to_string();
        assert_eq!(read(&text), Ok(key.clone()));
        for (name, content) in [("verifier", text.clone()), ("a+b", format!("{text}\n"))] {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            assert_eq!(read(path.to_str().unwrap()), Ok(key.clone()), "{name}");
        }
    }

    #[test]
    fn no_key_is_2_and_an_unreadable_file_74() {
        let folder = test_folder("key");
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let signing = path("audit.key");
        crate::audit::log::key::keygen("key.test", Path::new(&signing)).unwrap();
        std::fs::write(path("long"), "x".repeat(100_000)).unwrap();
        for (given, exit) in [
            ("no+key", Exit::Usage),
            ("", Exit::Io),
            (&path("nothing"), Exit::Io),
            (&path(""), Exit::Io),
            (&path("long"), Exit::Usage),
            (&signing, Exit::Usage),
        ] {
            assert_eq!(read(given), Err(exit), "{given}");
        }
    }

    #[test]
    fn p8_a_signing_key_given_by_mistake_is_not_shown() {
        let folder = test_folder("key");
        let path = folder.path().join("audit.key");
        crate::audit::log::key::keygen("key.test", &path).unwrap();
        let given = GivenKey::parse(path.to_str().unwrap()).unwrap();
        assert!(!format!("{:?}", given.read().unwrap_err()).contains("PRIVATE"));
    }
}
