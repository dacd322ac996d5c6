//! Tests of the command line.

use clap::CommandFactory as _;

use super::*;

fn parse(line: &str) -> Result<CommandLine, clap::Error> {
    CommandLine::try_parse_from(line.split_whitespace())
}

#[test]
fn the_command_line_definition_is_valid() {
    CommandLine::command().debug_assert();
}

#[test]
fn every_verb_has_help_with_examples() {
    fn all(command: &clap::Command, path: &str) {
        for verb in command.get_subcommands() {
            let path = format!("{path} {}", verb.get_name());
            if verb.has_subcommands() {
                all(verb, &path);
            } else if !path.starts_with("lychgate token") {
                let help = verb.get_after_help().map(ToString::to_string);
                assert!(
                    help.is_some_and(|help| help.contains(&path)),
                    "`{path}` has no example"
                );
            }
        }
    }
    all(&CommandLine::command(), "lychgate");
}

#[test]
fn an_invalid_command_line_is_a_usage_error() {
    for line in [
        "lychgate",
        "lychgate sing",
        "lychgate run",
        "lychgate check --config",
        "lychgate audit list",
        "lychgate audit list --dir a --config b",
        "lychgate audit list --dir a --limit 0",
        "lychgate audit list --dir a --outcome lost",
        "lychgate audit list --dir a --since yesterday",
        "lychgate audit show --dir a",
        "lychgate audit verify --dir a --receipt o/1",
        "lychgate audit verify --dir a --leaf x",
        "lychgate audit verify --dir a --key no+key",
        "lychgate audit list --dir a --key no+key",
        "lychgate audit list --dir a --json --wide",
        "lychgate audit keygen --origin a+b --out k",
        "lychgate audit keygen --origin a",
    ] {
        let error = parse(line).expect_err(line);
        assert!(error.use_stderr() || line == "lychgate", "{line}");
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    for line in [
        "lychgate --version",
        "lychgate --help",
        "lychgate audit list --help",
    ] {
        assert!(!parse(line).expect_err(line).use_stderr(), "{line}");
    }
}

#[test]
fn the_documented_lines_parse() {
    for line in [
        "lychgate run --config c",
        "lychgate check --config c",
        "lychgate audit list --dir d --json --limit 5 --account 1 --user 2 --caller x --code y",
        "lychgate audit list --config c --outcome not_found --operation users.delete",
        "lychgate audit list --config c --since 2026-11-24T00:00:00Z --until 2026-11-25T00:00:00Z",
        "lychgate audit show o/1 --dir d",
        "lychgate audit verify --config c --json",
        "lychgate audit verify --dir d --key-file k --receipt o/1 --leaf a --signature b",
        "lychgate audit keygen --origin a/b --out k",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
}
