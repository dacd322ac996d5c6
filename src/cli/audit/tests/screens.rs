//! The screens of `show` and `verify` on a terminal of 80 columns, as golden files.

use super::prove::line;
use super::*;
use crate::audit::read::query::tests::part;
use crate::audit::read::verify::sample::{long, split, write_log};

fn compare(name: &str, screen: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let wanted = std::fs::read_to_string(golden.join(name)).unwrap_or_default();
    assert_narrow(screen);
    assert_eq!(screen, wanted, "{name}:\n{screen}");
}

fn assert_narrow(screen: &str) {
    let is_narrow = |line: &str| line.chars().count() <= 80 && line.trim_end() == line;
    assert!(screen.lines().all(is_narrow), "{screen}");
}

#[test]
fn show_prints_who_what_result_and_the_receipt_first() {
    let folder = test_folder("cli");
    write_log(folder.path(), &long(300), &[300]);
    let (_, closed) = audit(folder.path(), &["show", "lychgate.test/log/257"]);
    let (_, refused) = sample(|_| {}, &["show", "c"]);
    compare("show.txt", &format!("{closed}\n{refused}"));
}

#[test]
fn verify_prints_the_counts_then_the_answer() {
    let folder = test_folder("cli");
    write_log(folder.path(), &long(300), &[300]);
    let (_, screen) = audit(folder.path(), &["verify"]);
    compare("verify.txt", &screen);
}

#[test]
fn p5_verify_prints_what_a_proof_proves() {
    let folder = test_folder("cli");
    write_log(folder.path(), &long(300), &[300]);
    let path = folder.path().join("a.tlog-proof");
    let file = path.to_str().unwrap();
    let words = ["prove", "lychgate.test/log/257", "--out", file];
    assert_eq!(audit(folder.path(), &words).0, Ok(Exit::Fine));
    let key = test_key().verifier().to_string();
    let (_, screen) = line(&["verify", "--proof", file, "--key", &key]);
    let screen = anstream::adapter::strip_str(&screen).to_string();
    compare("verify-proof.txt", &screen);
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
