//! A closed loop of keep-alive connections: each sends a request, reads its answer, and sends the
//! next.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// `load ADDRESS CONNECTIONS MILLISECONDS METHOD TOKENS_FILE`: prints its results on one line.
pub(crate) fn role(words: &[&str]) {
    let [address, connections, milliseconds, method, tokens] = words else {
        panic!("load needs five arguments");
    };
    let tokens = std::fs::read_to_string(tokens).expect("a file of tokens");
    let requests: Vec<Vec<u8>> = tokens.lines().map(|token| request(method, token)).collect();
    let requests: &'static [Vec<u8>] = Box::leak(requests.into_boxed_slice());
    let connections: usize = connections.parse().expect("a number of connections");
    let duration = Duration::from_millis(milliseconds.parse().expect("milliseconds"));
    let address: &'static str = Box::leak(address.to_string().into_boxed_str());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let begun = Instant::now();
    let mut all = runtime.block_on(async {
        let clients: Vec<_> = (0..connections)
            .map(|n| tokio::spawn(client(address, requests, n, begun + duration)))
            .collect();
        let mut all = Seen::default();
        for client in clients {
            let seen = client.await.expect("a client");
            all.other += seen.other;
            all.latencies.extend(seen.latencies);
        }
        all
    });
    let seconds = begun.elapsed().as_secs_f64();
    all.latencies.sort_unstable();
    let median = all.latencies.get(all.latencies.len() / 2).copied();
    println!(
        "{} {} {} {}",
        all.latencies.len(),
        all.other,
        seconds,
        median.unwrap_or_default().as_secs_f64()
    );
}

/// A request with this token.
pub(super) fn request(method: &str, token: &str) -> Vec<u8> {
    format!(
        "{method} /api/account/12345678/configuration/le-users/users/700100042?v=4.0 HTTP/1.1\r\n\
         Host: gateway.test\r\nAuthorization: Bearer {token}\r\nIf-Match: 42\r\n\
         Accept: application/json\r\n\r\n"
    )
    .into_bytes()
}

#[derive(Default)]
struct Seen {
    latencies: Vec<Duration>,
    other: usize,
}

async fn client(
    address: &'static str,
    requests: &'static [Vec<u8>],
    first: usize,
    end: Instant,
) -> Seen {
    let mut seen = Seen::default();
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let mut buffer = vec![0; 16 * 1024];
    let mut next = first;
    while Instant::now() < end {
        let sent = Instant::now();
        let request = &requests[next % requests.len()];
        next += 1;
        stream
            .write_all(request)
            .await
            .expect("the request is sent");
        if answered(&mut stream, &mut buffer).await {
            seen.latencies.push(sent.elapsed());
        } else {
            seen.other += 1;
        }
    }
    seen
}

/// Reads one answer. Returns whether its status is 200.
pub(super) async fn answered(stream: &mut TcpStream, buffer: &mut [u8]) -> bool {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await.expect("an answer");
        assert!(read > 0, "the answer was cut short");
        filled += read;
        let text = &buffer[..filled];
        let Some(head) = text.windows(4).position(|w| w == b"\r\n\r\n") else {
            continue;
        };
        if filled >= head + 4 + content_length(&text[..head]) {
            return text.starts_with(b"HTTP/1.1 200");
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = std::str::from_utf8(head).expect("a plain head");
    head.lines()
        .find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().expect("a length"))
        })
        .unwrap_or_default()
}
