//! Makes system calls of the trail's writer fail, with `strace` attached to its thread.

use std::fs::{File, read_to_string};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::program::{Home, Program, until};

/// The thread name of the writer.
const WRITER: &str = "audit-writer";

/// An attached `strace`; dropping it detaches.
#[derive(Debug)]
pub(crate) struct Strace {
    child: Child,
    said: PathBuf,
}

impl Strace {
    /// Attaches to the writer and injects `what` into its system calls, in the notation of `strace
    /// -e inject=`; counts begin at 1 here. Without strace, prints the reason and returns `None`.
    pub(crate) fn inject(home: &Home, program: &Program, what: &str) -> Option<Self> {
        let errors = home.path("strace.txt");
        let mut command = Command::new("strace");
        command.args(["-e", "trace=fdatasync,pwrite64", "-e"]);
        command.arg(format!("inject={what}"));
        command.args(["-p", &writer(program)]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(&errors).unwrap());
        let Ok(mut child) = command.spawn() else {
            eprintln!("skipped: strace is not installed (tests/run installs it)");
            return None;
        };
        until("strace is attached", || {
            let said = read_to_string(&errors).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "strace ended: {said}");
            said.contains("attached")
        });
        Some(Self {
            child,
            said: errors,
        })
    }

    /// How many of these system calls the writer has begun since.
    pub(crate) fn begun(&self, call: &str) -> usize {
        let said = read_to_string(&self.said).unwrap();
        said.matches(&format!("{call}(")).count()
    }

    /// Kills strace at once: while it delays a call, it would keep a killed gateway alive.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        // On this signal strace detaches first. It has already ended if the gateway has.
        let _ = kill_process(pid, Signal::TERM);
        let _ = self.child.wait();
    }
}

/// The writer's thread id.
fn writer(program: &Program) -> String {
    let threads = std::fs::read_dir(format!("/proc/{}/task", program.pid())).unwrap();
    let named = |path: &Path| read_to_string(path.join("comm")).unwrap_or_default();
    let mut paths = threads.flatten().map(|entry| entry.path());
    let path = paths.find(|path| named(path).trim() == WRITER);
    let path = path.expect("the writer's thread is named");
    path.file_name().unwrap().to_str().unwrap().to_owned()
}
