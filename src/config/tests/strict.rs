//! P13, strict by default: each test is one lax setting and the problem that it causes.

use super::*;

/// The position of a line of the reference.
fn at(line: &str) -> String {
    let number = REFERENCE.lines().position(|one| one == line).unwrap() + 1;
    format!("lychgate.toml:{number}:1")
}

#[test]
fn p13_no_audience_is_an_error() {
    assert_one(
        &edited("audience = [\"lychgate\"]\n", ""),
        &["`issuer.audience` is missing", &at("[[issuer]]")],
    );
}

#[test]
fn p13_an_empty_audience_is_an_error() {
    assert_one(
        &edited("audience = [\"lychgate\"]", "audience = []"),
        &["accept tokens for any audience"],
    );
    assert_one(
        &edited("audience = [\"lychgate\"]", "audience = [\"\"]"),
        &["empty or overlong name"],
    );
}

#[test]
fn p13_an_audience_is_a_list() {
    assert_one(
        &edited("audience = [\"lychgate\"]", "audience = \"lychgate\""),
        &["must be a list of strings", "[\"a\", \"b\"]"],
    );
}

#[test]
fn p13_no_algorithm_list_is_an_error() {
    assert_one(
        &edited("algorithms = [\"ES256\"]\n", ""),
        &["`issuer.algorithms` is missing"],
    );
    assert_one(
        &edited("algorithms = [\"ES256\"]", "algorithms = []"),
        &["no token could ever be verified"],
    );
}

#[test]
fn p13_none_is_an_error_in_any_case() {
    for none in ["none", "None", "NONE"] {
        assert_one(
            &edited("[\"ES256\"]", &format!("[\"ES256\", \"{none}\"]")),
            &["anyone could forge such a token"],
        );
    }
}

#[test]
fn p13_a_symmetric_algorithm_is_an_error() {
    for name in ["HS256", "HS384", "HS512", "hs256"] {
        assert_one(
            &edited("[\"ES256\"]", &format!("[\"{name}\"]")),
            &["symmetric algorithm", "can also forge it"],
        );
    }
}

#[test]
fn p13_an_algorithm_is_named_exactly_and_once() {
    assert_one(
        &edited("[\"ES256\"]", "[\"es256\"]"),
        &["wrong case", "known: RS256"],
    );
    assert_one(&edited("[\"ES256\"]", "[\"ES512\"]"), &["not known here"]);
    assert_one(&edited("[\"ES256\"]", "[\"ES256\", \"ES256\"]"), &["twice"]);
}

#[test]
fn p13_an_unknown_key_is_an_error_in_every_section() {
    for section in [
        "listen",
        "admin",
        "limits",
        "domains",
        "credentials",
        "upstream",
        "audit",
        "contract",
        "log",
    ] {
        let header = format!("\n[{section}]\n");
        assert_one(
            &edited(&header, &format!("{header}zzzzzz = 1\n")),
            &[&format!("unknown key `{section}.zzzzzz`"), "known here: "],
        );
    }
    assert_one(
        &format!("zzzzzz = 1\n{REFERENCE}"),
        &["unknown key `zzzzzz`"],
    );
    assert_one(
        &edited("leeway = ", "zzzzzz = "),
        &["unknown key `issuer.zzzzzz`"],
    );
}

#[test]
fn p13_a_key_of_an_unbuilt_feature_is_unknown() {
    for text in [
        "[deletions]\n",
        "[domains.lookup]\nurl = \"https://api.liveperson.net\"\n",
    ] {
        assert_one(&format!("{REFERENCE}{text}"), &["unknown key"]);
    }
}

#[test]
fn a_misspelled_key_has_the_right_one_as_hint() {
    assert_one(
        &edited("drain_timeout", "drain_timeuot"),
        &["did you mean `drain_timeout`?"],
    );
    assert_one(
        &edited("[credentials]", "[credential]"),
        &["did you mean `credentials`?"],
    );
}

#[test]
fn keys_have_exactly_one_source() {
    assert_one(
        &edited("# jwks_url", "jwks_url"),
        &["`issuer.jwks_url` is set as well as jwks_file"],
    );
    assert_one(
        &edited("jwks_file = \"keys.json\"\n", ""),
        &["or `jwks_url` is missing"],
    );
}

#[test]
fn two_sections_of_one_issuer_are_an_error() {
    let section = LEAST.split("[[issuer]]").nth(1).unwrap();
    let section = section.split("[domains").next().unwrap();
    assert_one(
        &format!("{REFERENCE}\n[[issuer]]{section}"),
        &["`issuer.issuer` appears in two sections"],
    );
}

#[test]
fn http_beyond_loopback_needs_plaintext_beside_it() {
    let upstream = edited(
        "https://va.ac.liveperson.net",
        "http://va.ac.liveperson.net",
    );
    assert_one(&upstream, &["http beyond loopback", "plaintext = true"]);
    let allowed = upstream.replace("[domains]\n", "[domains]\n# ").replace(
        "[domains]\n# # Allows http origins",
        "[domains]\nplaintext = true # Allows http origins",
    );
    let allowed = allowed.replacen("open.\nplaintext = false", "open.", 1);
    assert!(
        Folder::new().parse(&allowed).is_ok(),
        "{}",
        Folder::new().refused(&allowed).rendered
    );

    let keys = edited(
        "jwks_file = \"keys.json\"",
        "jwks_url = \"http://keys.example/keys\"",
    );
    assert_one(&keys, &["`issuer.jwks_url` is http beyond loopback"]);
    let allowed = keys.replacen("plaintext = false", "plaintext = true", 1);
    assert!(Folder::new().parse(&allowed).is_ok());
}

#[test]
fn an_admin_listener_beyond_loopback_needs_a_token() {
    let open = edited("127.0.0.1:9080", "0.0.0.0:9080");
    assert_one(&open, &["`admin.token_file` is missing"]);
    let guarded = open.replace("# token_file = \"admin", "token_file = \"admin");
    assert!(Folder::new().parse(&guarded).is_ok());
    assert_one(
        &edited("127.0.0.1:9080", "127.0.0.1:8080"),
        &["same as `listen.address`"],
    );
    for (listen, admin) in [
        ("0.0.0.0:8080", "127.0.0.1:8080"),
        ("[::]:8080", "127.0.0.1:8080"),
    ] {
        let text = edited("127.0.0.1:8080", listen).replace("127.0.0.1:9080", admin);
        assert_one(&text, &["takes the port of `listen.address`"]);
    }
    let apart = edited("127.0.0.1:9080", "[::1]:8080");
    assert!(Folder::new().parse(&apart).is_ok());
}

#[test]
fn credentials_have_a_token_file_exactly_if_they_use_it() {
    assert_one(
        &edited("mode = \"strip\"", "mode = \"bearer\""),
        &["`credentials.token_file` is missing"],
    );
    assert_one(
        &edited("# token_file = \"upstream", "token_file = \"upstream"),
        &["has no effect with mode \"strip\""],
    );
    let bearer = edited("mode = \"strip\"", "mode = \"bearer\"")
        .replace("# token_file = \"upstream", "token_file = \"upstream");
    assert!(Folder::new().parse(&bearer).is_ok());
}

#[test]
fn p12_reading_users_back_at_the_start_needs_a_token() {
    let when = "reconcile = \"never\"";
    assert_one(
        &edited(when, "reconcile = \"on_start\""),
        &["`audit.reconcile_token_file` is missing"],
    );
    assert_one(
        &edited(when, "reconcile = \"always\""),
        &["`audit.reconcile` must be one of never, on_start"],
    );
    let bearer = edited("mode = \"strip\"", "mode = \"bearer\"")
        .replace("# token_file = \"upstream", "token_file = \"upstream")
        .replace(when, "reconcile = \"on_start\"");
    let config = Folder::new().parse(&bearer).unwrap();
    assert!(
        config
            .reconcile_token_file()
            .unwrap()
            .ends_with("upstream.token")
    );
    let own = bearer.replace("# reconcile_token_file", "reconcile_token_file");
    let folder = Folder::new();
    folder.write("reconcile.token", "re4ds-back");
    let config = folder.parse(&own).unwrap();
    assert!(
        config
            .reconcile_token_file()
            .unwrap()
            .ends_with("reconcile.token")
    );
    folder.write("reconcile.token", "s3cr3t with spaces");
    let shown = folder.refused(&own).rendered;
    assert!(
        shown.contains("holds no token") && !shown.contains("s3cr3t"),
        "{shown}"
    );
}

#[test]
fn an_origin_is_visible_ascii_and_not_the_receipts_name() {
    let long = "x".repeat(256);
    for (origin, said) in [
        ("a+b", "must not contain `+`"),
        ("a b", "must not contain ` `"),
        ("ä", "must not contain `ä`"),
        ("", "1 to 255 bytes"),
        (long.as_str(), "1 to 255 bytes"),
        ("lychgate-receipt", "must not be `lychgate-receipt`"),
    ] {
        assert_one(&edited(ORIGIN, origin), &["`audit.origin`", said]);
    }
}

#[test]
fn accounts_are_letters_digits_and_underscores() {
    let long = "1".repeat(21);
    for account in ["1-2", "", "ü", long.as_str()] {
        assert_one(
            &edited("\"12345678\"", &format!("\"{account}\"")),
            &["is not an account id"],
        );
    }
    assert_one(
        &edited("\"12345678\" = \"https://va.ac.liveperson.net\"", ""),
        &["no account could be served"],
    );
}

#[test]
fn p4_a_seen_file_in_the_trails_folder_is_refused() {
    for (from, to, said) in [
        (
            "# seen_file = \"audit.key.seen\"",
            "seen_file = \"audit/seen\"",
            "lies in the trail's folder",
        ),
        ("heartbeat = \"1h\"", "heartbeat = \"2d\"", "from 1s to 1d"),
    ] {
        assert_one(&edited(from, to), &[said]);
    }
}

#[test]
fn numbers_sizes_and_durations_have_ranges_and_units() {
    for (from, to, said) in [
        (
            "max_deletions = 1024",
            "max_deletions = 0",
            "from 1 to 65536",
        ),
        (
            "max_deletions = 1024",
            "max_deletions = -1",
            "must be a whole number",
        ),
        (
            "max_uri_bytes = \"16KiB\"",
            "max_uri_bytes = \"1MiB\"",
            "from 256B to 60KiB",
        ),
        (
            "max_uri_bytes = \"16KiB\"",
            "max_uri_bytes = \"16kb\"",
            "must be a size",
        ),
        (
            "sync_timeout = \"2s\"",
            "sync_timeout = \"0s\"",
            "from 10ms to 1m",
        ),
        (
            "sync_timeout = \"2s\"",
            "sync_timeout = 2",
            "must be a duration",
        ),
        (
            "segment_bytes = \"8MiB\"",
            "segment_bytes = 3000001",
            "not whole blocks",
        ),
        (
            "head_timeout = \"30s\"\n# Time for the whole",
            "head_timeout = \"2m\"\n# Time for the whole",
            "longer than total_timeout",
        ),
        ("level = \"info\"", "level = \"loud\"", "error, warn, info"),
        (
            "format = \"auto\"",
            "format = \"xml\"",
            "auto, pretty, json",
        ),
        ("files = []", "files = [1]", "list of strings"),
        ("builtin = true", "builtin = false", "no contract at all"),
        ("builtin = true", "builtin = 1", "true or false"),
        (
            "# hosts = [\"gate",
            "hosts = [\"a b\", \"gate",
            "not host[:port]",
        ),
        (
            "\"127.0.0.1:8080\"",
            "\"localhost:8080\"",
            "an IP address and a port",
        ),
    ] {
        assert_one(&edited(from, to), &[said]);
    }
    let plain = edited("max_uri_bytes = \"16KiB\"", "max_uri_bytes = 0x2000");
    assert_eq!(
        Folder::new().parse(&plain).unwrap().limits.max_uri_bytes,
        8192
    );
}

#[test]
fn the_lower_level_of_free_space_is_not_above_the_higher() {
    let bad = edited("free_space_low = \"256MiB\"", "free_space_low = \"2GiB\"");
    assert_one(&bad, &["more than free_space_warn"]);
    let never = edited("free_space_low = \"256MiB\"", "free_space_low = 0");
    assert_eq!(Folder::new().parse(&never).unwrap().audit.space.low, 0);
}
