//! The server, on a socket in a temporary folder.

use super::*;
use crate::audit::{TestFolder, test_folder};
use crate::control::client::ask;
use crate::control::protocol::Reconcile;

/// Only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(120);

fn request() -> Request {
    Request::Reconcile(Reconcile {
        reason: "asked".into(),
        now: true,
        deletions: vec!["4".into()],
        after: None,
    })
}

fn started() -> (TestFolder, Server) {
    started_with(PATIENCE)
}

/// A server that answers with the actor and the request.
fn started_with(timeout: Duration) -> (TestFolder, Server) {
    let folder = test_folder("control");
    let server = Server::start(folder.path(), timeout, |actor, request| async move {
        Answer::refused(74, format!("{} {request:?}", actor.uid))
    });
    (folder, server.unwrap())
}

async fn ask_here(folder: &TestFolder) -> Option<Answer> {
    let path = folder.path().to_owned();
    let asking = tokio::task::spawn_blocking(move || ask(&path, &request()).unwrap());
    asking.await.unwrap()
}

async fn connect(folder: &TestFolder) -> UnixStream {
    let place = Place::open(folder.path()).unwrap();
    UnixStream::connect(place.path()).await.unwrap()
}

async fn rest(mut stream: UnixStream) -> String {
    let mut text = String::new();
    // A reset counts as an end: the server may close before it has read everything.
    let _ = stream.read_to_string(&mut text).await;
    text
}

#[tokio::test]
async fn a_request_is_answered_and_the_actor_is_the_peer_user() {
    let (folder, server) = started();
    let own = rustix::process::geteuid().as_raw();
    let wanted = Answer::refused(74, format!("{own} {:?}", request()));
    assert_eq!(ask_here(&folder).await, Some(wanted));
    drop(server);
    assert_eq!(ask_here(&folder).await, None);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn only_root_and_the_gateways_own_user_may_ask() {
    assert_eq!(judge(1_000, 1_000), Ok(Actor { uid: 1_000 }));
    assert_eq!(judge(0, 1_000), Ok(Actor { uid: 0 }));
    let Err(Answer::Refused { exit: 74, message }) = judge(1_001, 1_000) else {
        panic!("user 1001 was let in")
    };
    assert!(
        message.contains("1001") && message.contains("1000"),
        "{message}"
    );
}

#[tokio::test]
async fn garbage_gets_a_refusal_and_nothing_else() {
    let (folder, _server) = started();
    for garbage in [
        &b"\0\xff garbage\n"[..],
        b"{}\n",
        b"\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = connect(&folder).await;
        stream.write_all(garbage).await.unwrap();
        let text = rest(stream).await;
        assert!(text.contains("not a line of this socket"), "{text}");
    }
    assert!(ask_here(&folder).await.is_some());
}

#[tokio::test]
async fn an_endless_line_is_cut_off() {
    let (folder, _server) = started();
    let mut stream = connect(&folder).await;
    let chunk = vec![b'x'; 16 << 10];
    let mut sent = 0;
    while sent < 64 << 20 && stream.write_all(&chunk).await.is_ok() {
        sent += chunk.len();
    }
    assert!(sent < 2 << 20, "{sent} bytes were taken");
    assert!(ask_here(&folder).await.is_some());
}

#[tokio::test]
async fn a_connection_without_a_whole_line_times_out() {
    let (folder, _server) = started_with(Duration::from_millis(300));
    let mut slow = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let mut stream = connect(&folder).await;
        stream.write_all(b"{\"comm").await.unwrap();
        slow.push(stream);
    }
    // All connections are taken, so this one waits in the kernel's queue.
    let mut stream = connect(&folder).await;
    stream.write_all(&request().line().unwrap()).await.unwrap();
    assert!(rest(stream).await.contains("asked"));
    for stream in slow {
        assert!(rest(stream).await.contains("no whole line"));
    }
}

#[tokio::test]
async fn a_command_that_reads_no_answer_frees_its_connection() {
    let (folder, _server) = started();
    for _ in 0..MAX_CONNECTIONS * 4 {
        let mut stream = connect(&folder).await;
        stream.write_all(&request().line().unwrap()).await.unwrap();
    }
    assert!(ask_here(&folder).await.is_some());
}

#[tokio::test]
async fn an_open_request_finishes_after_the_socket_is_removed() {
    let folder = test_folder("control");
    let (began, mut begun) = tokio::sync::mpsc::channel(1);
    let server = Server::start(folder.path(), PATIENCE, move |_, _| {
        let began = began.clone();
        async move {
            let _ = began.send(()).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            Answer::refused(74, "late")
        }
    });
    let server = server.unwrap();
    let path = folder.path().to_owned();
    let asking = tokio::task::spawn_blocking(move || ask(&path, &request()).unwrap());
    begun.recv().await.unwrap();
    server.finish(PATIENCE).await;
    assert_eq!(asking.await.unwrap(), Some(Answer::refused(74, "late")));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
