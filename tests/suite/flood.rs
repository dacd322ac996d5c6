//! Ten thousand callers who send a deletion and reset, against an upstream that hangs.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::callers::{deletion, get, token_of};
use super::program::{Home, Program, until};
use super::users::{Manner, Seen, Users};
use crate::support::wire;

const CALLERS: u64 = 10_000;
/// Who they are: more than one, fewer than get an entry for every refusal.
const SUBJECTS: u64 = 20;
const THREADS: u64 = 4;
const MAX_DELETIONS: u64 = 128;
const MAX_GROWTH_BYTES: u64 = 64 << 20;

/// Sends all deletions of one thread, each on a connection of its own that is reset at once.
fn send_and_reset(address: SocketAddr, thread: u64, tokens: &[String]) {
    for user in (1..=CALLERS).filter(|user| user % THREADS == thread) {
        let token = &tokens[usize::try_from(user % SUBJECTS).unwrap()];
        let mut stream = TcpStream::connect(address).unwrap();
        // Where the gateway was quicker to refuse and close, there is nothing left to send.
        let _ = stream.write_all(&deletion(user, token));
        let socket = socket2::SockRef::from(&stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// Most deletions in flight and most memory, looked at until it is told to end.
fn watch(program: &Program, ended: &AtomicBool) -> (u64, u64) {
    let (mut in_flight, mut resident) = (0, 0);
    while !ended.load(Ordering::Acquire) {
        in_flight = in_flight.max(program.metric("lychgate_deletions_in_flight"));
        resident = resident.max(program.resident_bytes());
        std::thread::sleep(Duration::from_millis(10));
    }
    (in_flight, resident)
}

#[test]
fn p6_p7_ten_thousand_callers_that_reset_are_bounded_and_on_record() {
    let users = Users::start();
    let bound = format!("max_deletions = {MAX_DELETIONS}");
    // What hangs does so until upstream wakes.
    let times = "head_timeout = \"1h\"\ntotal_timeout = \"1h\"";
    let home = Home::new(users.address(), &[("limits", &bound), ("upstream", times)]);
    let begun = Instant::now();
    let program = home.start_ready();
    for user in 1..=50 {
        assert_eq!(get(program.address, user).status, 200);
    }
    users.take_seen();
    users.behave(Manner::Hang);
    let before = program.resident_bytes();
    let tokens: Vec<_> = (0..SUBJECTS)
        .map(|i| token_of(&format!("subject-{i}")))
        .collect();
    let (tokens, ended) = (Arc::new(tokens), AtomicBool::new(false));
    let (in_flight, resident) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(&program, &ended));
        let senders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (address, tokens) = (program.address, Arc::clone(&tokens));
                scope.spawn(move || send_and_reset(address, thread, &tokens))
            })
            .collect();
        for sender in senders {
            sender.join().unwrap();
        }
        // Whoever is answered now stood last in the queue of new connections.
        assert_eq!(wire::get(program.address, "/").unwrap().status, 404);
        until("only callers whose deletion hangs are left", || {
            program.metric("lychgate_connections ") <= MAX_DELETIONS
                && users.seen_count() as u64 == program.metric("lychgate_deletions_in_flight")
        });
        ended.store(true, Ordering::Release);
        watching.join().unwrap()
    });
    let grown = resident.saturating_sub(before);
    let refused = program.metric(
        "lychgate_requests_total{operation=\"users.delete\",status=\"503\",code=\"overloaded\"}",
    );
    eprintln!(
        "at most {in_flight} in flight, {refused} refused, {} KiB more memory",
        grown / 1024
    );
    assert_eq!(in_flight, MAX_DELETIONS, "all slots are used, and no more");
    assert!(grown < MAX_GROWTH_BYTES, "{grown} bytes more");
    // A reset that overtakes its own request leaves nothing to refuse.
    assert!(
        refused >= MAX_DELETIONS,
        "the callers were refused: {refused}"
    );

    // Upstream wakes: what hung ends, and every record with it.
    let seen = users.seen();
    assert_eq!(seen.len() as u64, MAX_DELETIONS);
    assert!(get_hangs_not(&program, &users));
    until("no deletion is in flight", || {
        program.metric("lychgate_deletions_in_flight") == 0
    });
    let (status, log) = program.stop();
    assert!(status.success(), "{status}\n{log}");
    all_on_record(&home, &seen, refused, begun);
}

/// Each deletion that upstream saw is closed; each refusal is recorded singly or in a sum.
fn all_on_record(home: &Home, seen: &[Seen], refused: u64, begun: Instant) {
    let record = home.record();
    for seen in seen {
        record.closed(seen.user().unwrap());
    }
    assert_eq!(record.summary.open, 0);
    let (singly, summed) = record.refused("overloaded");
    assert_eq!(
        singly + summed,
        refused,
        "{singly} singly, {summed} in a sum"
    );
    // 600 a minute at most, and minutes are counted from the gateway's start.
    let most = 600 * (begun.elapsed().as_secs() / 60 + 1);
    assert!(
        (60..=most).contains(&singly),
        "{singly} entries for a flood"
    );
}

/// Upstream answers again, and so does the gateway.
fn get_hangs_not(program: &Program, users: &Users) -> bool {
    users.behave(Manner::Answer(Duration::ZERO));
    get(program.address, 1).status == 200
}
