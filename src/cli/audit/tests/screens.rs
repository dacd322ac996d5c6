//! The screen of `show` with long and hostile values. `tests/suite/screens.rs` has the golden screens.

use super::*;
use crate::audit::read::query::tests::part;
use crate::audit::read::verify::sample::{split, write_log};

fn assert_narrow(screen: &str) {
    let is_narrow = |line: &str| line.chars().count() <= 80 && line.trim_end() == line;
    assert!(screen.lines().all(is_narrow), "{screen}");
}

#[test]
fn no_value_is_cut_and_every_line_is_narrow() {
    let folder = test_folder("cli");
    let entries = split(2, 2_100);
    write_log(folder.path(), &entries, &[3]);
    let (_, screen) = audit(folder.path(), &["show", "0"]);
    assert_narrow(&screen);
    for user in 0..2_100 {
        let user = (10_u64.pow(18) + user).to_string();
        assert_eq!(screen.matches(&user).count(), 2, "{user}");
    }
    let mut wide = part("b", &["1"], 1, 1);
    wide.caller.subject = "x".repeat(256);
    wide.if_match = Some("\u{1b}".repeat(100));
    let (_, screen) = sample(
        |path| write(path, &[bytes(0, Kind::Intent(wide))]),
        &["show", "0"],
    );
    assert_narrow(&screen);
    let whole: String = screen.split_whitespace().collect();
    assert!(whole.contains(&"x".repeat(256)), "{screen}");
    assert!(whole.contains(&r"\u{1b}".repeat(100)), "{screen}");
}
