//! Calls over real sockets.

use super::testing::{Server, ok};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
/// Reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(120);

fn fetch() -> Fetch {
    Fetch::new(ClientTls::new(None).unwrap())
}

/// The result of a call to a server that sends these bytes; the body may have 100.
async fn got(answer: &[u8]) -> Result<Bytes, String> {
    let answer = answer.to_vec();
    let server = Server::start(move |_| answer.clone()).await;
    let address = Address::parse(&server.url("/keys?secret=1")).unwrap();
    let got = fetch().get(&address, 100, PATIENCE).await;
    got.inspect_err(|text| {
        assert!(text.starts_with(&server.url("/keys: ")), "{text}");
        assert!(
            !text.contains("secret"),
            "a query may hold a secret: {text}"
        );
    })
}

async fn why(answer: &[u8]) -> String {
    got(answer).await.unwrap_err()
}

#[tokio::test]
async fn a_body_comes_by_length_by_chunks_or_to_the_close() {
    assert_eq!(got(&ok("{}")).await.unwrap(), "{}");
    let chunked =
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
    assert_eq!(got(chunked).await.unwrap(), "abc");
    assert_eq!(got(b"HTTP/1.1 200 OK\r\n\r\nabc").await.unwrap(), "abc");
}

#[tokio::test]
async fn the_request_names_its_host_and_asks_for_json() {
    let server = Server::start(|_| ok("{}")).await;
    let address = Address::parse(&server.url("/a/b?c=%2F")).unwrap();
    fetch().get(&address, 10, PATIENCE).await.unwrap();
    let head = server.heads().remove(0);
    assert!(head.starts_with("GET /a/b?c=%2F HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains(&format!("\r\nhost: {}\r\n", server.address)),
        "{head}"
    );
    assert!(head.contains("\r\naccept: application/json\r\n"), "{head}");
    assert!(!head.contains("authorization") && !head.contains("content-length"));
}

#[tokio::test]
async fn any_status_but_200_is_an_error_and_so_is_a_redirect() {
    let server = Server::start(|_| ok("{}")).await;
    let moved = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        server.url("/")
    );
    let text = why(moved.as_bytes()).await;
    assert!(text.contains("answered 302, not 200 (redirects"), "{text}");
    assert!(server.heads().is_empty());
    for status in ["204 No Content", "206 Partial", "404 Not Found", "500 Oops"] {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        let text = why(answer.as_bytes()).await;
        assert!(
            text.contains(&format!("answered {}", &status[..3])),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_body_is_bounded_whichever_way_it_comes() {
    let hundred = "a".repeat(100);
    assert_eq!(got(&ok(&hundred)).await.unwrap().len(), 100);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\n{hundred}\r\n1\r\na\r\n0\r\n\r\n"
    );
    for answer in [
        ok(&format!("{hundred}a")),
        chunked.into_bytes(),
        format!("HTTP/1.1 200 OK\r\n\r\n{hundred}a").into_bytes(),
    ] {
        let text = why(&answer).await;
        assert!(text.contains("longer than 100 bytes"), "{text}");
    }
}

#[tokio::test]
async fn a_length_beyond_the_bound_is_refused_before_the_body() {
    let text = why(b"HTTP/1.1 200 OK\r\ncontent-length: 101\r\n\r\n").await;
    assert!(text.contains("longer than 100 bytes"), "{text}");
}

#[tokio::test]
async fn an_answer_cut_short_is_an_error_and_never_a_short_body() {
    for answer in [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc".as_slice(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n",
        b"HTTP/1.1 200",
        b"",
        b"hello\r\n\r\n",
    ] {
        let text = why(answer).await;
        assert!(text.contains("the exchange broke"), "{text}");
    }
}

#[tokio::test]
async fn an_encoded_body_or_two_framings_are_refused() {
    let text =
        why(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\na").await;
    assert!(text.contains("encoded"), "{text}");
    let both =
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    assert!(got(both).await.is_err());
}

#[tokio::test]
async fn a_head_without_end_is_bounded() {
    let mut answer = b"HTTP/1.1 200 OK\r\na: ".to_vec();
    answer.resize(1 << 20, b'a');
    let text = why(&answer).await;
    assert!(text.contains("the exchange broke"), "{text}");
}

#[tokio::test]
async fn nobody_there_is_an_error_with_the_address() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/k", listener.local_addr().unwrap());
    drop(listener);
    let address = Address::parse(&url).unwrap();
    let error = fetch().get(&address, 10, PATIENCE).await.unwrap_err();
    assert!(
        error.starts_with(&format!("{url}: cannot connect")),
        "{error}"
    );
}

#[tokio::test]
async fn the_time_is_bounded_if_no_answer_comes() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/k", listener.local_addr().unwrap());
    let address = Address::parse(&url).unwrap();
    let error = fetch().get(&address, 10, SECOND / 10).await.unwrap_err();
    assert!(error.contains("no whole answer within 100ms"), "{error}");
}

#[tokio::test]
async fn https_trusts_only_the_configured_roots() {
    let (client, server) = crate::tls::testing::pair("fetch", &["127.0.0.1"]);
    let (stranger, _) = crate::tls::testing::pair("stranger", &["127.0.0.1"]);
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(server));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/k", listener.local_addr().unwrap());
    let _serving = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            if let Ok(mut io) = acceptor.accept(tcp).await {
                use tokio::io::AsyncWriteExt;
                io.write_all(&ok("{}")).await.unwrap();
                let _ = io.shutdown().await;
            }
        }
    }));
    let address = Address::parse(&url).unwrap();
    let got = Fetch::new(client).get(&address, 10, PATIENCE).await;
    assert_eq!(got.unwrap(), "{}");
    let error = Fetch::new(stranger).get(&address, 10, PATIENCE).await;
    let text = error.unwrap_err();
    assert!(
        text.starts_with(&format!("{url}: TLS with 127.0.0.1 failed")),
        "{text}"
    );
}
