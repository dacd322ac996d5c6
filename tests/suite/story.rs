//! `lychgate demo` runs to its end, and a shell can run the commands that it prints.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::folder::place;
use crate::support::trail::lychgate;

/// The rows of a full-screen terminal.
const SCREEN: usize = 50;
/// The last line for pasting.
const LAST: &str = "/readyz?verbose";

fn demo() -> Command {
    let mut command = lychgate();
    command.arg("demo").env("TMPDIR", place());
    command
}

#[test]
fn the_demo_succeeds_and_fits_on_one_screen() {
    let output = demo().arg("--once").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("does NOT verify: entry 2 ("), "{text}");
    assert!(text.contains("the proof holds: "), "{text}");
    assert!(text.contains("The trail itself verifies: "), "{text}");
    assert!(text.lines().count() <= SCREEN, "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
}

#[test]
fn a_shell_runs_the_commands_of_the_demo() {
    let mut demo = demo().stdout(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_child(&demo);
    let mut text = String::new();
    let mut out = BufReader::new(demo.stdout.take().unwrap());
    while !text.contains(LAST) && out.read_line(&mut text).unwrap() > 0 {}
    let answers = paste(&script(&text));
    kill_process(pid, Signal::TERM).unwrap();
    out.read_to_string(&mut text).unwrap();
    assert!(demo.wait().unwrap().success(), "{text}");
    for words in ["does NOT verify: entry 2 (", "the proof holds: "] {
        assert!(answers.contains(words), "{words}:\n{answers}");
    }
}

/// The variables and the commands of steps 7 and 8. The demo has already made the copy, so the
/// script first removes it.
fn script(text: &str) -> String {
    let variables = text
        .lines()
        .filter(|line| line.starts_with("LYCHGATE=") || line.starts_with("KEY="));
    let (_, ending) = text.split_once("\n7 ").expect("a step 7");
    let commands = ending.lines().filter_map(|line| {
        let goes_on = line.starts_with("      ").then_some(line);
        line.strip_prefix("  $ ").or(goes_on)
    });
    let again = std::iter::once("rm -r $DEMO/copy $DEMO/proof");
    let lines: Vec<_> = variables.chain(again).chain(commands).collect();
    lines.join("\n")
}

fn paste(script: &str) -> String {
    let run = Command::new("sh").args(["-c", script]).output().unwrap();
    let (out, err) = (run.stdout, run.stderr);
    assert!(
        run.status.success(),
        "{script}\n{}",
        String::from_utf8_lossy(&err)
    );
    assert!(err.is_empty(), "{}", String::from_utf8_lossy(&err));
    String::from_utf8(out).unwrap()
}
