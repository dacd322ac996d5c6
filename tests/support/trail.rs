//! The trail as an operator reads it, with the commands of the real binary.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// The binary under test.
pub(crate) fn lychgate() -> Command {
    Command::new(env!("CARGO_BIN_EXE_lychgate"))
}

fn run(command: &mut Command) -> Output {
    command.output().expect("the binary runs")
}

/// Makes a signing key and returns its public line, `NAME+HASH+BASE64`.
pub(crate) fn keygen(origin: &str, out: &Path) -> String {
    let output = run(lychgate()
        .args(["audit", "keygen", "--origin", origin, "--out"])
        .arg(out));
    assert!(output.status.success(), "{}", shown(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// All deletions with their outcomes, oldest first.
pub(crate) fn list(directory: &Path) -> Vec<Value> {
    let output = run(lychgate()
        .args(["audit", "list", "--json", "--dir"])
        .arg(directory));
    assert!(output.status.success(), "{}", shown(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Whether the trail verifies, and the command's output.
pub(crate) fn verify(directory: &Path) -> (bool, String) {
    let output = run(lychgate().args(["audit", "verify", "--dir"]).arg(directory));
    (output.status.success(), shown(&output))
}

/// The files that `audit verify --json` attributes to other programs; the trail must verify.
pub(crate) fn other_files(directory: &Path) -> Value {
    let output = run(lychgate()
        .args(["audit", "verify", "--json", "--dir"])
        .arg(directory));
    assert!(output.status.success(), "{}", shown(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    told["summary"]["other_files"].clone()
}

fn shown(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
