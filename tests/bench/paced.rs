//! One connection that sends a number of requests at a fixed pace, independent of the machine's
//! load. The gateway's periodic work (checkpoints, checks of its files) is then the same share of
//! each request.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::load::{answered, request};

/// `paced ADDRESS REQUESTS APART REST METHOD TOKENS_FILE`, times in milliseconds: prints its
/// results like `load`.
pub(crate) fn role(words: &[&str]) {
    let [address, requests, apart, rest, method, tokens] = words else {
        panic!("paced needs six arguments");
    };
    let tokens = std::fs::read_to_string(tokens).expect("a file of tokens");
    let tokens: Vec<Vec<u8>> = tokens.lines().map(|token| request(method, token)).collect();
    let requests: u32 = requests.parse().expect("a number of requests");
    let [apart, rest] =
        [apart, rest].map(|time| Duration::from_millis(time.parse().expect("milliseconds")));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(send(address, &tokens, requests, (apart, rest)));
}

async fn send(
    address: &str,
    tokens: &[Vec<u8>],
    requests: u32,
    (apart, rest): (Duration, Duration),
) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let mut buffer = vec![0; 16 * 1024];
    let mut latencies = Vec::new();
    let mut other = 0;
    let begun = Instant::now();
    for (number, token) in (0..requests).zip(tokens.iter().cycle()) {
        // The time follows the plan and not the last answer, so that the connection catches up
        // after a delay.
        let due = begun + apart * number;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        stream.write_all(token).await.expect("the request is sent");
        if answered(&mut stream, &mut buffer).await {
            latencies.push(sent.elapsed());
        } else {
            other += 1;
        }
        std::thread::sleep(rest);
    }
    let seconds = begun.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let median = latencies.get(latencies.len() / 2).copied();
    println!(
        "{} {other} {seconds} {}",
        latencies.len(),
        median.unwrap_or_default().as_secs_f64()
    );
}
