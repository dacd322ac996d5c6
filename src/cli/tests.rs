//! Tests of the command line.

use clap::{Command, CommandFactory as _};

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
    fn all(command: &Command, path: &str) {
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

/// Every command and subcommand, as the program builds it.
fn commands() -> Vec<Command> {
    fn add(command: &Command, all: &mut Vec<Command>) {
        all.push(command.clone());
        for verb in command.get_subcommands() {
            add(verb, all);
        }
    }
    let mut root = CommandLine::command();
    root.build();
    let mut all = Vec::new();
    add(&root, &mut all);
    all
}

#[test]
fn help_and_usage_fit_80_columns() {
    for mut command in commands() {
        let pages = [
            command.render_help(),
            command.render_long_help(),
            command.render_usage(),
        ];
        for page in pages.map(|page| page.to_string()) {
            let long = page.lines().find(|line| line.chars().count() > 80);
            assert_eq!(long, None, "{page}");
        }
    }
}

#[test]
fn help_prints_examples_as_they_stand() {
    for mut command in commands() {
        let examples = command.get_after_help().map(ToString::to_string);
        let page = command.render_help().to_string();
        assert!(page.contains(&examples.unwrap_or_default()), "{page}");
    }
}

/// A usage that was broken into lines by hand must say what the arguments say.
#[test]
fn each_usage_is_that_of_the_arguments() {
    let words = |mut command: Command| {
        let usage = command.render_usage().to_string();
        usage
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for command in commands() {
        let own = command.clone().override_usage(None::<&'static str>);
        assert_eq!(words(command), words(own));
    }
}

#[test]
fn every_example_of_every_help_parses() {
    let mut count = 0;
    for mut command in commands() {
        let page = command.render_help().to_string();
        let lines = page.replace("\\\n", " ");
        let examples = lines
            .lines()
            .skip_while(|line| !line.starts_with("Examples:"));
        for example in examples.filter(|line| line.starts_with("  ")) {
            count += 1;
            let commands = shell_words(example);
            assert_eq!(commands[0][0], "lychgate", "{example}");
            for words in commands.iter().filter(|words| words[0] == "lychgate") {
                let parsed = CommandLine::try_parse_from(words);
                assert!(parsed.is_ok(), "{example}\n{}", parsed.unwrap_err());
            }
        }
    }
    assert!(count > 25, "{count} examples");
}

/// Splits a line into commands and words as a shell does, and drops redirections to a file.
fn shell_words(line: &str) -> Vec<Vec<String>> {
    let mut commands: Vec<Vec<String>> = vec![Vec::new()];
    let (mut word, mut quote) = (None::<String>, None);
    for c in line.chars().chain([' ']) {
        match quote {
            Some(end) if c == end => quote = None,
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() || "|&;".contains(c) => {
                let words = commands.last_mut().unwrap();
                words.extend(word.take());
                if !c.is_whitespace() && !words.is_empty() {
                    commands.push(Vec::new());
                }
            }
            _ => {
                assert!(
                    !"$`\\".contains(c),
                    "this splitter does not know {c}: {line}"
                );
                word.get_or_insert_default().push(c);
            }
        }
    }
    assert_eq!(quote, None, "{line}");
    for words in &mut commands {
        while let Some(at) = words.iter().position(|word| word == ">") {
            words.drain(at..at + 2);
        }
    }
    commands
}

#[test]
fn a_line_is_split_as_a_shell_splits_it() {
    let line = "  a 'b c' \"d'\"e  > f && g | h";
    let commands = shell_words(line);
    assert_eq!(commands, [vec!["a", "b c", "d'e"], vec!["g"], vec!["h"]]);
}
