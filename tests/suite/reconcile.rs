//! The commands reconcile deletions of unknown outcome, through the gateway and without one.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Output;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use lychgate::simulator::server::Server;
use serde_json::{Value, json};

use super::callers::{delete, request};
use super::program::{Home, PATIENCE, Program};
use super::users::{Manner, Users};
use crate::support::{tokens, trail, wire};

const SECRET: &str = "t0ken-that-reads-back";
const FAILED: &[u8] = b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n";
const GONE: &[u8] = b"HTTP/1.1 404 Not Found\r\nac-revision: 9\r\ncontent-length: 0\r\n\r\n";

/// A home for these users, with a token for reading back.
fn home(address: std::net::SocketAddr) -> Home {
    let home = Home::new(
        address,
        &[("audit", "reconcile_token_file = \"reconcile.token\"")],
    );
    std::fs::write(home.path("reconcile.token"), SECRET).unwrap();
    home
}

/// A running gateway with one unknown deletion, of user 1.
fn unknown(users: &Users) -> (Home, Program) {
    let home = home(users.address());
    let program = home.start_ready();
    users.behave(Manner::Reset);
    assert_eq!(delete(program.address, 1).status, 502);
    (home, program)
}

fn audit(home: &Home, words: &[&str]) -> Output {
    let mut command = trail::lychgate();
    command.arg("audit").args(words).arg("--config");
    command.arg(home.path("lychgate.toml")).output().unwrap()
}

fn reconcile(home: &Home, words: &[&str]) -> Output {
    let all = [&["reconcile", "--json", "--reason", "asked"], words].concat();
    audit(home, &all)
}

fn objects(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn text_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The result of reading back: in the command's output and in the list afterwards.
fn settled(home: &Home) -> Value {
    let output = reconcile(home, &["--now"]);
    assert_eq!(code(&output), 0, "{}", text_of(&output));
    let result = objects(&output)[0]["result"].clone();
    let listed = trail::list(&home.audit()).remove(0);
    assert_eq!(
        listed["outcome"], "unknown",
        "an outcome is never rewritten"
    );
    assert_eq!(listed["reconciled"]["result"], result);
    assert!(objects(&audit(home, &["unresolved", "--json"])).is_empty());
    listed["reconciled"].clone()
}

#[test]
fn p2_the_gateway_reads_unknown_deletions_back() {
    let users = Users::start();
    let (home, program) = unknown(&users);
    assert_eq!(objects(&audit(&home, &["unresolved", "--json"])).len(), 1);
    users.behave(Manner::Raw(GONE));
    users.take_seen();
    let young = reconcile(&home, &[]);
    assert_eq!(code(&young), 1);
    assert!(text_of(&young).contains("--now"), "{}", text_of(&young));
    assert_eq!(users.seen_count(), 0, "recent deletions are not read back");

    let reconciled = settled(&home);
    assert_eq!(reconciled["result"], "deleted");
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(reconciled["actor"], json!({"uid": uid}));
    let seen = users.take_seen();
    assert_eq!(seen.len(), 2, "it is read twice");
    let head = &seen[0].head;
    assert!(head.starts_with("GET ") && head.contains(SECRET), "{head}");
    assert_eq!(seen[0].user(), Some(1));
    let again = reconcile(&home, &["--now"]);
    assert_eq!((code(&again), again.stdout.len()), (0, 0));
    let (status, log) = program.stop();
    assert!(status.success() && !log.contains(SECRET), "{log}");
    home.record();
    for file in home.files().iter().filter(|f| f.starts_with(home.audit())) {
        let bytes = std::fs::read(file).unwrap();
        assert!(wire::find(&bytes, SECRET.as_bytes()).is_none(), "p8");
    }
}

#[test]
fn p2_an_existing_user_is_still_there() {
    let users = Users::start();
    let (home, _program) = unknown(&users);
    users.behave(Manner::Answer(Duration::ZERO));
    assert_eq!(settled(&home)["result"], "still_there");
}

#[test]
fn p2_an_upstream_that_fails_cannot_tell() {
    let users = Users::start();
    let (home, _program) = unknown(&users);
    users.behave(Manner::Raw(FAILED));
    assert_eq!(settled(&home)["result"], "cannot_tell");
    let index = trail::list(&home.audit())[0]["index"].to_string();
    let again = reconcile(&home, &["--now", &index]);
    assert_eq!(code(&again), 0, "{}", text_of(&again));
    let said =
        format!("to ask again, run `lychgate audit reconcile {index} --config FILE --reason TEXT`");
    assert!(text_of(&again).contains(&said), "{}", text_of(&again));
}

#[test]
fn p2_a_deletion_stays_unresolved_while_upstream_is_down() {
    let users = Users::start();
    let (home, _program) = unknown(&users);
    let output = reconcile(&home, &["--now"]);
    assert_eq!(code(&output), 1);
    assert_eq!(objects(&output)[0]["result"], Value::Null);
    let said = text_of(&output);
    for part in [
        "user 1 got no answer: http://127.0.0.1:",
        "stays unresolved",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(objects(&audit(&home, &["unresolved", "--json"])).len(), 1);
    assert_eq!(trail::list(&home.audit())[0]["reconciled"], Value::Null);
    users.behave(Manner::Raw(GONE));
    assert_eq!(settled(&home)["result"], "deleted");
}

#[test]
fn p2_a_batch_gets_the_worst_result_of_its_users() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start(answer)).unwrap();
    let home = home(server.address());
    let program = home.start_ready();
    for batch in ["[1]", "[1,2]", "[3,1,2]"] {
        let head = format!("If-Match: 7\r\nContent-Length: {}\r\n", batch.len());
        let mut bytes = request("DELETE", "", &tokens::good_token(), &head);
        bytes.extend(batch.as_bytes());
        let answer = wire::exchange(program.address, &bytes).unwrap();
        assert_eq!(answer.status, 500, "{}", answer.shown());
    }
    let output = reconcile(&home, &["--now"]);
    assert_eq!(code(&output), 0, "{}", text_of(&output));
    let results: Vec<_> = objects(&output)
        .iter()
        .map(|o| o["result"].clone())
        .collect();
    assert_eq!(results, ["deleted", "still_there", "cannot_tell"]);
    let last = objects(&output)[2]["entry"].to_string();
    let shown = audit(&home, &["show", &last, "--json"]);
    let entries = objects(&shown);
    let entry = &entries
        .iter()
        .find(|e| e["entry"]["kind"] == "reconciled")
        .unwrap()["entry"];
    let users = json!([
        {"user": "3", "result": "cannot_tell", "status": 403, "revision": "5"},
        {"user": "1", "result": "deleted", "status": 404, "revision": "5"},
        {"user": "2", "result": "still_there", "status": 200, "revision": "5"},
    ]);
    assert_eq!(entry["users"], users);
    assert_eq!(
        (&entry["status"], &entry["revision"]),
        (&json!(403), &json!("5"))
    );
    assert_eq!(entry["host"], server.address().to_string());
    drop(program);
    home.record();
}

/// Deletions fail; user 1 does not exist, user 2 does, and for user 3 the answer is 403.
fn answer(request: &Request<bytes::Bytes>) -> Response<bytes::Bytes> {
    let status = match (
        request.method().as_str(),
        request.uri().path().rsplit('/').next(),
    ) {
        ("GET", Some("1")) => StatusCode::NOT_FOUND,
        ("GET", Some("2")) => StatusCode::OK,
        ("GET", _) => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let answer = Response::builder()
        .status(status)
        .header("ac-revision", "5");
    answer.body("{}".into()).unwrap()
}

#[test]
fn p2_without_a_gateway_the_command_takes_the_lock() {
    let users = Users::start();
    let (home, program) = unknown(&users);
    program.kill_nine();
    assert!(home.audit().join("control.sock").exists(), "it was killed");
    users.behave(Manner::Raw(GONE));
    assert_eq!(settled(&home)["result"], "deleted");
    home.record();
    // The next gateway takes over the trail, and the socket that the killed one left.
    users.behave(Manner::Answer(Duration::ZERO));
    let program = home.start_ready();
    assert_eq!(delete(program.address, 2).status, 200);
    let named = reconcile(&home, &["--now", "0"]);
    assert_eq!(code(&named), 1, "{}", text_of(&named));
}

#[test]
fn without_a_token_it_exits_2_and_names_the_missing_key() {
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    let program = home.start_ready();
    let missing = |home: &Home| {
        let output = reconcile(home, &["--now"]);
        assert_eq!(code(&output), 2);
        assert!(text_of(&output).contains("reconcile_token_file"));
    };
    missing(&home);
    assert!(program.stop().0.success());
    missing(&home);
    let reasonless = audit(&home, &["reconcile"]);
    assert_eq!(code(&reasonless), 2);
    assert_eq!(code(&audit(&home, &["reconcile", "--reason", " "])), 2);
}

#[test]
fn the_socket_is_private_and_removed_with_the_gateway() {
    let users = Users::start();
    let (home, program) = unknown(&users);
    let socket = home.audit().join("control.sock");
    let about = std::fs::symlink_metadata(&socket).unwrap();
    assert!(about.file_type().is_socket());
    assert_eq!(about.permissions().mode() & 0o7777, 0o600);
    if rustix::process::geteuid().is_root() {
        let mut command = trail::lychgate();
        command.args(["audit", "reconcile", "--reason", "mine", "--dir"]);
        match command.arg(home.audit()).uid(65_534).output() {
            Ok(output) => assert_eq!(code(&output), 74, "{}", text_of(&output)),
            // The build's folder may be below a private one, such as root's home.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                eprintln!("skipped in part: another user cannot execute the binary");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(program.stop().0.success());
    assert!(!socket.exists());
}

#[test]
fn hostile_input_to_the_socket_does_no_harm() {
    let users = Users::start();
    let (home, program) = unknown(&users);
    users.behave(Manner::Answer(Duration::ZERO));
    let socket = home.audit().join("control.sock");
    let mut slow = Vec::new();
    for round in 0..40 {
        let Ok(mut stream) = UnixStream::connect(&socket) else {
            panic!("round {round}: nobody listens")
        };
        stream
            .set_write_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        // The first connections stay open and send nothing more.
        let _ = stream.write_all(if round < 4 { b"{\"c" } else { &[0xff; 100_000] });
        let _ = stream.write_all(b"\n".repeat(usize::from(round >= 4)).as_slice());
        slow.push(stream);
    }
    assert_eq!(delete(program.address, 2).status, 200);
    let mut last = slow.pop().unwrap();
    last.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = last.read_to_end(&mut Vec::new());
    drop(slow);
    users.behave(Manner::Raw(GONE));
    assert_eq!(settled(&home)["result"], "deleted");
    assert!(program.stop().0.success());
}
