//! Without free descriptors, the gateway cannot check its files. It must not report tampering then.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use lychgate::audit::entry::Kind;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::callers::{delete, deletion, read, refusal};
use super::program::{Home, Program, until};
use super::users::Users;
use crate::support::tokens::good_token;
use crate::support::wire::{self, Answer};

/// Leaves the gateway this many free descriptors and returns the previous limits.
fn leave(program: &Program, left: usize) -> Rlimit {
    let open = std::fs::read_dir(format!("/proc/{}/fd", program.pid())).unwrap();
    let open: BTreeSet<u64> = open
        .map(|item| item.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    let free = (0..).filter(|number| !open.contains(number)).nth(left);
    limit(program, |_| free)
}

fn limit(program: &Program, current: impl Fn(&Rlimit) -> Option<u64>) -> Rlimit {
    let pid = Pid::from_raw(program.pid().try_into().unwrap());
    let set = |limits| prlimit(pid, Resource::Nofile, limits).unwrap();
    let before = rustix::process::getrlimit(Resource::Nofile);
    let maximum = before.maximum;
    set(Rlimit {
        current: current(&before),
        maximum,
    })
}

/// A connection from before the descriptors ran out.
struct Kept(TcpStream);

impl Kept {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(wire::PATIENCE)).unwrap();
        Self(stream)
    }

    fn ask(&mut self, request: &[u8]) -> Answer {
        self.0.write_all(request).unwrap();
        wire::read_answer(&mut self.0).expect("it is kept open")
    }

    /// Sends a deletion and returns whether the trail refused it, which it may do for only one
    /// cause.
    fn is_refused(&mut self) -> bool {
        let (code, _, cause) = refusal(&self.ask(&deletion(1, &good_token())));
        let is_refused = code == "audit-unavailable";
        assert!(!is_refused || cause == "sync-failed", "{cause}");
        is_refused
    }
}

#[test]
fn p3_a_lack_of_descriptors_is_not_reported_as_tampering() {
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    let program = home.start_ready();
    assert_eq!(delete(program.address, 1_000).status, 200);
    let mut caller = Kept::new(program.address);
    let mut operator = Kept::new(program.admin);
    let page = format!(
        "GET /readyz?verbose HTTP/1.1\r\nHost: {}\r\n\r\n",
        program.admin
    );
    let get = read(7, &good_token());
    assert_eq!(operator.ask(page.as_bytes()).status, 200);
    assert_eq!(caller.ask(&get).status, 200);

    let before = leave(&program, 0);
    let strange = home.audit().join("journal/strange");
    let refuse = |caller: &mut Kept| {
        until("deletions are refused", || {
            leave(&program, 0);
            // The change of the journal folder forces the gateway to list it.
            std::fs::write(&strange, b"").unwrap();
            std::fs::remove_file(&strange).unwrap();
            caller.is_refused()
        });
    };
    refuse(&mut caller);
    assert_eq!(caller.ask(&get).status, 200, "reads go on");
    // Each descriptor more lets the gateway come further in opening the log again.
    for left in 1..=4 {
        until("the log does not open", || {
            leave(&program, left);
            let shown = operator.ask(page.as_bytes()).shown();
            if !caller.is_refused() {
                // Enough descriptors were free for a moment.
                refuse(&mut caller);
            }
            shown.contains("Too many open files")
        });
    }

    limit(&program, |_| before.current);
    program.wait_ready();
    assert_eq!(delete(program.address, 2_000).status, 200);
    let (status, log) = program.stop();
    assert!(status.success(), "{status}\n{log}");
    for entry in home.record().entries {
        if let Kind::Trouble(trouble) = entry.kind {
            assert_eq!(trouble.cause, "sync-failed", "{trouble:?}");
        }
    }
}
