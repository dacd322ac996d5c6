//! Offers that a server may ignore, and spellings that the standards leave free: for a read, a write and a
//! deletion, upstream gets the same bytes as from the plainest caller.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use lychgate::audit::entry::Verdict;
use lychgate::audit::read::query::Progress;

use super::callers;
use super::program::{Home, PATIENCE, Program};
use crate::support::tokens;
use crate::support::upstream::Upstream;
use crate::support::wire::{self, Answer, unchunk};

/// A gateway in front of an upstream that records the exact bytes of each request.
struct Scene {
    upstream: Upstream,
    home: Home,
    program: Program,
}

/// A request of the contract, before a test adds headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plain {
    method: &'static str,
    /// The end of the path.
    below: &'static str,
    headers: &'static str,
    body: &'static str,
}

const READ: Plain = Plain {
    method: "GET",
    below: "/1",
    headers: "",
    body: "",
};
const WRITE: Plain = Plain {
    method: "PUT",
    below: "/1",
    headers: "If-Match: 7\r\nContent-Type: application/json\r\n",
    body: "{\"a\":1}",
};
const DELETION: Plain = Plain {
    method: "DELETE",
    below: "/1",
    headers: "If-Match: 7\r\n",
    body: "",
};
const OVERRIDDEN: Plain = Plain {
    method: "POST",
    below: "/1",
    headers: "If-Match: 7\r\nX-HTTP-Method-Override: DELETE\r\n",
    body: "",
};
const BATCH: Plain = Plain {
    method: "DELETE",
    below: "",
    headers: "If-Match: 7\r\n",
    body: "[\"1\",\"2\"]",
};
const ALL: [Plain; 5] = [READ, WRITE, DELETION, OVERRIDDEN, BATCH];

impl Plain {
    /// The head with these additional headers, without any framing.
    fn head(&self, headers: &str) -> String {
        let headers = format!("{}{headers}", self.headers);
        let token = tokens::good_token();
        String::from_utf8(callers::request(self.method, self.below, &token, &headers)).unwrap()
    }

    /// The request with these additional headers.
    fn with(&self, headers: &str) -> String {
        let framing = match self.body.len() {
            0 => String::new(),
            length => format!("Content-Length: {length}\r\n"),
        };
        self.head(&format!("{headers}{framing}")) + self.body
    }

    /// The request with its body in one chunk. `coding` is the value of `Transfer-Encoding`.
    fn chunked(&self, coding: &str) -> String {
        let body = self.body;
        let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        self.head(&format!("Transfer-Encoding: {coding}\r\n")) + &chunks
    }
}

/// A request as upstream saw it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    line: String,
    /// The header lines in alphabetical order. Those that differ from request to request have no value.
    headers: Vec<String>,
    body: String,
}

impl Seen {
    fn new(bytes: Vec<u8>) -> Self {
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.split("\r\n").map(str::to_owned);
        let line = lines.next().unwrap();
        let mut headers: Vec<_> = lines.map(without_varying_value).collect();
        headers.sort();
        let is_chunked = headers
            .iter()
            .any(|line| line.starts_with("transfer-encoding"));
        let body = match is_chunked {
            true => String::from_utf8(unchunk(body.as_bytes()).unwrap()).unwrap(),
            false => body.to_owned(),
        };
        Self {
            line,
            headers,
            body,
        }
    }

    /// The same request with another header line.
    fn but(mut self, from: &str, to: &str) -> Self {
        let line = self.headers.iter_mut().find(|line| *line == from);
        to.clone_into(line.unwrap_or_else(|| panic!("{from} is not there")));
        self.headers.sort();
        self
    }
}

fn without_varying_value(line: String) -> String {
    match line.split_once(": ") {
        Some((name @ ("traceparent" | "x-request-id"), _)) => name.to_owned(),
        _ => line,
    }
}

impl Scene {
    fn start() -> Self {
        let upstream = Upstream::start();
        let home = Home::new(upstream.address(), &[]);
        let program = home.start_ready();
        Self {
            upstream,
            home,
            program,
        }
    }

    /// Sends a request that must pass, and returns what upstream saw.
    fn pass(&self, request: &str) -> Seen {
        let answer = self.ask(request);
        assert_eq!(answer.status, 200, "{request}{}", answer.shown());
        let is_deletion = request.contains("DELETE");
        let has_receipt = callers::receipt_index(&answer).is_some();
        assert_eq!(has_receipt, is_deletion, "{request}");
        let mut seen = self.upstream.take_seen();
        assert_eq!(seen.len(), 1, "{request}");
        Seen::new(seen.remove(0))
    }

    /// Sends a request that must be refused with this code, without a byte to upstream.
    fn refuse(&self, request: &str, code: &str) -> Answer {
        let answer = self.ask(request);
        assert_eq!(callers::refusal(&answer).0, code, "{request}");
        assert_eq!(self.upstream.seen_count(), 0, "{request}");
        answer
    }

    fn ask(&self, request: &str) -> Answer {
        let answer = wire::exchange(self.program.address, request.as_bytes());
        answer.unwrap_or_else(|| panic!("no answer to {request}"))
    }

    /// Asserts that the trail has this number of deletions, each forwarded and answered.
    fn assert_deleted(self, count: usize) {
        drop(self.program);
        let record = self.home.record();
        let is_deleted = |outcome| outcome == Progress::Closed(Verdict::Deleted);
        let deleted = record
            .deletions
            .iter()
            .filter(|one| is_deleted(one.outcome));
        assert_eq!((deleted.count(), record.deletions.len()), (count, count));
    }
}

/// Opens a connection to the gateway and sends these bytes.
fn open(address: SocketAddr, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream
}

/// Reads until the gateway closes.
fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// As Java's `HttpClient` sends it by default, and `curl --http2`.
const H2C: &str = "Connection: Upgrade, HTTP2-Settings\r\n\
    HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\n";

#[test]
fn offers_do_not_change_what_upstream_sees() {
    let scene = Scene::start();
    let offers = [
        "",
        H2C,
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
        "Upgrade: TLS/1.3, HTTP/2.0\r\nConnection: keep-alive, upgrade\r\n",
        "Upgrade: h2c\r\n",
        "Connection: close, X-Private\r\nX-Private: 1\r\nx-PRIVATE: 2\r\n",
        "Connection: x-absent,\t,TE\r\nConnection: x-b\r\nX-B: 1\r\nTE: trailers\r\n",
        "Connection: Via, Forwarded, x-request-id, traceparent\r\nVia: 1.0 a\r\nForwarded: for=b\r\n",
        "Connection: Transfer-Encoding, Trailer, Keep-Alive\r\nKeep-Alive: timeout=5\r\n",
    ];
    for plain in ALL {
        let expected = scene.pass(&plain.with(""));
        assert!(expected.line.starts_with(plain.method));
        assert!(expected.line.ends_with(" HTTP/1.1"));
        assert_eq!(expected.body, plain.body);
        for offer in offers {
            assert_eq!(scene.pass(&plain.with(offer)), expected, "{offer}");
        }
    }
    let seen = scene.pass(&DELETION.with(H2C));
    let names = seen.headers.iter().map(|line| line.split(':').next());
    let expected = [
        "forwarded",
        "host",
        "if-match",
        "traceparent",
        "via",
        "x-request-id",
    ];
    assert_eq!(names.flatten().collect::<Vec<_>>(), expected);
    scene.assert_deleted(3 * (1 + offers.len()) + 1);
}

#[test]
fn a_connection_stays_open_after_an_offer() {
    let scene = Scene::start();
    for plain in [READ, WRITE, DELETION] {
        let request = plain.with(H2C);
        let mut stream = open(scene.program.address, &request);
        for _ in 0..2 {
            let answer = wire::read_answer(&mut stream).unwrap();
            assert_eq!((answer.status, answer.header("connection")), (200, None));
            stream.write_all(request.as_bytes()).unwrap();
        }
        assert_eq!(wire::read_answer(&mut stream).unwrap().status, 200);
    }
}

#[test]
fn connection_hides_nothing_that_the_gateway_judges() {
    let scene = Scene::start();
    for name in [
        "If-Match",
        "authorization",
        "HOST",
        "Content-Type",
        "content-length",
        "Content-Encoding",
        "X-HTTP-Method-Override",
        "x-http-method",
        "X-Method-Override",
    ] {
        for plain in ALL {
            for value in [
                name,
                &format!("close,\t{name} ,x"),
                &format!("x\r\nConnection: {name}"),
            ] {
                let request = plain.with(&format!("Connection: {value}\r\n"));
                scene.refuse(&request, "request-malformed");
            }
        }
    }
    scene.assert_deleted(0);
}

#[test]
fn the_name_of_a_coding_has_no_case() {
    let scene = Scene::start();
    let write = scene.pass(&WRITE.chunked("chunked"));
    assert!(
        write
            .headers
            .contains(&"transfer-encoding: chunked".to_owned())
    );
    assert_eq!(write.body, WRITE.body);
    let read = Plain { body: "{}", ..READ };
    for coding in ["Chunked", "CHUNKED", "chunkeD"] {
        assert_eq!(scene.pass(&WRITE.chunked(coding)), write);
        assert_eq!(
            scene.pass(&BATCH.chunked(coding)),
            scene.pass(&BATCH.with(""))
        );
        assert_eq!(
            scene.pass(&read.chunked(coding)),
            scene.pass(&READ.with(""))
        );
        scene.refuse(&DELETION.chunked(coding), "body-unexpected");
    }
    for coding in [
        "gzip, Chunked",
        "Chunked, chunked",
        "Chunked\r\nTransfer-Encoding: chunked",
    ] {
        scene.refuse(&WRITE.chunked(coding), "request-malformed");
        scene.refuse(&BATCH.chunked(coding), "request-malformed");
    }
}

#[test]
fn a_host_may_have_an_empty_port_and_any_case() {
    let scene = Scene::start();
    for plain in ALL {
        let request = plain.with("");
        let expected = |host: &str| {
            let forwarded = "forwarded: for=127.0.0.1;proto=http;host=";
            let (from, to) = (
                format!("{forwarded}gate.test"),
                format!("{forwarded}{host}"),
            );
            scene.pass(&request).but(&from, &to)
        };
        let host =
            |host: &str| request.replace("Host: gate.test\r\n", &format!("Host: {host}\r\n"));
        let absolute =
            |target: &str, host: &str| host.replacen(" /api/", &format!(" {target}/api/"), 1);
        assert_eq!(scene.pass(&host("gate.test:")), expected("\"gate.test:\""));
        assert_eq!(scene.pass(&host("[::1]:")), expected("\"[::1]:\""));
        for (target, name, seen) in [
            ("http://gate.test:", "gate.test", "gate.test"),
            ("HTTP://Gate.test", "gate.TEST:", "\"gate.TEST:\""),
        ] {
            assert_eq!(scene.pass(&absolute(target, &host(name))), expected(seen));
        }
        scene.refuse(&absolute("http://other.test:", &request), "path-malformed");
        for name in [":", "gate.test::", "gate.test:x"] {
            scene.refuse(&host(name), "request-malformed");
        }
    }
}

#[test]
fn a_deletion_with_a_length_of_zero_has_no_content() {
    let scene = Scene::start();
    let zero = "Content-Length: 0\r\n";
    let seen = scene.pass(&DELETION.with(zero));
    assert_eq!(seen, scene.pass(&DELETION.with("")));
    assert!(
        !seen
            .headers
            .iter()
            .any(|line| line.starts_with("content-length"))
    );
    let java = format!("{zero}User-Agent: Java-http-client/17\r\n{H2C}");
    let plain = "User-Agent: Java-http-client/17\r\n";
    assert_eq!(
        scene.pass(&DELETION.with(&java)),
        scene.pass(&DELETION.with(plain))
    );
    let overridden = scene.pass(&OVERRIDDEN.with(zero));
    assert_eq!(overridden, scene.pass(&OVERRIDDEN.with("")));
    assert!(overridden.headers.contains(&"content-length: 0".to_owned()));
    scene.assert_deleted(6);
}

const EXPECT: &str = "Expect: 100-Continue\r\nConnection: close\r\n";

#[test]
fn a_body_that_is_waited_for_gets_one_100() {
    let scene = Scene::start();
    let read = Plain { body: "{}", ..READ };
    for plain in [read, WRITE, BATCH] {
        let request = plain.with(EXPECT);
        let (head, body) = request.split_at(request.len() - plain.body.len());
        let mut stream = open(scene.program.address, head);
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(body.as_bytes()).unwrap();
        let answer = rest(stream);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let seen = Seen::new(scene.upstream.take_seen().remove(0));
        assert_eq!(seen, scene.pass(&plain.with("")));
    }
    // Without content there is nothing to wait for.
    let answer = rest(open(scene.program.address, &DELETION.with(EXPECT)));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    scene.assert_deleted(3);
}

/// Sends a head and no body, and asserts that the only answer is this refusal.
fn assert_refused_without_100(address: SocketAddr, head: &str, status: u16, code: &str) {
    let answer = rest(open(address, head));
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
    assert!(
        answer.contains(&format!("lychgate-refusal: {code}\r\n")),
        "{answer}"
    );
}

#[test]
fn a_refused_body_gets_no_100() {
    let scene = Scene::start();
    let head =
        |plain: Plain, length: u64| plain.head(&format!("{EXPECT}Content-Length: {length}\r\n"));
    let without_token = head(WRITE, 7).replace("Authorization: Bearer", "X-Other:");
    for (head, status, code) in [
        (without_token, 401, "token-missing"),
        (head(WRITE, 1 << 40), 413, "body-too-large"),
        (head(BATCH, 256 * 1024 + 1), 413, "body-too-large"),
        (head(READ, 3), 400, "body-unexpected"),
        (head(DELETION, 3), 400, "body-unexpected"),
        (head(OVERRIDDEN, 3), 400, "body-unexpected"),
    ] {
        assert_refused_without_100(scene.program.address, &head, status, code);
    }
    assert_eq!(scene.upstream.seen_count(), 0);
    // Nobody listens at the origin, so the gateway never asks for the body.
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let home = Home::new(nobody, &[]);
    let program = home.start();
    let code = "upstream-unreachable";
    assert_refused_without_100(program.address, &head(WRITE, 7), 502, code);
}

#[test]
fn head_and_options_are_405_with_allow() {
    let scene = Scene::start();
    let contract = "DELETE, GET, POST, PUT";
    let preflight = "Origin: https://a.test\r\nAccess-Control-Request-Method: DELETE\r\n";
    for (method, below, headers, allow) in [
        ("HEAD", "/1", "", "DELETE, GET, PUT"),
        ("HEAD", "", "", contract),
        ("OPTIONS", "/1", preflight, "DELETE, GET, PUT"),
        ("OPTIONS", "", "", contract),
        ("OPTIONS", "*", "", "GET, POST, PUT, DELETE"),
    ] {
        let plain = Plain {
            method,
            below,
            headers,
            body: "",
        };
        let mut request = plain.head("Connection: close\r\n");
        if below == "*" {
            let (_, lines) = request.split_once("\r\n").unwrap();
            request = format!("OPTIONS * HTTP/1.1\r\n{lines}");
        }
        let answer = rest(open(scene.program.address, &request));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 405 "), "{request}{answer}");
        assert!(
            head.contains("lychgate-refusal: method-not-allowed"),
            "{answer}"
        );
        assert!(
            head.contains(&format!("\r\nallow: {allow}\r\n")),
            "{answer}"
        );
        assert_eq!(body.is_empty(), method == "HEAD", "{answer}");
    }
    let hidden = Plain {
        method: "HEAD",
        ..OVERRIDDEN
    };
    let answer = rest(open(
        scene.program.address,
        &hidden.head("Connection: close\r\n"),
    ));
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(scene.upstream.seen_count(), 0);
}

#[test]
fn a_misspelt_probe_does_not_pass() {
    let scene = Scene::start();
    for query in ["unknown", "for=deletion", "verbose=1", "verbose&unknown"] {
        let page = scene.program.page(&format!("/readyz?{query}"));
        assert_eq!(page.status, 400, "{query}");
    }
    for query in [
        "",
        "?",
        "?verbose",
        "?for=deletions",
        "?for=deletions&verbose",
    ] {
        let page = scene.program.page(&format!("/readyz{query}"));
        assert_eq!(page.status, 200, "{query}");
    }
}
