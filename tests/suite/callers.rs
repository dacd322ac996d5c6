//! Callers for the scenarios: raw requests, one or many at a time, which may hang up.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use serde_json::json;

use crate::support::refusals;
use crate::support::tokens::{self, ACCOUNT, Signer};
use crate::support::wire::{self, Answer};

/// The path of the account's users.
const BASE: &str = "/api/account";

/// A valid token of this subject.
pub(crate) fn token_of(subject: &str) -> String {
    let mut claims = tokens::good_claims();
    claims.insert("sub".into(), json!(subject));
    tokens::sign(Signer::Main, &tokens::good_header(Signer::Main), &claims)
}

/// A valid deletion of this user.
pub(crate) fn deletion(user: u64, token: &str) -> Vec<u8> {
    request("DELETE", &format!("/{user}"), token, "If-Match: 7\r\n")
}

/// A read of this user.
pub(crate) fn read(user: u64, token: &str) -> Vec<u8> {
    request("GET", &format!("/{user}"), token, "")
}

/// A request below the path of the account's users.
pub(crate) fn request(method: &str, below: &str, token: &str, headers: &str) -> Vec<u8> {
    format!(
        "{method} {BASE}/{ACCOUNT}/configuration/le-users/users{below}?v=4.0 HTTP/1.1\r\n\
         Host: gate.test\r\nAuthorization: Bearer {token}\r\n{headers}\r\n"
    )
    .into_bytes()
}

/// Sends a deletion on a new connection and waits for its answer.
pub(crate) fn delete(address: SocketAddr, user: u64) -> Answer {
    let answer = wire::exchange(address, &deletion(user, &tokens::good_token()));
    answer.expect("a deletion is answered")
}

/// Sends a read on a new connection and waits for its answer.
pub(crate) fn get(address: SocketAddr, user: u64) -> Answer {
    let answer = wire::exchange(address, &read(user, &tokens::good_token()));
    answer.expect("a read is answered")
}

/// The code, `sent` and `cause` of a refusal, whose text follows docs/refusals.md.
pub(crate) fn refusal(answer: &Answer) -> (String, String, String) {
    let body = answer.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let code = text("code");
    assert_eq!(
        answer.header("lychgate-refusal"),
        Some(&*code).filter(|c| !c.is_empty())
    );
    if !code.is_empty() {
        let faults = refusals::faults(&body, None);
        assert!(faults.is_empty(), "{faults:#?}");
    }
    (code, text("sent"), text("cause"))
}

/// The index of the intent in the receipt.
pub(crate) fn receipt_index(answer: &Answer) -> Option<u64> {
    let receipt = answer.header("lychgate-receipt")?;
    receipt.rsplit_once('/')?.1.parse().ok()
}

/// One request of a load. It has no answer if its connection ended first.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) user: u64,
    pub(crate) answer: Option<Answer>,
}

/// Many connections that each send one request after another.
#[derive(Debug)]
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Vec<Call>>>,
}

impl Load {
    /// Starts the load; each request is for the next user. A connection that breaks ends its
    /// thread.
    pub(crate) fn start(
        address: SocketAddr,
        connections: usize,
        users: &Arc<AtomicU64>,
        request: impl Fn(u64) -> Vec<u8> + Clone + Send + 'static,
    ) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let threads = (0..connections).map(|_| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let (users, request) = (Arc::clone(users), request.clone());
            std::thread::spawn(move || {
                let mut calls = Vec::new();
                let mut stream = None;
                while !stop.load(Ordering::Relaxed) {
                    let user = users.fetch_add(1, Ordering::Relaxed);
                    let answer = call(address, &mut stream, &request(user));
                    let broken = answer.is_none();
                    calls.push(Call { user, answer });
                    if broken {
                        break;
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                calls
            })
        });
        let threads = threads.collect();
        Self {
            stop,
            answered,
            threads,
        }
    }

    /// The number of answered requests so far.
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits until each connection has finished its request, and returns all calls.
    pub(crate) fn end(self) -> Vec<Call> {
        self.stop.store(true, Ordering::Relaxed);
        let calls = self
            .threads
            .into_iter()
            .map(|thread| thread.join().unwrap());
        calls.flatten().collect()
    }
}

fn call(address: SocketAddr, stream: &mut Option<TcpStream>, request: &[u8]) -> Option<Answer> {
    if stream.is_none() {
        let new = TcpStream::connect(address).ok()?;
        new.set_read_timeout(Some(wire::PATIENCE)).unwrap();
        new.set_nodelay(true).ok()?;
        *stream = Some(new);
    }
    let open = stream.as_mut()?;
    open.write_all(request).ok()?;
    let answer = wire::read_answer(open).filter(|answer| !answer.cut)?;
    if answer.header("connection") == Some("close") {
        *stream = None;
    }
    Some(answer)
}

/// Pseudorandom numbers, reproducible from the seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // xorshift64*, Vigna 2016.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}
