//! Files that the config names: missing, wrong or hostile. The output never contains their content.

use super::*;

/// Asserts that a file of this name and text is refused, and that the output contains no line of
/// it.
#[track_caller]
fn assert_file(name: &str, text: &str, config: &str, said: &str) {
    let folder = Folder::new();
    folder.write(name, text);
    let problems = folder.refused(config);
    assert_eq!(problems.count, 1, "{}", problems.rendered);
    assert!(problems.rendered.contains(said), "{}", problems.rendered);
    assert!(
        !problems.rendered.contains("s3cr3t"),
        "{}",
        problems.rendered
    );
}

#[test]
fn p8_an_invalid_key_file_is_not_printed() {
    assert_file("audit.key", "s3cr3t", REFERENCE, "holds no usable key");
}

#[test]
fn a_key_set_is_checked() {
    assert_file("keys.json", "s3cr3t", REFERENCE, "is not a JWK set");
    assert_file("keys.json", "{\"keys\": []}", REFERENCE, "holds no key");
}

#[test]
fn p8_an_invalid_token_file_is_not_printed() {
    let admin = edited("# token_file = \"admin", "token_file = \"admin");
    for text in [
        "",
        " \n",
        "s3cr3t with spaces",
        "s3cr3t\nand more",
        "s3cr3t\u{fc}",
    ] {
        assert_file("admin.token", text, &admin, "holds no token");
    }
    let long = "s3cr3t".repeat(10_000);
    assert_file("admin.token", &long, &admin, "holds no token");
}

#[test]
fn a_roots_file_must_hold_certificates() {
    let roots = edited("# roots_file", "roots_file");
    assert!(Folder::new().parse(&roots).is_ok());
    assert_file(
        "roots.pem",
        "-----BEGIN s3cr3t",
        &roots,
        "holds no certificate",
    );
}

#[test]
fn a_folder_or_a_long_file_is_refused() {
    let directory = edited("jwks_file = \"keys.json\"", "jwks_file = \".\"");
    assert_one(&directory, &["is not a regular file"]);
    assert_file(
        "keys.json",
        &" ".repeat((1 << 20) + 1),
        REFERENCE,
        "longer than 1 MiB",
    );
    assert_one(
        &edited("jwks_file = \"keys.json\"", "jwks_file = \"\""),
        &["is not a path"],
    );
}

#[test]
fn a_config_that_cannot_be_read_is_unreadable() {
    let folder = Folder::new();
    let problems = Config::load(&folder.config()).unwrap_err();
    assert!(problems.unreadable);
    assert!(
        problems.rendered.contains("lychgate.toml cannot be read"),
        "{}",
        problems.rendered
    );
    assert!(Config::load(&folder.0).unwrap_err().unreadable);
}

#[test]
fn p12_invalid_utf_8_has_a_position() {
    let folder = Folder::new();
    std::fs::write(folder.config(), b"[listen]\naddress = \"\xff\"\n").unwrap();
    let problems = Config::load(&folder.config()).unwrap_err();
    assert!(
        problems.rendered.contains("lychgate.toml:2:12"),
        "{}",
        problems.rendered
    );
    assert!(!problems.unreadable);
}

#[test]
fn p12_a_problem_of_a_contract_file_has_its_position_there() {
    let folder = Folder::new();
    folder.write("mine.toml", "name = \"mine\"\n\nnonsense = 1\n");
    let config = edited("files = []", "files = [\"mine.toml\"]");
    let shown = folder.refused(&config).rendered;
    assert!(shown.contains("mine.toml:3:1"), "{shown}");
    assert_one(
        &edited("files = []", "files = [\"none.toml\"]"),
        &["cannot be read"],
    );
}

#[test]
fn a_copy_of_the_built_in_contract_needs_builtin_off() {
    let folder = Folder::new();
    folder.write(
        "copy.toml",
        &Contracts::new(vec![crate::contract::Contract::builtin()])
            .unwrap()
            .all()[0]
            .source,
    );
    let both = edited("files = []", "files = [\"copy.toml\"]");
    let shown = folder.refused(&both).rendered;
    assert!(shown.contains("builtin = false"), "{shown}");
    let one = both.replace("builtin = true", "builtin = false");
    let config = folder
        .parse(&one)
        .unwrap_or_else(|p| panic!("{}", p.rendered));
    assert_eq!(config.contracts.all().len(), 1);
}

#[test]
fn p12_a_contract_without_a_deletion_is_refused() {
    let folder = Folder::new();
    let deletion = "effect              = \"delete\"\n";
    let builtin = crate::contract::Contract::builtin().source;
    assert_eq!(builtin.matches(deletion).count(), 2);
    let off = builtin.replace(
        deletion,
        &format!("{deletion}on = false\nreason = \"not here\"\n"),
    );
    folder.write("reads.toml", &off);
    let config = edited("files = []", "files = [\"reads.toml\"]");
    let alone = config.replace("builtin = true", "builtin = false");
    let shown = folder.refused(&alone).rendered;
    assert!(shown.contains("lets no deletion pass"), "{shown}");
}
