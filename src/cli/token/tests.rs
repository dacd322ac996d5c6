//! Tests of `token mint` without a separate process.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    mint: Mint,
}

const NOW: Time = Time(1_764_000_000_000_000);

fn parsed(arguments: &[&str]) -> Mint {
    let line = ["mint"].iter().chain(arguments);
    Line::try_parse_from(line).unwrap().mint
}

fn asked(more: &[&str]) -> Mint {
    let base = [
        "--key",
        "k",
        "--issuer",
        "i",
        "--audience",
        "a",
        "--subject",
        "s",
    ];
    parsed(&[&base[..], more].concat())
}

/// A path in the system's temporary folder; its file is removed on drop.
struct Path_(PathBuf);

impl Path_ {
    fn new(name: &str) -> Self {
        let name = format!("lychgate-token-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Path_ {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn printed(arguments: &Mint) -> String {
    let mut out = Vec::new();
    assert_eq!(print(&mut out, arguments, NOW).unwrap(), Exit::Fine);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_token_has_only_the_requested_claims() {
    let found = claims(&asked(&[]), NOW);
    assert_eq!(
        found,
        serde_json::json!({"iss": "i", "sub": "s", "aud": "a", "iat": 1_764_000_000, "exp": 1_764_003_600})
    );
    let found = claims(
        &asked(&[
            "--accounts",
            "1,2",
            "--scope",
            "x y",
            "--client",
            "c",
            "--lifetime",
            "-5s",
            "--claim",
            "sub=null",
            "--claim",
            "jti=\"j\"",
        ]),
        NOW,
    );
    assert_eq!(
        found,
        serde_json::json!({"iss": "i", "aud": "a", "accounts": ["1", "2"], "scope": "x y",
            "client_id": "c", "iat": 1_764_000_000, "exp": 1_763_999_995, "jti": "j"})
    );
}

#[test]
fn a_key_is_generated_once_and_reused() {
    use std::os::unix::fs::PermissionsExt as _;
    let path = Path_::new("made.pem");
    let key = path.0.to_str().unwrap();
    let jwks = printed(&parsed(&["--key", key, "--generate", "--jwks"]));
    let mode = std::fs::metadata(&path.0).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        printed(&parsed(&["--key", key, "--generate", "--jwks"])),
        jwks
    );
    let mut mint = asked(&[]);
    mint.key.clone_from(&path.0);
    let token = printed(&mint);
    let claims = token.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["sub"], "s");
}

#[test]
fn a_missing_key_is_not_generated_without_the_flag() {
    let path = Path_::new("absent.pem");
    let Err(Stop::Message(exit, message)) = key(&path.0, false) else {
        panic!("there is no key");
    };
    assert_eq!(exit, Exit::Io);
    assert!(message.ends_with("--generate makes one"), "{message}");
    assert!(!path.0.exists());
}

#[test]
fn p8_a_malformed_key_file_is_refused_and_not_quoted() {
    let path = Path_::new("wrong.pem");
    std::fs::write(&path.0, "secret words").unwrap();
    let Err(Stop::Message(exit, message)) = key(&path.0, true) else {
        panic!("the file is not a key");
    };
    assert_eq!(exit, Exit::No);
    assert!(!message.contains("secret"), "{message}");
}

#[test]
fn lifetimes_and_claims_are_parsed_strictly() {
    for (text, seconds) in [("90s", 90), ("10m", 600), ("1h", 3_600), ("-2d", -172_800)] {
        assert_eq!(lifetime(text), Ok(seconds));
    }
    for text in ["", "5", "m", "1w", "1.5h", "9223372036854775807d"] {
        assert!(lifetime(text).is_err(), "{text}");
    }
    for text in ["a", "=1", "a=x"] {
        assert!(claim(text).is_err(), "{text}");
    }
    assert!(Line::try_parse_from(["mint", "--key", "k"]).is_err());
}
