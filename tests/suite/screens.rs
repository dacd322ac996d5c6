//! The screens of the reading commands and of every `--help`, as files in `tests/golden`. A pipe and
//! a terminal of 80 columns get the same text.
//!
//! To write the files anew: `LYCHGATE_WRITE_GOLDEN=1 cargo test --test tests -- screens`

use std::path::{Path, PathBuf};
use std::process::Output;

use super::old_trail::{SECOND, unpacked};
use super::users::Users;
use crate::support::trail::lychgate;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

/// A file's name and the command, which runs beside the folder `audit` of the archive in
/// `tests/trails` and the file `verifier.txt`.
const SCREENS: [(&str, &str); 8] = [
    ("list", "audit list --dir audit"),
    ("list-wide", "audit list --dir audit --wide"),
    ("show", "audit show 14 --dir audit"),
    ("show-refused", "audit show 24 --dir audit"),
    ("tail", "audit tail --dir audit --limit 5"),
    ("unresolved", "audit unresolved --dir audit"),
    ("verify", "audit verify --dir audit --key verifier.txt"),
    (
        "verify-proof",
        "audit verify --proof a.tlog-proof --key verifier.txt",
    ),
];

#[test]
fn the_reading_commands_show_their_golden_screens() {
    let users = Users::start();
    let home = unpacked(&SECOND, &users);
    std::fs::write(home.path("verifier.txt"), SECOND.verifier()).unwrap();
    run(
        &home.path(""),
        "audit prove 15 --dir audit --out a.tlog-proof",
    );
    for (name, command) in SCREENS {
        let screen = run(&home.path(""), command);
        assert!(is_narrow(&screen) || name == "list-wide", "{screen}");
        compare(&format!("audit/{name}.txt"), &screen);
    }
    let all = SCREENS.map(|(name, _)| format!("audit/{name}.txt"));
    assert_no_other("audit", &all);
}

#[test]
fn every_help_is_its_golden_screen() {
    let mut commands = vec![String::new()];
    let mut names = Vec::new();
    while let Some(command) = commands.pop() {
        let page = run(Path::new("."), format!("{command} --help").trim_start());
        let below = verbs(&page).map(|verb| format!("{command} {verb}").trim_start().to_owned());
        commands.extend(below);
        assert!(is_narrow(&page), "{page}");
        let name = match command.is_empty() {
            true => "lychgate".to_owned(),
            false => command.replace(' ', "-"),
        };
        names.push(format!("help/{name}.txt"));
        compare(&format!("help/{name}.txt"), &page);
    }
    assert!(names.len() > 10, "{names:?}");
    assert_no_other("help", &names);
}

/// The command line and its output, messages last, without spaces at the ends of lines.
fn run(directory: &Path, command: &str) -> String {
    let mut line = lychgate();
    line.args(command.split(' ')).current_dir(directory);
    let Output { stdout, stderr, .. } = line.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let screen = format!("$ lychgate {command}\n{}{}", text(stdout), text(stderr));
    screen
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

/// The subcommands that a help page lists.
fn verbs(page: &str) -> impl Iterator<Item = &str> {
    let lines = page.lines().skip_while(|line| *line != "Commands:");
    let lines = lines.skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help")
}

fn is_narrow(screen: &str) -> bool {
    screen.lines().all(|line| line.chars().count() <= 80)
}

/// Compares a screen with its file, or writes the file.
fn compare(name: &str, screen: &str) {
    let path = PathBuf::from(GOLDEN).join(name);
    if is_writing() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        return std::fs::write(path, screen).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(screen, golden, "left: the screen; right: {name}");
}

/// Asserts that the folder has no file of a screen that is gone.
fn assert_no_other(folder: &str, names: &[String]) {
    for file in std::fs::read_dir(PathBuf::from(GOLDEN).join(folder)).unwrap() {
        let name = format!("{folder}/{}", file.unwrap().file_name().to_string_lossy());
        assert!(names.contains(&name), "no screen for tests/golden/{name}");
    }
}

fn is_writing() -> bool {
    std::env::var_os("LYCHGATE_WRITE_GOLDEN").is_some()
}
