//! Ten thousand callers send a deletion and reset the connection while upstream hangs.

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
/// The number of subjects: more than one, but so few that not every refusal gets an entry.
const SUBJECTS: u64 = 20;
const THREADS: u64 = 4;
const MAX_DELETIONS: u64 = 128;
const MAX_GROWTH_BYTES: u64 = 64 << 20;

/// Sends the deletions of one thread, each on a new connection that is reset at once.
fn send_and_reset(address: SocketAddr, thread: u64, tokens: &[String]) {
    for user in (1..=CALLERS).filter(|user| user % THREADS == thread) {
        let token = &tokens[usize::try_from(user % SUBJECTS).unwrap()];
        let mut stream = TcpStream::connect(address).unwrap();
        // The gateway may already have refused and closed the connection.
        let _ = stream.write_all(&deletion(user, token));
        let socket = socket2::SockRef::from(&stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// The maxima of deletions in flight and of memory, sampled until `ended` is set.
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
fn p6_p7_resets_of_ten_thousand_callers_are_recorded() {
    let users = Users::start();
    let bound = format!("max_deletions = {MAX_DELETIONS}");
    // Deletions hang until upstream answers.
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
        // This answer shows that the queue of new connections is empty.
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
    // If a reset overtakes its own request, there is nothing to refuse.
    assert!(
        refused >= MAX_DELETIONS,
        "the callers were refused: {refused}"
    );

    // Upstream answers, so the hanging deletions end with complete records.
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

/// Asserts that each deletion seen by upstream is closed, and that each refusal has an entry or is
/// part of a sum.
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
    // At most 600 entries per minute, counted from the start of the gateway.
    let most = 600 * (begun.elapsed().as_secs() / 60 + 1);
    assert!(
        (60..=most).contains(&singly),
        "{singly} entries for a flood"
    );
}

/// Whether upstream answers again, and so does the gateway.
fn get_hangs_not(program: &Program, users: &Users) -> bool {
    users.behave(Manner::Answer(Duration::ZERO));
    get(program.address, 1).status == 200
}
