//! Trust: accepted certificates, and the errors for others.

use super::testing::{pair, write};
use super::*;
use std::path::PathBuf;

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsAcceptor;

/// Sends a greeting over TLS and returns the negotiated protocol.
async fn greet(client: &ClientTls, server: ServerConfig, host: &str) -> Result<Vec<u8>, String> {
    let (near, far): (DuplexStream, _) = tokio::io::duplex(16 * 1024);
    let serve = tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(server));
        if let Ok(mut io) = acceptor.accept(far).await {
            io.write_all(b"hi").await.unwrap();
            io.shutdown().await.unwrap();
        }
    });
    let mut io = client.connect(host, near).await?;
    let mut text = String::new();
    io.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hi");
    serve.await.unwrap();
    Ok(io.get_ref().1.alpn_protocol().unwrap_or_default().to_vec())
}

#[tokio::test]
async fn a_server_of_a_trusted_root_gets_http_1_1() {
    let (client, server) = pair("name", &["a.example"]);
    let protocol = greet(&client, server, "a.example").await.unwrap();
    assert_eq!(protocol, b"http/1.1");
}

#[tokio::test]
async fn an_address_literal_is_verified_as_such() {
    let (client, server) = pair("literal", &["127.0.0.1"]);
    assert!(greet(&client, server.clone(), "127.0.0.1").await.is_ok());
    assert!(greet(&client, server, "127.0.0.2").await.is_err());
}

#[tokio::test]
async fn another_name_is_refused() {
    let (client, server) = pair("other", &["a.example"]);
    let why = greet(&client, server, "b.example").await.unwrap_err();
    assert!(why.starts_with("TLS with b.example failed: "), "{why}");
}

#[tokio::test]
async fn an_unknown_root_is_refused() {
    let (client, _) = pair("ours", &["a.example"]);
    let (_, server) = pair("theirs", &["a.example"]);
    assert!(greet(&client, server, "a.example").await.is_err());
}

#[tokio::test]
async fn an_invalid_name_is_refused_before_a_byte_is_sent() {
    let (client, server) = pair("no-name", &["a.example"]);
    let why = greet(&client, server, "a b").await.unwrap_err();
    assert!(why.contains("is not a valid name"), "{why}");
}

#[test]
fn the_error_names_a_missing_or_broken_roots_file() {
    let missing = PathBuf::from("/nowhere/roots.pem");
    let why = ClientTls::new(Some(&missing)).unwrap_err();
    assert!(
        why.starts_with("/nowhere/roots.pem: cannot be read"),
        "{why}"
    );
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (name, text, expected) in [
        ("empty", "", "holds no certificate"),
        ("text", "hello", "holds no certificate"),
        ("broken", broken, "certificate 1 cannot be used"),
    ] {
        let path = write(name, text);
        let why = ClientTls::new(Some(&path)).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert!(why.contains(expected) && why.contains(name), "{why}");
    }
}

#[test]
fn the_systems_roots_are_read_at_the_first_use() {
    let tls = ClientTls::new(None).unwrap();
    assert!(tls.config.get().is_none());
}
