//! `lychgate token mint`: signs a token with a local key, for demos and tests.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::exit::{Exit, Stop};
use crate::clock::{Clock, Time};
use crate::token::Algorithm;
use crate::token::mint::{Key, mint};

/// The maximum size of a key file in bytes.
const MAX_KEY_BYTES: u64 = 64 * 1024;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Sign a token with a local key and print it
    Mint(Mint),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lychgate token mint --key test.key --generate --jwks > keys.json
  lychgate token mint --key test.key --issuer https://login.example.com/ \\
    --audience lychgate --subject ada --accounts 12345678 \\
    --scope \"users.read users.delete\" --lifetime 10m

The key is PEM (PKCS#8) or a private JWK. Put its public half, from --jwks, into
`jwks_file`. Anyone with such a key can delete users: use it only in tests.")]
struct Mint {
    /// The private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Create an ES256 key (mode 0600) if the file does not exist
    #[arg(long)]
    generate: bool,
    /// Print the public key set instead of a token
    #[arg(long)]
    jwks: bool,
    /// `iss`, the same as `issuer` in the config
    #[arg(long, required_unless_present = "jwks")]
    issuer: Option<String>,
    /// `aud`; may be given more than once
    #[arg(long, required_unless_present = "jwks")]
    audience: Vec<String>,
    /// `sub`
    #[arg(long, required_unless_present = "jwks")]
    subject: Option<String>,
    /// `accounts`, separated by commas; `*` is all
    #[arg(long, value_name = "ACCOUNT,…", value_delimiter = ',')]
    accounts: Vec<String>,
    /// `scope`: users.read, users.write, users.delete, users.password, separated by spaces
    #[arg(long)]
    scope: Option<String>,
    /// `client_id`
    #[arg(long)]
    client: Option<String>,
    /// From now to `exp`: a number and s, m, h or d; may be negative, for a token that has expired
    #[arg(long, default_value = "1h", value_parser = lifetime, allow_hyphen_values = true)]
    lifetime: i64,
    /// Another claim as JSON; it replaces a claim of the same name; null removes the claim
    #[arg(long, value_name = "NAME=JSON", value_parser = claim)]
    claim: Vec<(String, Value)>,
}

pub(super) fn run(out: &mut dyn Write, arguments: Arguments) -> Result<Exit, Stop> {
    let Verb::Mint(arguments) = arguments.verb;
    print(out, &arguments, Clock::system().now())
}

fn print(out: &mut dyn Write, arguments: &Mint, now: Time) -> Result<Exit, Stop> {
    let key = key(&arguments.key, arguments.generate)?;
    if arguments.jwks {
        writeln!(out, "{}", key.public_jwks())?;
    } else {
        let token = mint(&key, &claims(arguments, now));
        let token = token.map_err(Stop::internal)?;
        writeln!(out, "{token}")?;
    }
    Ok(Exit::Fine)
}

fn claims(arguments: &Mint, now: Time) -> Value {
    let mut claims = json!({
        "iss": arguments.issuer,
        "sub": arguments.subject,
        "aud": one_or_many(&arguments.audience),
        "accounts": one_or_many(&arguments.accounts),
        "scope": arguments.scope,
        "client_id": arguments.client,
        "iat": now.seconds(),
        "exp": now.seconds().saturating_add(arguments.lifetime),
    });
    for (name, value) in &arguments.claim {
        claims[name] = value.clone();
    }
    if let Value::Object(claims) = &mut claims {
        claims.retain(|_, value| !value.is_null());
    }
    claims
}

/// Returns one value as a string, several values as a list, and no value as null.
fn one_or_many(values: &[String]) -> Value {
    match values {
        [] => Value::Null,
        [one] => one.as_str().into(),
        many => many.into(),
    }
}

fn key(path: &Path, generate: bool) -> Result<Key, Stop> {
    use std::io::{ErrorKind, Read as _};
    let io = |error: std::io::Error| {
        let hint = match error.kind() {
            ErrorKind::NotFound => "; --generate makes one",
            _ => "",
        };
        Stop::io(format!("{}: {error}{hint}", path.display()))
    };
    let file = match std::fs::File::open(path) {
        Err(error) if generate && error.kind() == ErrorKind::NotFound => return make_key(path),
        opened => opened.map_err(io)?,
    };
    let mut text = zeroize::Zeroizing::new(String::new());
    file.take(MAX_KEY_BYTES)
        .read_to_string(&mut text)
        .map_err(io)?;
    Key::read(&text).map_err(|error| Stop::no(format!("{} {error}", path.display())))
}

/// Generates a key and writes it to a new file. Never overwrites a file.
fn make_key(path: &Path) -> Result<Key, Stop> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let internal = Stop::internal;
    let key = Key::generate(Algorithm::ES256).map_err(internal)?;
    let pem = key.private_pem().map_err(internal)?;
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(pem.as_bytes()))
        .map_err(|error| Stop::io(format!("{}: {error}", path.display())))?;
    Ok(key)
}

fn lifetime(text: &str) -> Result<i64, &'static str> {
    let seconds = || {
        let (count, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        count.parse::<i64>().ok()?.checked_mul(unit)
    };
    seconds().ok_or("is a number and s, m, h or d, such as 10m")
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or("is NAME=JSON, such as jti='\"one\"'")?;
    let value = serde_json::from_str(value)
        .map_err(|error| format!("{name}: not JSON ({error}); put a string in quotes"))?;
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests;
