//! Callgrind counts user instructions and heap allocations while the requests run.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{SCRUB, Subject};
use crate::gateway::Setup;
use crate::process::Process;

/// The counts of all threads except the scrub.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) instructions: u64,
    /// Including reallocations.
    pub(super) allocations: u64,
}

pub(super) fn count(subject: &Subject, binary: &str) -> Counted {
    let setup = Setup::of(binary);
    let _upstream = setup.start_upstream(1);
    let out_file = format!("--callgrind-out-file={}/callgrind", setup.folder.display());
    let valgrind = [
        "valgrind",
        "--tool=callgrind",
        "--instr-atstart=no",
        "--separate-threads=yes",
        "--compress-strings=no",
        // Threads run in turns; otherwise, one that waits for another may starve.
        "--fair-sched=yes",
        &out_file,
    ];
    let gateway = setup.start_under(&valgrind, "0");
    subject.warm_up(&setup);
    tell(&gateway, "instrumentation on");
    subject.send_counted(&setup, subject.simulated);
    let scrub = scrub(&gateway);
    tell(&gateway, "dump");
    let mut counted = Counted::default();
    for dump in dumps(&setup.folder) {
        if Some(dump.thread) != scrub {
            counted.add(&dump.text);
        }
    }
    assert!(
        counted.allocations > 0,
        "the program has no symbols, or another allocator than mimalloc"
    );
    counted
}

/// Sends a command to valgrind while the gateway runs, and returns the answer.
fn tell(gateway: &Process, command: &str) -> String {
    let told = Command::new("vgdb")
        .arg(format!("--pid={}", gateway.id()))
        .args(command.split(' '))
        .stdin(Stdio::null())
        .output()
        .expect("vgdb runs");
    assert!(told.status.success(), "vgdb failed: {told:?}");
    String::from_utf8_lossy(&told.stdout).into_owned()
}

/// Valgrind's number of the scrub thread.
fn scrub(gateway: &Process) -> Option<u32> {
    let id = gateway.thread(SCRUB)?;
    // One thread per line: `Thread 5: status = VgTs_WaitSys syscall 202 (lwpid 20022)`.
    let threads = tell(gateway, "v.info scheduler");
    let line = threads
        .lines()
        .find(|line| line.ends_with(&format!("(lwpid {id})")))?;
    let number = line.strip_prefix("Thread ")?.split(':').next()?;
    number.parse().ok()
}

struct Dump {
    thread: u32,
    text: String,
}

/// Reads the dumps of a folder; `callgrind.1-05` is the first dump of thread 5.
fn dumps(folder: &Path) -> Vec<Dump> {
    let files = std::fs::read_dir(folder).expect("the folder is there");
    let dumps = files.filter_map(|file| {
        let path = file.ok()?.path();
        let thread = path.file_name()?.to_str()?.strip_prefix("callgrind.1-")?;
        Some(Dump {
            thread: thread.parse().ok()?,
            text: String::from_utf8_lossy(&std::fs::read(&path).ok()?).into_owned(),
        })
    });
    dumps.collect()
}

impl Counted {
    fn add(&mut self, dump: &str) {
        let (mut caller, mut callee) = ("", "");
        for line in dump.lines() {
            let Some((word, rest)) = line.split_once(['=', ':']) else {
                continue;
            };
            match word {
                "fn" => caller = rest,
                "cfn" => callee = rest,
                "calls" if is_allocation(caller, callee) => {
                    self.allocations += number(rest.split(' ').next().unwrap_or_default());
                }
                "totals" => self.instructions += number(rest.trim()),
                _ => {}
            }
        }
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("callgrind writes a number here")
}

/// Whether the call requests memory from an allocator: mimalloc, or the C library's, which the C
/// code uses. Calls between allocator functions do not count.
fn is_allocation(caller: &str, callee: &str) -> bool {
    const OF_C: [&str; 5] = [
        "malloc",
        "calloc",
        "realloc",
        "posix_memalign",
        "aligned_alloc",
    ];
    let is_mimalloc = |name: &str| name.starts_with("mi_") || name.starts_with("_mi_");
    let allocates = is_mimalloc(callee) && callee.contains("alloc") || OF_C.contains(&callee);
    allocates && !is_mimalloc(caller) && !OF_C.contains(&caller)
}
