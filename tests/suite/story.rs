//! `lychgate demo`: its screen, the commands that it prints, and the signals that end it.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::folder::Folder;
use crate::support::trail::lychgate;

/// The first and the last line of a demo that serves.
const FIRST: &str = "lychgate demo: ";
const LAST: &str = "lychgate audit verify --config ";

/// A running demo, whose temporary folder is below a folder of the test with a space in its name.
struct Demo {
    child: Child,
    out: BufReader<ChildStdout>,
    /// The output so far.
    text: String,
    /// Holds the demo's folder.
    place: PathBuf,
    _folder: Folder,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let folder = Folder::new();
        let place = folder.path().join("a place");
        std::fs::create_dir(&place).unwrap();
        let mut command = lychgate();
        command.arg("demo").args(arguments).env("TMPDIR", &place);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            out,
            text: String::new(),
            place,
            _folder: folder,
        }
    }

    /// Reads until a line begins with these words.
    fn read_until(&mut self, words: &str) {
        let mut line = String::new();
        while !line.starts_with(words) {
            line.clear();
            let read = self.out.read_line(&mut line).unwrap();
            assert!(read > 0, "{words}:\n{}", self.text);
            self.text.push_str(&line);
        }
    }

    /// Sends a signal, then reads the rest. The demo must say that it removed its folder, and the
    /// folder must be gone.
    fn end(&mut self, signal: Option<Signal>) -> Option<i32> {
        let pid = Pid::from_child(&self.child);
        if let Some(signal) = signal {
            kill_process(pid, signal).unwrap();
        }
        self.out.read_to_string(&mut self.text).unwrap();
        let status = self.child.wait().unwrap();
        let name = format!("lychgate-demo-{}", pid.as_raw_nonzero());
        let removed = format!("removed {}\n", self.place.join(name).display());
        assert!(self.text.ends_with(&removed), "{}", self.text);
        assert_eq!(std::fs::read_dir(&self.place).unwrap().count(), 0);
        status.code()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_demo_stops_after_its_story_with_once() {
    let mut demo = Demo::start(&["--once"]);
    assert_eq!(demo.end(None), Some(0), "{}", demo.text);
    assert!(!demo.text.contains(LAST), "{}", demo.text);
}

#[test]
fn the_demo_fits_on_a_screen() {
    let mut demo = Demo::start(&[]);
    demo.read_until(LAST);
    assert_eq!(demo.end(Some(Signal::INT)), Some(0), "{}", demo.text);
    let text = screen(&demo);
    assert_eq!(
        text,
        include_str!("story/demo.txt"),
        "left: the demo; right: tests/suite/story/demo.txt"
    );
    assert!(text.lines().count() <= 30);
    assert_narrow(&text);
}

#[test]
fn a_shell_runs_every_command_of_the_demo() {
    for (arguments, commands) in [(&[][..], 7), (&["--verbose"], 20)] {
        let mut demo = Demo::start(arguments);
        demo.read_until(LAST);
        let script = script(&demo.text);
        assert_eq!(script.len(), commands, "{}", demo.text);
        let answers = paste(&script);
        assert_eq!(demo.end(Some(Signal::TERM)), Some(0), "{}", demo.text);
        assert_narrow(&screen(&demo));
        for words in ["HTTP/1.1 200 OK", "the proof holds: ", "the trail verifies"] {
            assert!(answers.contains(words), "{words}:\n{answers}");
        }
    }
}

#[test]
fn each_signal_ends_the_demo_and_removes_its_folder() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut serving = Demo::start(&[]);
        serving.read_until(LAST);
        assert_eq!(serving.end(Some(signal)), Some(0), "{}", serving.text);
        let mut playing = Demo::start(&["--once"]);
        playing.read_until(FIRST);
        let code = playing.end(Some(signal));
        // A demo that was faster than the signal has played to its end.
        let is_whole = playing.text.contains("The trail itself verifies");
        assert!(
            code == Some(1) || (is_whole && code == Some(0)),
            "{code:?} {}",
            playing.text
        );
    }
}

/// The output without the values that differ between two runs: folder, process id, ports, and the
/// width of the tile that the altered copy contradicts.
fn screen(demo: &Demo) -> String {
    let name = format!("lychgate-demo-{}", demo.child.id());
    let folder = demo.place.join(name).display().to_string();
    let text = demo
        .text
        .replace(&format!("'{folder}/env'"), "/tmp/lychgate-demo-PID/env");
    let text = text.replace(&folder, "/tmp/lychgate-demo-PID");
    let text = without_number(&text, "127.0.0.1:", "PORT");
    without_number(&text, "tile/0/000.p/", "N")
}

/// Replaces the number that follows `before` by a word.
fn without_number(text: &str, before: &str, word: &str) -> String {
    let mut parts = text.split(before);
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|letter: char| letter.is_ascii_digit());
        replaced += &format!("{before}{word}{rest}");
    }
    replaced
}

fn assert_narrow(text: &str) {
    let wide = text.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None);
}

/// The commands: two spaces before each in the story, none after it.
fn script(text: &str) -> Vec<String> {
    let (story, to_paste) = text.split_once(" To paste:\n").expect("commands to paste");
    let mut commands: Vec<String> = Vec::new();
    for line in story.lines() {
        match commands.last_mut() {
            Some(command) if command.ends_with('\\') => *command += &format!("\n{line}"),
            _ if line.starts_with("  ") && !line.starts_with("    ") => commands.push(line.into()),
            _ => {}
        }
    }
    commands.retain(|command| !command.starts_with("  SENT "));
    commands.extend(to_paste.lines().map(str::to_owned));
    commands
}

/// Runs each command in one shell and returns their output. Each must succeed, but for the
/// verification of the altered copy.
fn paste(commands: &[String]) -> String {
    let script: String = commands
        .iter()
        .map(|command| format!("{command}\necho \"exit code $?\"\n"))
        .collect();
    let mut shell = Command::new("sh");
    let run = shell.args(["-c", &script]).output().unwrap();
    let out = String::from_utf8(run.stdout).unwrap();
    let all = format!("{script}\n{out}{}", String::from_utf8_lossy(&run.stderr));
    let codes: Vec<_> = out
        .lines()
        .filter_map(|line| line.split_once("exit code "))
        .collect();
    assert_eq!(codes.len(), commands.len(), "{all}");
    for (command, (_, code)) in commands.iter().zip(codes) {
        let expected = if command.contains("$DEMO/copy\" --key") {
            "1"
        } else {
            "0"
        };
        assert_eq!(code, expected, "{command}\n{all}");
    }
    out
}
