//! The same over TLS: trust, the count of bytes that left, and peeks.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;

use super::support::*;
use crate::clock::Clock;
use crate::forward::{Delivery, Failure, FailureKind, Outgoing, Report};
use crate::metrics::Metrics;
use crate::outbound::client::Client;
use crate::request::Origin;

/// A TLS server for `localhost`, and the file with its certificate.
struct Secure {
    port: u16,
    roots: PathBuf,
    requests: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Secure {
    /// Each connection answers this many requests, reads one more, and closes.
    fn start(answers: usize) -> Self {
        static FILES: AtomicUsize = AtomicUsize::new(0);
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let number = FILES.fetch_add(1, Ordering::SeqCst);
        let name = format!("lychgate-outbound-{}-{number}.pem", std::process::id());
        let roots = std::env::temp_dir().join(name);
        std::fs::write(&roots, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let secure = Self {
            port: listener.local_addr().unwrap().port(),
            roots,
            requests: Arc::default(),
            connections: Arc::default(),
        };
        let (requests, connections) = (
            Arc::clone(&secure.requests),
            Arc::clone(&secure.connections),
        );
        let config = Arc::new(config);
        std::thread::spawn(move || {
            for stream in listener.incoming().take(8) {
                connections.fetch_add(1, Ordering::SeqCst);
                let (config, requests) = (Arc::clone(&config), Arc::clone(&requests));
                std::thread::spawn(move || {
                    let stream = stream.unwrap();
                    let patience = Some(Duration::from_secs(5));
                    stream.set_read_timeout(patience).unwrap();
                    let connection = ServerConnection::new(config).unwrap();
                    let mut stream = StreamOwned::new(connection, stream);
                    for number in 0..=answers {
                        if !read_head(&mut stream) {
                            return;
                        }
                        requests.fetch_add(1, Ordering::SeqCst);
                        if number < answers {
                            let _ = stream.write_all(OK.as_bytes());
                        }
                    }
                });
            }
        });
        secure
    }

    fn client(&self) -> Client {
        let mut settings = settings();
        settings.roots_file = Some(self.roots.clone());
        Client::new(settings, Metrics::new(), Clock::system()).unwrap()
    }

    fn outgoing(&self, host: &str, method: Method, delivery: Delivery) -> Outgoing {
        let origin = Origin {
            tls: true,
            host: host.to_owned(),
            port: self.port,
        };
        outgoing_to(origin.into(), method, delivery)
    }

    async fn delete(&self, client: &Client) -> Report {
        let outgoing = self.outgoing("localhost", Method::DELETE, Delivery::Deletion);
        send(client, outgoing).await
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.roots);
    }
}

fn read_head(stream: &mut impl Read) -> bool {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return false,
        }
    }
    true
}

fn assert_untouched(failure: &Failure) {
    assert_eq!(failure.kind, FailureKind::Unreachable);
    assert!(!failure.bytes_left, "a handshake is no byte of the request");
}

#[tokio::test]
async fn a_connection_under_tls_is_used_again() {
    let secure = Secure::start(9);
    let client = secure.client();
    for _ in 0..8 {
        let report = secure.delete(&client).await;
        assert_eq!(report.attempts, 1);
        assert_eq!(text(report.reply.unwrap()).await.unwrap(), "ok");
    }
    assert_eq!(secure.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn p7_a_deletion_lost_under_tls_is_not_sent_again() {
    let secure = Secure::start(1);
    let client = secure.client();
    let response = secure.delete(&client).await.reply.unwrap();
    text(response).await.unwrap();
    let failure = failure(secure.delete(&client).await);
    assert_eq!(failure.kind, FailureKind::ConnectionLost);
    assert!(failure.bytes_left);
    assert_eq!(secure.requests.load(Ordering::SeqCst), 2);
    assert_eq!(secure.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_untrusted_certificate_is_unreachable() {
    let secure = Secure::start(1);
    let other = Secure::start(1);
    let failure = failure(secure.delete(&other.client()).await);
    assert_untouched(&failure);
    assert!(failure.detail.contains("localhost"), "{}", failure.detail);
    assert_eq!(secure.requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_certificate_for_another_host_is_unreachable() {
    let secure = Secure::start(1);
    let outgoing = secure.outgoing("127.0.0.1", Method::DELETE, Delivery::Deletion);
    assert_untouched(&failure(send(&secure.client(), outgoing).await));
    assert_eq!(secure.requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_peer_that_speaks_no_tls_is_unreachable() {
    let plain = Upstream::start(|_, session| session.say("HTTP/1.1 400 Bad Request\r\n\r\n"));
    let mut secure = Secure::start(1);
    secure.port = plain.address.port();
    assert_untouched(&failure(secure.delete(&secure.client()).await));
}
