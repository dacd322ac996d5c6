//! The token for reading back, read from its file at each use and never shown.

use std::io::Read;
use std::path::Path;

use http::HeaderValue;

/// The message if there is no token.
pub(crate) const MISSING: &str = "no credentials to read users back with: [credentials] mode keeps none of its own, so name a file with a token in [audit] reconcile_token_file, and restart the gateway if one runs (a reload does not change [audit])";
/// The maximum size of the token file in bytes, the same as for `[credentials] token_file`.
const MAX_BYTES: u64 = 16 << 10;

/// Reads the file. Returns the value of the `Authorization` header.
pub(super) fn read(path: &Path) -> Result<HeaderValue, String> {
    let shown = path.display();
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| format!("cannot read the token file {shown}: {error}"))?;
    let token = text.trim();
    // The characters of a bearer token (RFC 6750 section 2.1).
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    let unfit = || format!("the token file {shown} does not hold one bearer token");
    if token.is_empty() || text.len() as u64 > MAX_BYTES || !token.bytes().all(plain) {
        return Err(unfit());
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| unfit())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::test_folder;

    fn read_text(text: &str) -> Result<HeaderValue, String> {
        let folder = test_folder("token");
        let path = folder.path().join("upstream.token");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn p8_a_token_is_read_and_never_shown() {
        let token = read_text("abc.DEF_1~+/=\n").unwrap();
        assert_eq!(token, "Bearer abc.DEF_1~+/=");
        assert!(!format!("{token:?}").contains("abc"));
        let why = read_text("se cret").unwrap_err();
        assert!(
            why.contains("upstream.token") && !why.contains("cret"),
            "{why}"
        );
    }

    #[test]
    fn a_malformed_token_is_refused() {
        for text in ["", " \n", "a b", "a\r\nb", &"x".repeat(17 << 10)] {
            assert!(read_text(text).is_err());
        }
        assert!(read(Path::new("/nowhere/token")).is_err());
    }
}
