//! Reads each user from upstream, twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderValue;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::audit::entry::{Found, UserFound};
use crate::fetch::{Answer, Fetch};
use crate::request::Origin;

/// The maximum number of concurrent connections.
const READERS: usize = 4;
/// The timeout for one read.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit for all reads of one deletion.
const ALL_TIMEOUT: Duration = Duration::from_secs(300);
/// The maximum size in bytes of the body that upstream returns for one user.
const MAX_BODY_BYTES: usize = 1 << 20;

const TOKEN_REFUSED: &str = "upstream refuses the token for reading back (401): renew it in the file that [audit] reconcile_token_file, or else [credentials] token_file, names";

/// Reads each user twice, `pause` apart, and returns the results in the order of `users`. `users` pairs
/// each user with the path to read that user.
///
/// # Errors
/// If a read gets no answer, or if upstream refuses the token. The text names one such user, the origin and
/// the reason.
pub(super) async fn read_back(
    fetch: &Fetch,
    origin: &Origin,
    token: &HeaderValue,
    users: Vec<(String, String)>,
    pause: Duration,
) -> Result<Vec<UserFound>, String> {
    let until = Instant::now() + ALL_TIMEOUT;
    let users = Arc::new(users);
    let round = || read_all(fetch, origin, token, &users, until);
    let first = round().await?;
    tokio::time::sleep(pause).await;
    let second = round().await?;
    let both = first.into_iter().zip(second);
    let judged = both.map(|(first, second)| match first.result == second.result {
        true => second,
        false => UserFound {
            result: Found::CannotTell,
            ..second
        },
    });
    Ok(judged.collect())
}

/// Reads each user once. Stops at the first read without a result.
async fn read_all(
    fetch: &Fetch,
    origin: &Origin,
    token: &HeaderValue,
    users: &Arc<Vec<(String, String)>>,
    until: Instant,
) -> Result<Vec<UserFound>, String> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut readers = JoinSet::new();
    for _ in 0..READERS.min(users.len()) {
        let (mut client, token) = (fetch.keep_alive(origin.clone()), token.clone());
        let (users, next) = (Arc::clone(users), Arc::clone(&next));
        readers.spawn(async move {
            let mut found = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some((user, target)) = users.get(at) else {
                    return Ok(found);
                };
                let left = until.saturating_duration_since(Instant::now());
                let timeout = READ_TIMEOUT.min(left);
                let answer = client.get(target, Some(&token), MAX_BODY_BYTES, timeout);
                match answer.await {
                    // This answer concerns the token, not the user.
                    Ok(answer) if answer.status == 401 => return Err(TOKEN_REFUSED.into()),
                    Ok(answer) => found.push((at, judge(user, &answer))),
                    Err(why) => return Err(format!("user {user} got no answer: {why}")),
                }
            }
        });
    }
    let mut all = Vec::with_capacity(users.len());
    while let Some(found) = readers.join_next().await {
        let found = found.unwrap_or_else(|_| Err("a read failed by a defect".into()));
        all.extend(found?);
    }
    all.sort_unstable_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, user)| user).collect())
}

fn judge(user: &str, answer: &Answer) -> UserFound {
    let revision = answer.headers.get("ac-revision");
    UserFound {
        user: user.to_owned(),
        result: match (answer.status, &answer.body) {
            (404, _) => Found::Deleted,
            (200, Some(body)) if says_deleted(body) => Found::Deleted,
            (200, Some(_)) => Found::StillThere,
            _ => Found::CannotTell,
        },
        status: Some(answer.status),
        revision: revision.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
    }
}

/// Whether the body is a user marked as deleted.
fn says_deleted(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct User {
        #[serde(default)]
        deleted: Option<bool>,
    }
    serde_json::from_slice::<User>(body).is_ok_and(|user| user.deleted == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::testing::{Server, ok};
    use crate::tls::ClientTls;

    const GONE: &[u8] = b"HTTP/1.1 404 Not Found\r\nac-revision: 7\r\ncontent-length: 0\r\n\r\n";

    fn token() -> HeaderValue {
        HeaderValue::from_static("Bearer t0ken")
    }

    async fn found(answers: [&[u8]; 2]) -> UserFound {
        read(answers).await.unwrap()
    }

    /// Reads one user from a server that gives these answers in turn.
    async fn read(answers: [&[u8]; 2]) -> Result<UserFound, String> {
        let answers = answers.map(<[u8]>::to_vec);
        let server = Server::start(move |number| answers[number % 2].clone()).await;
        let origin = Origin::parse(&server.url("")).unwrap();
        let fetch = Fetch::new(ClientTls::new(None).unwrap());
        let users = vec![("42".to_owned(), "/users/42?v=4.0".to_owned())];
        let pause = Duration::from_millis(1);
        let found = read_back(&fetch, &origin, &token(), users, pause).await;
        let heads = server.heads();
        assert!(heads.iter().all(|head| head.contains("Bearer t0ken")));
        found.map(|mut found| found.remove(0))
    }

    #[tokio::test]
    async fn p2_two_equal_reads_are_deleted_or_still_there() {
        let gone = found([GONE, GONE]).await;
        assert_eq!((gone.result, gone.status), (Found::Deleted, Some(404)));
        assert_eq!(gone.revision.as_deref(), Some("7"));
        let marked = ok(r#"{"id":42,"deleted":true}"#);
        assert_eq!(found([&marked, &marked]).await.result, Found::Deleted);
        assert_eq!(found([GONE, &marked]).await.result, Found::Deleted);
        let there = ok(r#"{"id":42,"deleted":false}"#);
        assert_eq!(found([&there, &there]).await.result, Found::StillThere);
    }

    #[tokio::test]
    async fn p2_two_reads_that_differ_are_cannot_tell() {
        let there = ok("{}");
        for answers in [[GONE, &there[..]], [&there, GONE]] {
            assert_eq!(found(answers).await.result, Found::CannotTell);
        }
    }

    #[tokio::test]
    async fn p2_any_other_answer_is_cannot_tell() {
        let denied = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
        let moved = b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n";
        let failed = b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n";
        let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}";
        for answer in [&denied[..], moved, failed, cut] {
            assert_eq!(found([answer, answer]).await.result, Found::CannotTell);
        }
    }

    #[tokio::test]
    async fn p2_a_read_without_an_answer_gives_no_result() {
        for answers in [[GONE, b""], [b"", GONE], [b"", b""]] {
            let why = read(answers).await.unwrap_err();
            let said = "user 42 got no answer: http://127.0.0.1:";
            assert!(why.starts_with(said) && !why.contains("t0ken"), "{why}");
        }
        let refused = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
        let why = read([GONE, refused]).await.unwrap_err();
        assert!(why.contains("reconcile_token_file"), "{why}");
    }

    #[tokio::test]
    async fn p2_each_user_of_a_batch_is_read_twice_in_order() {
        let server = Server::start(|_| ok("{}")).await;
        let origin = Origin::parse(&server.url("")).unwrap();
        let fetch = Fetch::new(ClientTls::new(None).unwrap());
        let users: Vec<_> = (1..=50)
            .map(|n| (n.to_string(), format!("/users/{n}")))
            .collect();
        let pause = Duration::from_millis(1);
        let found = read_back(&fetch, &origin, &token(), users, pause).await;
        let found = found.unwrap();
        let names: Vec<_> = found.iter().map(|found| found.user.clone()).collect();
        assert_eq!(names, (1..=50).map(|n| n.to_string()).collect::<Vec<_>>());
        assert_eq!(server.heads().len(), 100);
    }

    #[test]
    fn only_deleted_true_on_the_user_counts_as_deleted() {
        assert!(says_deleted(br#"{"deleted":true}"#));
        for body in [
            &b"{}"[..],
            b"",
            b"[]",
            br#"{"deleted":"true"}"#,
            br#"{"x":{"deleted":true}}"#,
        ] {
            assert!(!says_deleted(body));
        }
    }
}
