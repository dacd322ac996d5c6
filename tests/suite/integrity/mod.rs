//! Foreign changes to the trail's files while the gateway runs. The gateway refuses the next
//! deletion with the cause, shows the cause on every page and metric, continues to serve reads, and
//! accepts deletions again without a restart once the files are restored.

mod copies;
mod files;
mod folders;
mod key;
mod space;
mod tiles;
mod writers;

use std::path::PathBuf;
use std::time::Duration;

use lychgate::audit::entry::{Kind, Trouble};

use super::callers::{delete, get, receipt_index, refusal};
use super::program::{Home, Program, until};
use super::users::Users;

/// A gateway with one recorded deletion and a spare segment.
struct Scene {
    users: Users,
    home: Home,
    program: Program,
}

impl Scene {
    fn new() -> Self {
        let users = Users::start();
        let home = Home::new(users.address(), &[]);
        let program = home.start_ready();
        Self::of(users, home, program)
    }

    fn of(users: Users, home: Home, program: Program) -> Self {
        assert_eq!(delete(program.address, 1_000).status, 200);
        users.take_seen();
        Self {
            users,
            home,
            program,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.audit().join(name)
    }

    /// The segment in use; the spare is the next one.
    fn segment(&self) -> PathBuf {
        self.file("journal/0000000001")
    }

    /// Asserts that the next deletion is refused, that pages and metrics show the cause, and that
    /// reads continue.
    fn refuses(&self, cause: &str) {
        self.refuses_once(cause);
        self.says(cause);
        self.program.logs_cause(cause);
    }

    /// Asserts that the next deletion is refused with the cause.
    fn refuses_once(&self, cause: &str) {
        let answer = delete(self.program.address, 1);
        let (code, sent, found) = refusal(&answer);
        let expected = ("audit-unavailable", "no", cause);
        assert_eq!((&*code, &*sent, &*found), expected, "{}", answer.shown());
        assert_eq!((answer.status, receipt_index(&answer)), (503, None));
        let detail = self.program.logged_detail(&answer);
        assert!(detail.starts_with(&format!("{cause}: ")), "{detail}");
        assert!(answer.header("retry-after").is_some());
        assert_eq!(self.users.seen_count(), 0, "upstream saw nothing");
    }

    fn says(&self, cause: &str) {
        assert!(!self.program.takes_deletions());
        assert_eq!(self.program.page("/readyz").status, 200);
        let verbose = self.program.page("/readyz?verbose").shown();
        assert!(verbose.contains(cause), "{verbose}");
        assert_eq!(self.program.metric("lychgate_audit_open"), 0);
        let refused = format!("lychgate_audit_refused_total{{cause=\"{cause}\"}}");
        assert!(self.program.metric(&refused) > 0);
        assert_eq!(get(self.program.address, 1).status, 200, "no read fails");
        self.users.take_seen();
    }

    /// Asserts that the outage lasts through several checks.
    fn stays_closed(&self, cause: &str) {
        std::thread::sleep(Duration::from_millis(2_200));
        self.refuses(cause);
    }

    /// Asserts that deletions are accepted again.
    fn comes_back(&self) {
        self.program.wait_ready();
        let answer = delete(self.program.address, 2_000);
        assert_eq!(answer.status, 200, "{}", answer.shown());
        self.users.take_seen();
        assert_eq!(self.program.metric("lychgate_audit_open"), 1);
    }

    /// Stops the gateway and asserts the recorded outages, in order, each begun and ended. Returns
    /// the total number of refused deletions.
    fn ends_with(self, causes: &[&str]) -> u64 {
        let both = |cause| [(cause, "began"), (cause, "ended")];
        let expected: Vec<(&str, &str)> = causes.iter().copied().flat_map(both).collect();
        self.ends_having(&expected)
    }

    /// Like [`Self::ends_with`], with these causes and states.
    fn ends_having(self, expected: &[(&str, &str)]) -> u64 {
        let (status, log) = self.program.stop();
        assert!(status.success(), "{status}\n{log}");
        let record = self.home.record();
        record.closed(1_000);
        assert_eq!(record.summary.open, 0);
        let kinds = record.entries.iter().map(|entry| &entry.kind);
        let troubles: Vec<&Trouble> = kinds
            .filter_map(|kind| match kind {
                Kind::Trouble(trouble) => Some(trouble),
                _ => None,
            })
            .collect();
        let found: Vec<(&str, &str)> = troubles
            .iter()
            .map(|t| (t.cause.as_str(), t.state.as_str()))
            .collect();
        assert_eq!(found, expected);
        let (singly, _) = record.refused("audit-unavailable");
        singly + troubles.iter().map(|trouble| trouble.refused).sum::<u64>()
    }
}
