//! The trail's Ed25519 keys, in the formats of signed notes.
//!
//! The key file holds one line, `PRIVATE+KEY+name+hhhhhhhh+base64(01 || seed)`. The verifier key is
//! `name+hhhhhhhh+base64(01 || public key)` (C2SP signed-note). The name is the log's origin.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aws_lc_rs::signature::{ED25519 as ALGORITHM, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use aws_lc_rs::{hkdf, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize, Zeroizing};

use super::merkle::{Hash, fixed, sha256};
use super::{from_base64, hex, to_base64};

/// The signature type byte of Ed25519.
const ED25519: u8 = 1;
const PREFIX: &str = "PRIVATE+KEY+";
/// An upper bound for the length of a key file: prefix, 255 bytes of name, id and 44 bytes of
/// base64.
const MAX_FILE_BYTES: u64 = 512;

/// Why a key is unusable. The text never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(String);

/// The signing key and the secrets derived from it. When a [`Key`] is dropped, all of them are
/// wiped from memory.
pub struct Key {
    verifier: VerifierKey,
    pair: Ed25519KeyPair,
    seed: Zeroizing<[u8; 32]>,
    tags: hmac::Key,
}

impl Key {
    /// Generates a key for this origin.
    pub fn generate(origin: &str) -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        rand::fill(&mut *seed).map_err(|_| KeyError("no randomness for a new key".into()))?;
        Self::from_seed(origin, seed)
    }

    /// Reads a key file.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let place = path.display();
        let file = File::open(path).map_err(|e| KeyError(format!("cannot open {place}: {e}")))?;
        let mut text = Zeroizing::new(String::with_capacity(MAX_FILE_BYTES as usize));
        file.take(MAX_FILE_BYTES)
            .read_to_string(&mut text)
            .map_err(|e| KeyError(format!("cannot read {place}: {e}")))?;
        Self::parse(&text).map_err(|e| KeyError(format!("{place}: {e}")))
    }

    /// Parses the text of a key file. The text may end in one line feed.
    pub(crate) fn parse(text: &str) -> Result<Self, KeyError> {
        let form = || KeyError("not a signing key from `lychgate audit keygen`".into());
        let line = text.strip_suffix('\n').unwrap_or(text);
        let rest = line.strip_prefix(PREFIX).ok_or_else(form)?;
        let (name, rest) = rest.split_once('+').ok_or_else(form)?;
        let (id, body) = rest.split_once('+').ok_or_else(form)?;
        let bytes = Zeroizing::new(STANDARD.decode(body).map_err(|_| form())?);
        let (Some((&ED25519, rest)), true) = (bytes.split_first(), bytes.len() == 33) else {
            return Err(form());
        };
        let mut seed = Zeroizing::new([0; 32]);
        seed.copy_from_slice(rest);
        let key = Self::from_seed(name, seed)?;
        if hex(&key.verifier.id()) != id {
            return Err(KeyError("the key's id does not fit the key".into()));
        }
        Ok(key)
    }

    pub(crate) fn origin(&self) -> &str {
        self.verifier.origin()
    }

    pub(crate) fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a text. Returns the key id (4 bytes) and the signature (64 bytes), as in a signature
    /// line of a signed note.
    pub(crate) fn sign(&self, text: &[u8]) -> Vec<u8> {
        let mut line = self.verifier.id().to_vec();
        line.extend_from_slice(self.pair.sign(text).as_ref());
        line
    }

    /// The authentication tag of a journal batch (HMAC-SHA-256).
    pub(crate) fn tag(&self, bytes: &[u8]) -> Hash {
        fixed(hmac::sign(&self.tags, bytes).as_ref())
    }

    /// Whether this key made the tag for these bytes. Compares in constant time.
    pub(crate) fn tag_holds(&self, bytes: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.tags, bytes, tag).is_ok()
    }

    fn from_seed(origin: &str, seed: Zeroizing<[u8; 32]>) -> Result<Self, KeyError> {
        if let Some(fault) = origin_fault(origin) {
            return Err(KeyError(fault.into()));
        }
        let unusable = || KeyError("the key cannot be used".into());
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(|_| unusable())?;
        let public = fixed(pair.public_key().as_ref());
        let mut secret = Zeroizing::new([0; 32]);
        let info = [b"lychgate journal tag v1\n".as_slice(), origin.as_bytes()];
        hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
            .extract(&*seed)
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut *secret))
            .map_err(|_| unusable())?;
        Ok(Self {
            verifier: VerifierKey::new(origin, public),
            pair,
            seed,
            tags: hmac::Key::new(hmac::HMAC_SHA256, &*secret),
        })
    }

    fn to_file(&self) -> Zeroizing<String> {
        let mut body = Zeroizing::new([0; 33]);
        body[0] = ED25519;
        body[1..].copy_from_slice(&*self.seed);
        let mut encoded = STANDARD.encode(*body);
        let id = hex(&self.verifier.id());
        let line = format!("{PREFIX}{}+{id}+{encoded}\n", self.origin());
        encoded.zeroize();
        Zeroizing::new(line)
    }
}

/// Shows the public key only.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, secret)", self.verifier)
    }
}

/// Generates a key, writes it to a new file of mode 0600, and syncs the file and its folder.
/// Returns the verifier key.
pub(crate) fn keygen(origin: &str, path: &Path) -> Result<VerifierKey, KeyError> {
    let key = Key::generate(origin)?;
    let fault = |e| KeyError(format!("cannot write {}: {e}", path.display()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(fault)?;
    file.write_all(key.to_file().as_bytes()).map_err(fault)?;
    file.sync_all().map_err(fault)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))
        .and_then(|f| f.sync_all())
        .map_err(fault)?;
    Ok(key.verifier)
}

/// Returns a warning if every user of the machine has access to the key file. Group access is fine:
/// a mounted secret may belong to another user, and the gateway then reads it through the file's
/// group.
pub(crate) fn exposed(path: &Path) -> Option<String> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o007 != 0).then(|| {
        format!(
            "the signing key {} is open to every user of this machine (mode {mode:04o}), who could \
             write another history with it: remove their access (chmod o=), and make a new key if \
             someone may have copied it",
            path.display()
        )
    })
}

/// The public key and the log's origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    origin: String,
    public: [u8; 32],
}

impl VerifierKey {
    pub(crate) fn new(origin: &str, public: [u8; 32]) -> Self {
        Self {
            origin: origin.to_owned(),
            public,
        }
    }

    /// Parses a verifier key. The text may end in one line feed.
    pub(crate) fn parse(text: &str) -> Result<Self, KeyError> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let form = || KeyError("not a verifier key of the form NAME+HASH+BASE64".into());
        // Base64 may contain `+`; the name and the id may not.
        let (name, rest) = line.split_once('+').ok_or_else(form)?;
        let (_, body) = rest.split_once('+').ok_or_else(form)?;
        if let Some(fault) = origin_fault(name) {
            return Err(KeyError(fault.into()));
        }
        let bytes = from_base64(body).ok_or_else(form)?;
        let Ok([ED25519, public @ ..]) = <[u8; 33]>::try_from(bytes) else {
            return Err(KeyError("not an Ed25519 key".into()));
        };
        let key = Self::new(name, public);
        // This comparison also refuses a wrong id and every spelling except the canonical one.
        if key.to_string() != line {
            return Err(KeyError("the key's id does not fit the key".into()));
        }
        Ok(key)
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The key id: the first 4 bytes of SHA-256(name, line feed, 01, public key).
    pub(crate) fn id(&self) -> [u8; 4] {
        let hash = sha256(&[self.origin.as_bytes(), b"\n\x01", &self.public].concat());
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// Whether `line` (key id and signature) is this key's signature over the text.
    pub(crate) fn verify(&self, text: &[u8], line: &[u8]) -> bool {
        let Some((id, signature)) = line.split_at_checked(4) else {
            return false;
        };
        id == self.id()
            && UnparsedPublicKey::new(&ALGORITHM, self.public)
                .verify(text, signature)
                .is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut body = vec![ED25519];
        body.extend_from_slice(&self.public);
        let (id, body) = (hex(&self.id()), to_base64(&body));
        write!(f, "{}+{id}+{body}", self.origin)
    }
}

/// Why this text cannot be an origin; `None` if it can be one.
pub(crate) fn origin_fault(origin: &str) -> Option<&'static str> {
    if origin.is_empty() || origin.len() > 255 {
        return Some("an origin has 1 to 255 bytes");
    }
    if !origin.bytes().all(|b| b.is_ascii_graphic() && b != b'+') {
        return Some("an origin is visible ASCII without `+`");
    }
    // The signed text of a receipt begins with `lychgate-receipt`; the signed text of a checkpoint
    // begins with the origin. If the origin were `lychgate-receipt`, a receipt could pass for a
    // checkpoint.
    (origin == "lychgate-receipt").then_some("an origin cannot be `lychgate-receipt`")
}

#[cfg(test)]
pub(crate) fn test_key() -> Key {
    let mut seed = Zeroizing::new([0; 32]);
    for (i, byte) in seed.iter_mut().enumerate() {
        *byte = i as u8;
    }
    Key::from_seed("lychgate.test/log", seed).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;

    #[test]
    fn the_verifier_key_is_that_of_the_published_vector() {
        assert_eq!(
            test_key().verifier().to_string(),
            "lychgate.test/log+cb21ebc1+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
        );
    }

    #[test]
    fn a_checkpoint_is_signed_as_in_the_published_vector() {
        let text = b"lychgate.test/log\n5\nfKo0Xb2JKmZFTWxlEuo8PqPw0+whvj/C4jdXBf049nI=\n";
        assert_eq!(
            STANDARD.encode(test_key().sign(text)),
            "yyHrwWLRa0Rw2BaHc4fqmrHY0wG5iCZeW9RVJgwSEGheUEmS2f2PE06Vg4QYnqEl6jtA8wIb2/IMAraTq738plPFpQo="
        );
    }

    #[test]
    fn a_key_file_is_read_back_and_never_overwritten() {
        let folder = crate::audit::test_folder("key");
        let path = folder.path().join("audit.key");
        let verifier = keygen("a.example/1", &path).unwrap();
        let key = Key::read(&path).unwrap();
        assert_eq!(key.verifier(), &verifier);
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let before = std::fs::read(&path).unwrap();
        assert!(keygen("a.example/1", &path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn p8_a_key_file_open_to_every_user_is_reported() {
        let folder = crate::audit::test_folder("key-mode");
        let path = folder.path().join("audit.key");
        keygen("a.example/1", &path).unwrap();
        for mode in [0o400, 0o600, 0o440, 0o640, 0o660] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(exposed(&path), None, "{mode:o}");
        }
        for mode in [0o644, 0o444, 0o602, 0o777] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let told = exposed(&path).unwrap();
            assert!(told.contains(&format!("mode {mode:04o}")), "{told}");
        }
        assert_eq!(exposed(&folder.path().join("none")), None);
    }

    #[test]
    fn p8_no_text_about_a_key_holds_its_secret() {
        let key = test_key();
        let file = key.to_file();
        let secret = file.trim_end().rsplit('+').next().unwrap();
        assert!(!format!("{key:?}").contains(secret));
        let broken = file.replace("cb21ebc1", "cb21ebc2");
        let error = Key::parse(&broken).unwrap_err();
        assert!(!error.to_string().contains(secret));
    }

    #[test]
    fn a_text_that_is_not_a_key_file_is_refused() {
        let good = test_key().to_file();
        for bad in [
            "",
            "PRIVATE+KEY+",
            "PRIVATE+KEY+a+b",
            &good[8..],
            &good.replace("AQ", "Ag"),
            &format!("{}\n", *good),
        ] {
            assert!(Key::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Key::generate("a+b").is_err());
        assert!(Key::generate("lychgate-receipt").is_err());
    }

    #[test]
    fn a_tag_holds_for_its_bytes_and_key_alone() {
        let tag = test_key().tag(b"batch");
        assert!(test_key().tag_holds(b"batch", &tag));
        assert!(!test_key().tag_holds(b"hatch", &tag));
        assert!(
            !Key::generate("lychgate.test/log")
                .unwrap()
                .tag_holds(b"batch", &tag)
        );
    }

    #[test]
    fn a_verifier_key_is_read_back() {
        let text = test_key().verifier().to_string();
        let key = VerifierKey::parse(&text).unwrap();
        assert_eq!(key.to_string(), text);
        assert_eq!(key, VerifierKey::parse(&format!("{text}\n")).unwrap());
    }

    #[test]
    fn p4_every_other_spelling_of_a_verifier_key_is_refused() {
        let text = test_key().verifier().to_string();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let bad = String::from_utf8(bytes).unwrap();
            assert!(VerifierKey::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn p4_a_signature_holds_for_its_text_alone() {
        let key = test_key();
        let line = key.sign(b"text\n");
        assert!(key.verifier().verify(b"text\n", &line));
        assert!(!key.verifier().verify(b"test\n", &line));
        for bit in 0..line.len() * 8 {
            let mut bad = line.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.verifier().verify(b"text\n", &bad), "bit {bit}");
        }
        assert!(!key.verifier().verify(b"text\n", b""));
    }

    #[test]
    fn an_origin_is_visible_ascii_without_plus() {
        assert_eq!(origin_fault("lychgate.example.com/edge-1"), None);
        for bad in [
            "",
            "a b",
            "a+b",
            "ä",
            "a\n",
            "lychgate-receipt",
            &"x".repeat(256),
        ] {
            assert!(origin_fault(bad).is_some(), "{bad:?}");
        }
    }
}
