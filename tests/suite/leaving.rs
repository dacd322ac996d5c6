//! Callers that leave hold no place; callers that only close their sending half get their answers.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::callers::{delete, get, read};
use super::hang_up::{Leaving, leave};
use super::program::{Home, until};
use super::users::{Manner, Users};
use crate::support::{tokens, wire};

/// Reads of this user hang.
const SLOW: u64 = 77;
/// How many of the 64 connections to upstream reads may use; as many reads may wait.
const READERS: usize = 48;

fn slow_read(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = read(SLOW, &tokens::good_token());
    stream.write_all(&request).unwrap();
    stream
}

#[test]
fn p6_callers_that_leave_hold_no_place() {
    let users = Users::start();
    users.behave(Manner::HangReadsOf(SLOW));
    let keys = [
        ("upstream", "max_connections = 64\nconnect_timeout = \"2m\""),
        ("listen", "half_close_grace = \"15s\""),
    ];
    let home = Home::new(users.address(), &keys);
    let program = home.start_ready();
    let readers = READERS;
    let waiting = || program.metric("lychgate_upstream_waiting") as usize;

    let callers: Vec<_> = (0..200).map(|_| slow_read(program.address)).collect();
    until("the reads take their places", || {
        users.seen_count() == readers
    });
    until("as many reads wait as may", || waiting() == readers);
    let refused = || program.metric("lychgate_upstream_waiters_refused") as usize;
    until("the others are refused", || {
        refused() == callers.len() - 2 * readers
    });
    assert_eq!(delete(program.address, 1).status, 200);

    for (number, caller) in callers.into_iter().enumerate() {
        let how = [Leaving::Closes, Leaving::Resets][number % 2];
        leave(caller, how);
    }
    until("resets are seen at once", || waiting() < readers);
    assert_eq!(get(program.address, 2).status, 200);
    assert_eq!(delete(program.address, 3).status, 200);
    until("every caller is seen to have left", || {
        program.metric("lychgate_callers_left") as usize == 2 * readers
    });
    until("each has its line in the log", || {
        program.log().matches("\"status\":499").count() == 2 * readers
    });
    assert_eq!(waiting(), 0);

    users.take_seen();
    let mut halves: Vec<_> = (0..40)
        .map(|_| {
            let caller = slow_read(program.address);
            caller.shutdown(Shutdown::Write).unwrap();
            caller
        })
        .collect();
    until("the reads are at upstream", || users.seen_count() == 40);
    users.behave(Manner::Answer(std::time::Duration::ZERO));
    for caller in &mut halves {
        let answer = wire::read_answer(caller).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.shown());
        let rest = caller.read(&mut [0]).unwrap();
        assert_eq!(rest, 0, "the connection ends with the answer");
    }
    let record = home.record();
    assert_eq!((record.deletions.len(), record.summary.open), (2, 0));
}
