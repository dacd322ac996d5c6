//! The token for reading back, read from its file at each use and never shown.

use std::fmt;
use std::io::Read;
use std::path::Path;

use http::HeaderValue;

/// The message if there is no token.
pub(crate) const MISSING: &str = "no credentials to read users back with: [credentials] mode keeps none of its own, so name a file with a token in [audit] reconcile_token_file";
/// Size limit of the file, the same as the config's.
const MAX_BYTES: u64 = 16 << 10;

/// The value of the `Authorization` header.
#[derive(Clone)]
pub(crate) struct TokenFile(HeaderValue);

impl TokenFile {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
            .map_err(|error| format!("cannot read the token file {shown}: {error}"))?;
        let token = text.trim();
        // RFC 6750 section 2.1.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        let unfit = || format!("the token file {shown} does not hold one bearer token");
        if token.is_empty() || text.len() as u64 > MAX_BYTES || !token.bytes().all(plain) {
            return Err(unfit());
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| unfit())?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    pub(super) fn header(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenFile(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::test_folder;

    fn read(text: &str) -> Result<TokenFile, String> {
        let folder = test_folder("token");
        let path = folder.path().join("upstream.token");
        std::fs::write(&path, text).unwrap();
        TokenFile::read(&path)
    }

    #[test]
    fn p8_a_token_is_read_and_never_shown() {
        let token = read("abc.DEF_1~+/=\n").unwrap();
        assert_eq!(token.header(), "Bearer abc.DEF_1~+/=");
        assert!(!format!("{token:?} {:?}", token.header()).contains("abc"));
        let why = read("se cret").unwrap_err();
        assert!(
            why.contains("upstream.token") && !why.contains("cret"),
            "{why}"
        );
    }

    #[test]
    fn a_malformed_token_is_refused() {
        for text in ["", " \n", "a b", "a\r\nb", &"x".repeat(17 << 10)] {
            assert!(read(text).is_err());
        }
        assert!(TokenFile::read(Path::new("/nowhere/token")).is_err());
    }
}
