//! After good and bad requests, no token and no key appears in any file, log, metric, page or
//! answer.

use std::path::PathBuf;

use serde_json::Value;

use super::callers::{deletion, read, request, token_of};
use super::program::{Home, Program};
use super::users::Users;
use crate::support::tokens::{self, Signer};
use crate::support::wire::{self, Answer, find};

/// The token for upstream instead of the caller's.
const UPSTREAM_TOKEN: &str = "upstream-secret-9f2c41d07be5";
const ADMIN_TOKEN: &str = "admin-secret-5b1e77c3a9d0";

/// The secrets, each with a name that the test may print.
struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    fn add(&mut self, name: &str, secret: impl Into<Vec<u8>>) {
        let secret = secret.into();
        assert!(secret.len() >= 8, "{name} is too short to be looked for");
        self.0.push((name.to_owned(), secret));
    }

    /// Adds the complete token, and its signature alone; the other parts of a token are not secret.
    fn add_token(&mut self, name: &str, token: &str) {
        self.add(name, token);
        if let Some((_, signature)) = token.rsplit_once('.').filter(|(_, s)| s.len() >= 8) {
            self.add(&format!("{name}'s signature"), signature);
        }
    }

    fn stand_not_in(&self, place: &str, bytes: &[u8]) {
        for (name, secret) in &self.0 {
            let Some(at) = find(bytes, secret) else {
                continue;
            };
            let before = String::from_utf8_lossy(&bytes[at.saturating_sub(200)..at]);
            panic!("{name} is in {place} after: {before}");
        }
    }
}

/// The tokens of good and bad callers.
fn tokens() -> Vec<(&'static str, String)> {
    let claims = |name: &str, value: Value| {
        let mut claims = tokens::good_claims();
        claims.insert(name.to_owned(), value);
        tokens::sign(Signer::Main, &tokens::good_header(Signer::Main), &claims)
    };
    let signed =
        |signer| tokens::sign(signer, &tokens::good_header(signer), &tokens::good_claims());
    vec![
        ("a good token", token_of("ada")),
        ("a late token", claims("exp", (tokens::now() - 900).into())),
        (
            "an early token",
            claims("nbf", (tokens::now() + 900).into()),
        ),
        (
            "a token of another issuer",
            claims("iss", "https://other.test/".into()),
        ),
        ("a token for others", claims("aud", "others".into())),
        (
            "a token for another account",
            claims("accounts", "87654321".into()),
        ),
        ("a token without scopes", claims("scope", "".into())),
        ("a forged token", signed(Signer::Impostor)),
        ("a token of another algorithm", signed(Signer::Other)),
        ("a symmetric token", signed(Signer::Symmetric)),
        ("no token at all", "not-a-token-but-a-password".to_owned()),
        (
            "a token of odd bytes",
            "a%20b.c\u{fffd}d.efghijklmnop".to_owned(),
        ),
    ]
}

/// Requests with a token in the right place and in wrong places.
fn requests(token: &str) -> Vec<Vec<u8>> {
    let twice = format!("If-Match: 7\r\nAuthorization: Bearer {token}\r\n");
    let cookie = format!("If-Match: 7\r\nCookie: session={token}\r\nX-Token: {token}\r\n");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let good = text(deletion(1, token));
    vec![
        good.clone().into_bytes(),
        read(2, token),
        request("DELETE", "/3", token, ""),
        request("DELETE", "/4", token, &twice),
        request("DELETE", "/5", token, &cookie),
        request("PATCH", "/6", token, ""),
        request("DELETE", &format!("/{token}"), token, "If-Match: 7\r\n"),
        request("DELETE", "/8", token, &format!("If-Match: {token}\r\n")),
        good.replace("v=4.0", &format!("v=4.0&access_token={token}"))
            .into_bytes(),
        good.replace("v=4.0", &format!("v={token}")).into_bytes(),
        good.replace("Bearer ", "Basic ").into_bytes(),
        good.replace("Bearer ", "bearer  ").into_bytes(),
        good.replace("gate.test", &format!("{token}@gate.test"))
            .into_bytes(),
        good.replace("12345678", token).into_bytes(),
        good.replace("HTTP/1.1", token).into_bytes(),
    ]
}

/// Adds the seed of a key file, in base64 and as bytes.
fn add_key(secrets: &mut Secrets, home: &Home) {
    use base64::Engine;
    let text = std::fs::read_to_string(home.path("audit.key")).unwrap();
    // The part after the fourth `+`, because base64 contains `+` too.
    let line = text.trim().splitn(5, '+').last().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(line);
    let bytes = bytes.expect("the key's form is `PRIVATE+KEY+NAME+ID+BASE64`");
    secrets.add("the key's text", line);
    secrets.add("the key's seed", &bytes[1..]);
}

fn answers_hold_none(secrets: &Secrets, address: std::net::SocketAddr) -> usize {
    let mut statuses = std::collections::BTreeSet::new();
    for (name, token) in tokens() {
        for (at, request) in requests(&token).iter().enumerate() {
            let answer: Option<Answer> = wire::exchange(address, request);
            let shown = answer.as_ref().map(Answer::shown).unwrap_or_default();
            secrets.stand_not_in(
                &format!("the answer to request {at} with {name}"),
                shown.as_bytes(),
            );
            statuses.extend(answer.map(|answer| answer.status));
        }
    }
    statuses.len()
}

fn pages_hold_none(secrets: &Secrets, program: &Program) {
    for path in [
        "/livez",
        "/readyz",
        "/readyz?verbose",
        "/metrics",
        "/status",
        "/",
    ] {
        secrets.stand_not_in(path, program.page(path).shown().as_bytes());
    }
    let bearer = format!(
        "GET /status HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\nConnection: close\r\n\r\n",
        program.admin
    );
    let status = wire::exchange(program.admin, bearer.as_bytes()).unwrap();
    assert_ne!(status.status, 401, "{}", status.shown());
    secrets.stand_not_in("/status", status.shown().as_bytes());
}

/// Every file that the gateway wrote.
fn written(home: &Home) -> Vec<PathBuf> {
    let own = [
        "keys.json",
        "audit.key",
        "lychgate.toml",
        "up.token",
        "admin.token",
    ];
    let files = home.files().into_iter();
    let files = files.filter(|path| !own.iter().any(|name| *path == home.path(name)));
    files.collect()
}

#[test]
fn p8_no_token_and_no_key_appears_in_any_output() {
    let users = Users::start();
    let keys = [
        (
            "credentials",
            "mode = \"bearer\"\ntoken_file = \"up.token\"",
        ),
        ("admin", "token_file = \"admin.token\""),
        ("log", "level = \"trace\""),
    ];
    let home = Home::new(users.address(), &keys);
    std::fs::write(home.path("up.token"), UPSTREAM_TOKEN).unwrap();
    std::fs::write(home.path("admin.token"), ADMIN_TOKEN).unwrap();
    let mut secrets = Secrets(Vec::new());
    secrets.add("the token for upstream", UPSTREAM_TOKEN);
    secrets.add("the admin token", ADMIN_TOKEN);
    add_key(&mut secrets, &home);

    let program = home.start_ready();
    let callers = tokens();
    for (name, token) in &callers {
        secrets.add_token(name, token);
    }
    let statuses = answers_hold_none(&secrets, program.address);
    assert!(statuses >= 6, "good and bad answers are among them");
    pages_hold_none(&secrets, &program);
    // The gateway refuses a config with a secret in the wrong place without printing it.
    let (status, log) = program.stop();
    assert!(status.success(), "{status}");
    assert!(log.lines().count() > 100, "there is a log to look into");
    secrets.stand_not_in("the log", log.as_bytes());
    let files = written(&home);
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        secrets.stand_not_in(&file.display().to_string(), &bytes);
    }
    let record = home.record();
    assert!(record.summary.deleted > 0 && record.summary.refused > 0);
    for seen in users.take_seen() {
        assert!(
            seen.head.contains(UPSTREAM_TOKEN),
            "upstream gets its own token"
        );
        for (name, token) in &callers {
            assert!(
                !seen.head.contains(token.as_str()),
                "{name} reached upstream"
            );
        }
    }
}
