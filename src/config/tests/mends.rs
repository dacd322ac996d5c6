//! P12: each problem names the likeliest mend and every place that the operator needs.

use super::*;

/// What a text says about a config: its problems, without the frames of the snippets.
fn told(text: &str) -> String {
    Folder::new().refused(text).rendered
}

#[test]
fn p12_a_bare_word_is_told_to_use_quotes() {
    for (from, bare) in [
        ("level = \"info\"", "level = info"),
        ("reconcile = \"never\"", "reconcile = never # one"),
        ("mode = \"strip\"", "mode = strip"),
        ("format = \"auto\"", "format = auto"),
        ("[\"ES256\"]", "[ES256]"),
        (
            "head_timeout = \"30s\"\n# Time for an idle",
            "head_timeout = 30s\n# Time for an idle",
        ),
        ("max_uri_bytes = \"16KiB\"", "max_uri_bytes = 16KiB"),
        ("\"127.0.0.1:8080\"", "127.0.0.1:8080"),
        (
            "\"https://va.ac.liveperson.net\"",
            "https://va.ac.liveperson.net",
        ),
    ] {
        let wanted = ["a text value needs quotes", "put quotes around it"];
        assert_one(&edited(from, bare), &wanted);
    }
    assert_one(
        &edited("builtin = true", "builtin = True"),
        &["lower case", "write true or false"],
    );
}

#[test]
fn p12_a_bare_word_hides_no_other_problem() {
    let text = edited("level = \"info\"", "level = info").replace("\"auto\"", "\"xml\"");
    let text = text.replace("drain_timeout", "drain_timeuot");
    let shown = told(&text);
    for said in [
        "needs quotes",
        "auto, pretty, json",
        "did you mean `drain_timeout`?",
        "3 problems",
    ] {
        assert!(shown.contains(said), "no {said:?} in\n{shown}");
    }
}

#[test]
fn p12_a_number_or_flag_in_quotes_is_told_to_drop_them() {
    for (from, quoted, mend) in [
        (
            "max_connections = 10000",
            "max_connections = \"10000\"",
            "max_connections = 10000",
        ),
        (
            "max_uri_bytes = \"16KiB\"",
            "max_uri_bytes = \"8192\"",
            "max_uri_bytes = 8192",
        ),
        ("builtin = true", "builtin = 'false'", "builtin = false"),
    ] {
        let mend = format!("drop the quotes: {mend}");
        assert_one(&edited(from, quoted), &[&mend]);
    }
}

#[test]
fn p12_a_duplicate_key_shows_the_first_place() {
    let line = |part: &str| {
        REFERENCE
            .lines()
            .position(|line| line.starts_with(part))
            .unwrap()
            + 1
    };
    let level = "level = \"info\"\n";
    let twice = edited(level, &format!("{level}{level}"));
    let first = format!(
        "`level` appears twice: the first is in line {}",
        line("level")
    );
    assert_one(&twice, &[&first, "keep one of the two"]);
    let account = "\"12345678\" = \"https://va.ac.liveperson.net\"\n";
    let twice = edited(account, &format!("{account}{account}"));
    let first = format!("the first is in line {}", line("\"12345678\""));
    assert_one(&twice, &[&first]);
    let headers = format!("{REFERENCE}\n[log]\n");
    let first = format!(
        "`log` appears twice: the first is in line {}",
        line("[log]")
    );
    assert_one(&headers, &[&first, "under one header"]);
}

#[test]
fn p12_a_duplicate_key_hides_no_other_problem() {
    let text = edited(
        "level = \"info\"",
        "level = \"info\"\nlevel = \"info\"\nzzzzzz = 1",
    );
    let shown = told(&text);
    assert!(shown.contains("unknown key `log.zzzzzz`"), "{shown}");
    assert!(shown.contains("2 problems"), "{shown}");
}

#[test]
fn p12_a_relative_path_is_shown_resolved() {
    let folder = Folder::new();
    for (from, to, file) in [
        (
            "jwks_file = \"keys.json\"",
            "jwks_file = \"no/keys.json\"",
            "no/keys.json",
        ),
        (
            "# token_file = \"admin.token",
            "token_file = \"../no.token",
            "../no.token",
        ),
        (
            "# roots_file = \"roots.pem",
            "roots_file = \"no.pem",
            "no.pem",
        ),
        (
            "key_file = \"audit.key\"",
            "key_file = \"no.key\"",
            "no.key",
        ),
        (
            "# seen_file = \"audit.key.seen",
            "seen_file = \"audit/seen",
            "audit/seen",
        ),
        ("files = []", "files = [\"no.toml\"]", "no.toml"),
    ] {
        let shown = folder.refused(&edited(from, to)).rendered;
        let whole = format!("names {}, which", folder.0.join(file).display());
        assert!(shown.contains(&whole), "no {whole:?} in\n{shown}");
    }
}

#[test]
fn p8_a_secret_in_the_place_of_a_path_is_not_shown() {
    let token = "eyJhbGciOiJFUzI1NiJ9.s3cr3t";
    let text = edited(
        "# token_file = \"admin.token",
        &format!("token_file = \"{token}"),
    );
    let shown = told(&text);
    assert!(
        shown.contains("names a file, which cannot be read"),
        "{shown}"
    );
    assert!(!shown.contains("s3cr3t"), "{shown}");
}

#[test]
fn p12_a_key_of_another_origin_names_both_and_the_mend() {
    const OTHER: &str = "other.example/edge";
    let folder = Folder::new();
    folder.write("audit.key", &key(OTHER));
    let both = format!("holds a key for `{OTHER}`, but `audit.origin` is `{ORIGIN}`");
    let mend = |of_folder: Option<&'static str>| {
        let _ = std::fs::create_dir(folder.0.join("audit"));
        if let Some(origin) = of_folder {
            let verifier = audit::log::key::Key::parse(&key(origin)).unwrap();
            folder.write("audit/verifier", &format!("{}\n", verifier.verifier()));
        }
        let shown = folder.refused(REFERENCE).rendered;
        assert!(shown.contains(&both), "{shown}");
        shown
    };
    let none = mend(None);
    assert!(
        none.contains(&format!("write origin = \"{OTHER}\", or make one with")),
        "{none}"
    );
    let of_key = mend(Some(OTHER));
    assert!(
        of_key.contains(&format!("write origin = \"{OTHER}\": that is the log")),
        "{of_key}"
    );
    let of_config = mend(Some(ORIGIN));
    assert!(
        of_config.contains(&format!("name the key of `{ORIGIN}`: that is the log")),
        "{of_config}"
    );
}

#[test]
fn p12_a_missing_key_has_a_command_to_paste() {
    let folder = Folder::new();
    std::fs::remove_file(folder.0.join("audit.key")).unwrap();
    let shown = folder.refused(REFERENCE).rendered;
    let path = folder.0.join("audit.key");
    let command = format!(
        "lychgate audit keygen --origin {ORIGIN} --out {}",
        path.display()
    );
    assert!(shown.contains(&command), "{shown}");
}

#[test]
fn p12_a_lost_key_of_a_log_is_not_made_anew() {
    let folder = Folder::new();
    std::fs::create_dir(folder.0.join("audit")).unwrap();
    let verifier = audit::log::key::Key::parse(&key(ORIGIN)).unwrap();
    folder.write("audit/verifier", &format!("{}\n", verifier.verifier()));
    std::fs::remove_file(folder.0.join("audit.key")).unwrap();
    let shown = folder.refused(REFERENCE).rendered;
    assert!(
        shown.contains("put the key of the trail's log back"),
        "{shown}"
    );
    assert!(!shown.contains("keygen"), "{shown}");
}
