//! Tests of the complete config: the reference, combinations of sections, all problems at once.

mod edits;
mod files;
mod mends;
mod strict;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::audit::log::key::keygen;

const REFERENCE: &str = include_str!("../../config/lychgate.toml");
const ORIGIN: &str = "lychgate.example.com/edge-1";
/// The required settings only.
const LEAST: &str = r#"
[listen]
address = "127.0.0.1:8080"
[[issuer]]
issuer = "https://login.example.com/"
audience = ["lychgate"]
algorithms = ["ES256"]
jwks_file = "keys.json"
[domains.accounts]
"12345678" = "https://va.ac.liveperson.net"
[audit]
directory = "audit"
origin = "lychgate.example.com/edge-1"
key_file = "audit.key"
"#;

/// A folder with the files that the reference names; removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lychgate-config-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        let folder = Self(path);
        folder.write("keys.json", r#"{"keys": [{"kty": "EC"}]}"#);
        folder.write("audit.key", &key(ORIGIN));
        folder.write("admin.token", "adm1n-t0ken\n");
        folder.write("upstream.token", "upstre4m-t0ken\n");
        folder.write("roots.pem", "-----BEGIN CERTIFICATE-----\n");
        folder
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.0.join("lychgate.toml")
    }

    fn parse(&self, text: &str) -> Result<Config, Problems> {
        Config::parse(text, &self.config())
    }

    fn refused(&self, text: &str) -> Problems {
        self.parse(text).expect_err("this must not be taken")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The text of a key file; created once per origin, because creation syncs the disk.
fn key(origin: &'static str) -> String {
    static KEYS: Mutex<BTreeMap<&str, String>> = Mutex::new(BTreeMap::new());
    let mut keys = KEYS.lock().unwrap();
    let make = || {
        let name = format!("lychgate-config-{}-{origin}.key", std::process::id());
        let path = std::env::temp_dir().join(name.replace('/', "-"));
        keygen(origin, &path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        text
    };
    keys.entry(origin).or_insert_with(make).clone()
}

/// The reference with one text replaced.
fn edited(from: &str, to: &str) -> String {
    assert_eq!(REFERENCE.matches(from).count(), 1, "{from}");
    REFERENCE.replace(from, to)
}

/// Asserts that the config has exactly one problem, and that its text contains all of these.
#[track_caller]
fn assert_one(text: &str, wanted: &[&str]) {
    let problems = Folder::new().refused(text);
    assert_eq!(problems.count, 1, "{}", problems.rendered);
    for part in wanted {
        let shown = &problems.rendered;
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
}

#[test]
fn the_reference_loads() {
    let folder = Folder::new();
    std::fs::write(folder.config(), REFERENCE).unwrap();
    let config = Config::load(&folder.config()).unwrap_or_else(|p| panic!("{}", p.rendered));
    assert_eq!(config.audit.key_file, folder.0.join("audit.key"));
    assert_eq!(config.audit.seen_file, folder.0.join("audit.key.seen"));
    assert_eq!(config.limits.max_deletions, 1024);
    assert_eq!(config.path, folder.config());
}

#[test]
fn the_reference_states_the_true_defaults() {
    let folder = Folder::new();
    let least = folder
        .parse(LEAST)
        .unwrap_or_else(|p| panic!("{}", p.rendered));
    let reference = folder.parse(REFERENCE).unwrap();
    let without_hash = |config: &Config| {
        let text = config.redacted();
        text.split_once('\n').unwrap().1.to_owned()
    };
    assert_eq!(without_hash(&least), without_hash(&reference));
    assert_ne!(least.hash, reference.hash);
}

#[test]
fn the_reference_has_every_key_in_its_section() {
    let findings = Findings::default();
    read(REFERENCE, Path::new("lychgate.toml"), &findings);
    let shown = reference_keys();
    for key in findings.reading.known.take() {
        let section = key.split('.').next().unwrap_or_default();
        let is_section = [
            "listen",
            "admin",
            "limits",
            "issuer",
            "domains",
            "domains.accounts",
        ]
        .contains(&key.as_str())
            || key == section;
        assert!(
            is_section || shown.contains(&key),
            "{key} is not in the reference"
        );
    }
}

#[test]
fn every_key_of_the_reference_is_known() {
    let text: String = REFERENCE
        .lines()
        .map(|line| commented(line).unwrap_or(line).to_owned() + "\n")
        .collect();
    let problems = Folder::new().refused(&text);
    assert!(
        !problems.rendered.contains("unknown key"),
        "{}",
        problems.rendered
    );
}

/// Every key of the reference as `section.key`, including those in comments.
fn reference_keys() -> Vec<String> {
    let mut section = String::new();
    let mut keys = Vec::new();
    for line in REFERENCE.lines() {
        let line = commented(line).unwrap_or(line);
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).to_owned();
        } else if let Some((key, _)) = line.split_once(" = ") {
            keys.push(format!("{section}.{key}"));
        }
    }
    keys
}

/// The `key = value` of a line that comments one out.
fn commented(line: &str) -> Option<&str> {
    let inner = line.strip_prefix("# ")?;
    let (key, _) = inner.split_once(" = ")?;
    let is_key = key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    is_key.then_some(inner)
}

#[test]
fn p12_a_file_with_eight_faults_gives_eight_findings() {
    let text = r#"[listen]
adress = "127.0.0.1:8080"
max_connections = "many"
[credentials]
mode = "none"
[audit]
directory = 7
orgin = "x"
origin = "a+b"
key_file = "audit.key"
[adit]
[[issuer]]
issuer = "i"
audience = ["lychgate"]
algorithms = ["ES256"]
jwks_file = "keys.json"
[domains.accounts]
"1-2" = "https://host"
"#;
    let problems = Folder::new().refused(text);
    let places: Vec<&str> = problems
        .rendered
        .lines()
        .filter_map(|line| line.trim().strip_prefix("--> "))
        .filter_map(|place| place.split_once("lychgate.toml:").map(|(_, at)| at))
        .collect();
    let wanted = [
        "1:1", "2:1", "3:19", "5:8", "7:13", "8:1", "9:10", "11:2", "18:1",
    ];
    assert_eq!(places, wanted, "{}", problems.rendered);
    assert_eq!(problems.count, 9);
    for hint in ["`address`?", "`origin`?", "`audit`?", "a whole number"] {
        assert!(problems.rendered.contains(hint), "{}", problems.rendered);
    }
}

#[test]
fn p12_a_syntax_error_hides_the_problems_after_it() {
    let text = "[listen]\nadress = \"127.0.0.1:1\"\n[audit\nhead = \"x\"\n[limits]\nmax = 1\n";
    let problems = Folder::new().refused(text);
    let shown = &problems.rendered;
    assert!(shown.contains("lychgate.toml:2:1"), "{shown}");
    assert!(shown.contains("lychgate.toml:3:7"), "{shown}");
    assert!(!shown.contains("limits.max"), "{shown}");
}

#[test]
fn an_empty_file_lists_the_sections_to_add() {
    let problems = Folder::new().refused("");
    for section in ["[listen]", "[[issuer]]", "[domains.accounts]", "[audit]"] {
        assert!(problems.rendered.contains(section), "{}", problems.rendered);
    }
    assert!(!problems.unreadable);
}

#[test]
fn a_section_that_is_not_a_table_is_a_problem() {
    let text = edited("[log]\n", "[log2]\n") + "[[upstream.x]]\n";
    assert!(
        Folder::new()
            .refused(&text)
            .rendered
            .contains("unknown key `log2`")
    );
    let problems = Folder::new().refused("listen = 1\nissuer = [1]\n");
    assert!(problems.rendered.contains("`listen` must be a table"));
    assert!(
        problems.rendered.contains("toml:2:11"),
        "{}",
        problems.rendered
    );
}

#[test]
fn the_hash_changes_with_every_byte_of_the_file() {
    let folder = Folder::new();
    let one = folder.parse(LEAST).unwrap();
    let two = folder.parse(&format!("{LEAST} ")).unwrap();
    assert_ne!(one.hash, two.hash);
    assert_eq!(one.hash, folder.parse(LEAST).unwrap().hash);
    assert_eq!(one.hash.len(), 64);
    assert_eq!(one.contract_hashes.len(), 1);
}

#[test]
fn p8_a_config_shows_no_secret() {
    let folder = Folder::new();
    let text = edited(
        "# token_file = \"admin.token\"",
        "token_file = \"admin.token\"",
    )
    .replace(
        "jwks_file = \"keys.json\"",
        "jwks_url = \"https://login.example.com/keys?s3cr3t\"",
    )
    .replace(
        "mode = \"strip\"",
        "mode = \"bearer\"\ntoken_file = \"upstream.token\"",
    );
    let config = folder
        .parse(&text)
        .unwrap_or_else(|p| panic!("{}", p.rendered));
    let shown = format!("{config:?}{}", config.redacted());
    for secret in ["s3cr3t", "adm1n-t0ken", "upstre4m-t0ken", "PRIVATE"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("upstream.token"));
}
