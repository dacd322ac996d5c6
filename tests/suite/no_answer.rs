//! An upstream without a valid answer: the trail's record, the answer to the caller and the access line.

use std::net::TcpListener;

use lychgate::audit::entry::{Reason, Sent, Verdict};
use lychgate::audit::read::query::Deletion;

use super::callers::{delete, read, receipt_index, refusal, request};
use super::program::Home;
use super::users::{Manner, Users};
use crate::support::tokens::good_token;
use crate::support::wire::{self, Answer};

/// The expected status and code for the caller, and the outcome, its reason and `sent`.
type Expected = (u16, &'static str, Verdict, Option<Reason>, Sent);

const LOST: Expected = (
    502,
    "upstream-protocol",
    Verdict::Unknown,
    Some(Reason::ConnectionLost),
    Sent::Unknown,
);
const NO_ANSWER: Expected = (
    502,
    "upstream-protocol",
    Verdict::Unknown,
    Some(Reason::Protocol),
    Sent::Unknown,
);
const LATE: Expected = (
    504,
    "upstream-timeout",
    Verdict::Unknown,
    Some(Reason::Timeout),
    Sent::Unknown,
);

/// Deletes one user and checks both the answer and the record.
fn judge(manner: Manner, expected: Expected) -> (Answer, Deletion) {
    let users = Users::start();
    let context = format!("{manner:?}");
    users.behave(manner);
    let home = Home::new(users.address(), &[("upstream", "head_timeout = \"400ms\"")]);
    let program = home.start_ready();
    let answer = delete(program.address, 1);
    assert_eq!(users.seen_count(), 1, "p7: it is sent once: {context}");
    let detail = program.logged_detail(&answer);
    let inside = match expected.4 {
        Sent::Yes => "cut short",
        Sent::No | Sent::Unknown => &users.address().to_string(),
    };
    assert!(detail.contains(inside), "{context}: {detail}");
    drop(program);
    let found = compare(&home, &answer, expected, &context);
    (answer, found)
}

fn compare(home: &Home, answer: &Answer, expected: Expected, context: &str) -> Deletion {
    let (status, code, verdict, reason, sent) = expected;
    let on_record = match sent {
        Sent::No => "no",
        Sent::Yes => "yes",
        Sent::Unknown => "unknown",
    };
    let (found_code, found_sent, _) = refusal(answer);
    assert_eq!(
        (answer.status, &*found_code, &*found_sent),
        (status, code, on_record),
        "{context}: {}",
        answer.shown()
    );
    let record = home.record();
    let (closed, found) = record.closed(1);
    assert_eq!(
        (found, closed.reason, closed.sent),
        (verdict, reason, Some(sent)),
        "{context}"
    );
    let receipt = (sent != Sent::No).then_some(closed.index);
    assert_eq!(receipt_index(answer), receipt, "{context}");
    closed.clone()
}

#[test]
fn p2_a_connection_that_ends_without_an_answer_is_unknown() {
    judge(Manner::Raw(b""), LOST);
}

#[test]
fn p2_a_connection_that_is_reset_is_unknown() {
    judge(Manner::Reset, LOST);
}

#[test]
fn p2_an_answer_that_breaks_off_in_its_head_is_unknown() {
    judge(Manner::Raw(b"HTTP/1.1 200 OK\r\ncontent-le"), LOST);
}

#[test]
fn p2_an_answer_that_never_comes_is_unknown() {
    judge(Manner::Hang, LATE);
}

#[test]
fn p2_a_switch_of_protocols_is_not_an_answer() {
    let raw = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n";
    judge(Manner::Raw(raw), NO_ANSWER);
}

#[test]
fn p2_an_invalid_status_is_not_an_answer() {
    judge(
        Manner::Raw(b"HTTP/1.1 600 Odd\r\ncontent-length: 0\r\n\r\n"),
        NO_ANSWER,
    );
}

#[test]
fn p2_an_answer_with_two_framings_is_invalid() {
    let raw =
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    judge(Manner::Raw(raw), NO_ANSWER);
}

#[test]
fn p2_bytes_that_are_not_http_are_not_an_answer() {
    judge(Manner::Raw(b"220 mail.test ready\r\n\r\n"), NO_ANSWER);
}

#[test]
fn p2_a_408_is_not_an_answer() {
    let users = Users::start();
    users.behave(Manner::Raw(
        b"HTTP/1.1 408 Late\r\ncontent-length: 0\r\n\r\n",
    ));
    let home = Home::new(users.address(), &[]);
    let program = home.start_ready();
    let answer = delete(program.address, 1);
    let (_, sent, _) = refusal(&answer);
    assert_eq!(
        (answer.status / 100, &*sent),
        (5, "unknown"),
        "{}",
        answer.shown()
    );
    let record = home.record();
    let (closed, verdict) = record.closed(1);
    assert_eq!(
        (verdict, closed.sent),
        (Verdict::Unknown, Some(Sent::Unknown))
    );
}

#[test]
fn p2_the_status_decides_if_the_body_is_cut_short() {
    let cut = b"HTTP/1.1 200 OK\r\nac-revision: 9\r\ncontent-length: 50\r\n\r\n{";
    let expected = (502, "upstream-protocol", Verdict::Deleted, None, Sent::Yes);
    let (answer, closed) = judge(Manner::Raw(cut), expected);
    assert_eq!(answer.json()["upstream_status"], 200);
    assert_eq!(
        (closed.status, closed.revision.as_deref()),
        (Some(200), Some("9"))
    );
}

#[test]
fn p2_the_status_decides_if_the_body_never_begins() {
    let cut = b"HTTP/1.1 200 OK\r\nac-revision: 9\r\ncontent-length: 50\r\n\r\n";
    let expected = (502, "upstream-protocol", Verdict::Deleted, None, Sent::Yes);
    let (answer, closed) = judge(Manner::Raw(cut), expected);
    assert_eq!(answer.json()["upstream_status"], 200);
    assert_eq!(closed.revision.as_deref(), Some("9"));
}

/// Sends a read and a write to an upstream with this manner. Passes each answer and the detail of its
/// access line to `judge`.
fn read_and_write(manner: Manner, judge: impl Fn(&Answer, &str)) {
    let users = Users::start();
    users.behave(manner);
    let program = Home::new(users.address(), &[]).start_ready();
    let token = good_token();
    let write = "If-Match: 7\r\nContent-Length: 2\r\n";
    let mut write = request("PUT", "/1", &token, write);
    write.extend_from_slice(b"{}");
    for request in [read(1, &token), write] {
        let answer = wire::exchange(program.address, &request).expect("no empty reply");
        judge(&answer, &program.logged_detail(&answer));
    }
    assert_eq!(users.seen_count(), 2, "each is sent once");
}

#[test]
fn a_read_or_write_without_a_byte_of_its_body_is_refused() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n";
    read_and_write(Manner::Raw(head), |answer, detail| {
        let (code, sent, _) = refusal(answer);
        assert_eq!((&*code, &*sent), ("upstream-protocol", "yes"));
        assert_eq!((answer.status, answer.cut), (502, false));
        assert_eq!(answer.json()["upstream_status"], 200);
        assert!(detail.contains("cut short"), "{detail}");
    });
}

#[test]
fn a_read_or_write_cut_in_its_body_says_so_in_its_access_line() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{";
    read_and_write(Manner::Raw(cut), |answer, detail| {
        assert_eq!((answer.status, answer.cut), (200, true));
        assert!(detail.contains("cut short"), "{detail}");
    });
}

#[test]
fn p2_an_unreachable_upstream_is_a_failure_with_nothing_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let home = Home::new(address, &[]);
    let program = home.start_ready();
    let answer = delete(program.address, 1);
    let detail = program.logged_detail(&answer);
    assert!(detail.contains(&address.to_string()), "{detail}");
    let expected = (502, "upstream-unreachable", Verdict::Failed, None, Sent::No);
    compare(&home, &answer, expected, "nobody listens");
}
