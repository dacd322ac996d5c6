//! The exit code of a config's problems, and how they look on a terminal.

use super::*;

fn code(unreadable: bool) -> Exit {
    let rendered = "lychgate.toml:3:1: unknown key".to_string();
    let problems = Problems {
        rendered,
        count: 1,
        unreadable,
        ..Problems::default()
    };
    match stop(problems) {
        Stop::Rendered(exit, text) => {
            assert_eq!(text, "lychgate.toml:3:1: unknown key");
            exit
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn p12_an_invalid_config_is_78_and_an_unreadable_one_74() {
    assert_eq!(code(false), Exit::Config);
    assert_eq!(code(true), Exit::Io);
}

/// The golden file is the screen of a terminal of 80 columns.
#[test]
fn p12_three_errors_fit_80_columns() {
    let text = include_str!("../../../config/lychgate.toml")
        .replace("level = \"info\"", "level = info")
        .replace("max_connections = 10000", "max_connections = \"10000\"")
        .replace("reconcile = \"never\"", "reconcile = \"on_start\"");
    let path = Path::new("lychgate.toml");
    let folder = crate::audit::test_folder("check");
    let named = folder.path().join(path);
    std::fs::write(&named, text).unwrap();
    let problems = Config::load_static(&named).unwrap_err();
    let shown = folder.path().join("").display().to_string();
    let screen = fold(&problems.rendered.replace(&shown, ""));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/check.txt");
    assert!(
        screen.lines().all(|line| line.chars().count() <= 80),
        "{screen}"
    );
    let wanted = std::fs::read_to_string(golden).unwrap();
    assert_eq!(screen.trim_end(), wanted.trim_end(), "\n{screen}");
}
