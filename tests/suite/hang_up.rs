//! Callers that hang up: after the complete deletion was sent, and at any earlier point.

use std::collections::HashSet;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use lychgate::audit::entry::{Reason, Sent, Verdict};

use super::callers::{Dice, deletion};
use super::program::{Home, Program, until};
use super::users::{Manner, Seen, Users};
use crate::support::tokens;

/// How a caller ends its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Closes: FIN.
    Closes,
    /// Resets: RST.
    Resets,
}

pub(super) fn leave(stream: TcpStream, how: Leaving) {
    if how == Leaving::Resets {
        let socket = socket2::SockRef::from(&stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
    drop(stream);
}

/// Sends a deletion and hangs up once upstream has it.
fn send_and_leave(address: SocketAddr, user: u64, users: &Users, how: Leaving) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = deletion(user, &tokens::good_token());
    stream.write_all(&request).unwrap();
    until("upstream has it", || users.seen_count() == 1);
    leave(stream, how);
}

fn wait_until_closed(program: &Program) {
    until("no deletion is in flight", || {
        program.metric("lychgate_deletions_in_flight") == 0
    });
}

fn upstream_answers_after_the_caller_left(how: Leaving) {
    let users = Users::start();
    users.behave(Manner::Hang);
    let home = Home::new(users.address(), &[("listen", "half_close_grace = \"0s\"")]);
    let program = home.start_ready();
    send_and_leave(program.address, 1, &users, how);
    until("the gateway notices", || {
        program.metric("lychgate_callers_left") == 1
    });
    assert_eq!(home.record().summary.open, 1);
    users.behave(Manner::Answer(Duration::ZERO));
    wait_until_closed(&program);
    let record = home.record();
    let (closed, verdict) = record.closed(1);
    assert_eq!((verdict, closed.status), (Verdict::Deleted, Some(200)));
    assert_eq!(closed.revision.as_deref(), Some("8"));
    assert_eq!((closed.sent, closed.attempts), (Some(Sent::Yes), 1));
    assert_eq!(users.seen_count(), 1, "p7: it is sent once");
}

#[test]
fn p6_a_close_after_sending_loses_no_record() {
    upstream_answers_after_the_caller_left(Leaving::Closes);
}

#[test]
fn p6_a_reset_after_sending_loses_no_record() {
    upstream_answers_after_the_caller_left(Leaving::Resets);
}

#[test]
fn p6_a_hang_up_without_an_answer_is_recorded_as_unknown() {
    let users = Users::start();
    users.behave(Manner::Hang);
    let home = Home::new(users.address(), &[("upstream", "head_timeout = \"300ms\"")]);
    let program = home.start_ready();
    send_and_leave(program.address, 1, &users, Leaving::Resets);
    wait_until_closed(&program);
    let record = home.record();
    let (closed, verdict) = record.closed(1);
    assert_eq!(
        (verdict, closed.reason),
        (Verdict::Unknown, Some(Reason::Timeout))
    );
    assert_eq!(closed.sent, Some(Sent::Unknown));
    assert_eq!(users.seen_count(), 1, "p7: it is sent once");
}

#[test]
fn p6_a_hang_up_at_any_byte_loses_no_record() {
    const CALLERS: u64 = 500;
    let seed = tokens::now().unsigned_abs();
    eprintln!("seed {seed}");
    let mut dice = Dice::new(seed);
    let users = Users::start();
    users.behave(Manner::Answer(Duration::from_millis(4)));
    let home = Home::new(users.address(), &[]);
    let program = home.start_ready();
    let mut whole = Vec::new();
    for user in 1..=CALLERS {
        let mut stream = TcpStream::connect(program.address).unwrap();
        stream.set_nodelay(true).unwrap();
        let request = deletion(user, &tokens::good_token());
        let length = request.len();
        // One in three callers sends everything; the others stop or pause at any byte.
        let at = usize::try_from(dice.below(length as u64 + 1)).unwrap();
        stream.write_all(&request[..at]).unwrap();
        std::thread::sleep(Duration::from_micros(dice.below(3_000)));
        let how = if dice.below(2) == 0 {
            Leaving::Closes
        } else {
            Leaving::Resets
        };
        if dice.below(3) != 0 {
            stream.write_all(&request[at..]).unwrap();
            std::thread::sleep(Duration::from_micros(dice.below(12_000)));
            // A reset may overtake and lose bytes; a FIN does not.
            whole.extend((how == Leaving::Closes).then_some(user));
        }
        leave(stream, how);
    }
    until("all that was sent in full has reached upstream", || {
        let seen: HashSet<_> = users.seen().iter().filter_map(Seen::user).collect();
        whole.iter().all(|user| seen.contains(user))
    });
    until("all connections have ended", || {
        program.metric("lychgate_connections ") == 0
    });
    wait_until_closed(&program);
    let record = home.record();
    assert!(users.seen_count() > 100, "{} were seen", users.seen_count());
    for seen in users.take_seen() {
        let user = seen.user().expect("upstream saw whole requests alone");
        let (_, verdict) = record.closed(user);
        assert_eq!(verdict, Verdict::Deleted);
    }
    let (status, log) = program.stop();
    assert!(status.success(), "{status}\n{log}");
    assert_eq!(home.record().summary.open, 0);
}
