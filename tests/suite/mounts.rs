//! A gateway in its own mount namespace, so that its disk can be full or read-only.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::program::{Home, Program};

/// Whether file systems can be mounted here; if not, prints the reason.
pub(crate) fn can_be_used(home: &Home) -> bool {
    let try_it = "mount -t tmpfs -o size=64k tmpfs \"$1\"";
    let mut command = unshared(try_it, &home.path(""));
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let can = status.is_ok_and(|status| status.success());
    if !can {
        eprintln!("skipped: mounting in a namespace of its own needs root and unshare");
    }
    can
}

/// Runs these shell commands and then the gateway; `$1` is the audit folder.
pub(crate) fn start(home: &Home, commands: &str) -> Program {
    std::fs::create_dir_all(home.audit()).unwrap();
    let gateway = home.command();
    let script = format!("set -e\n{commands}\nshift\nexec \"$@\"");
    let mut command = unshared(&script, &home.audit());
    command.arg(gateway.get_program()).args(gateway.get_args());
    home.spawn(command)
}

/// Runs these shell commands in the gateway's mount namespace; `$1` is the audit folder.
pub(crate) fn beside(program: &Program, home: &Home, commands: &str) {
    let mut command = Command::new("nsenter");
    command.args([
        "--target",
        &program.pid().to_string(),
        "--mount",
        "sh",
        "-c",
    ]);
    command.args([commands, "sh"]).arg(home.audit());
    let status = command.stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "{commands}: {status}");
}

/// The audit folder in the view of the running gateway.
pub(crate) fn seen_by(program: &Program, home: &Home) -> PathBuf {
    let root = Path::new("/proc")
        .join(program.pid().to_string())
        .join("root");
    root.join(home.audit().strip_prefix("/").unwrap())
}

fn unshared(script: &str, first: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(first);
    command.stdin(Stdio::null());
    command
}
