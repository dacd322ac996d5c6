//! A certificate for tests, with a client and a server that use it.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;

use super::ClientTls;

/// A file with this text; the caller removes it.
pub(crate) fn write(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("lychgate-tls-{}-{name}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

/// A client that trusts a new certificate for these names, and a server with that certificate.
pub(crate) fn pair(name: &str, hosts: &[&str]) -> (ClientTls, ServerConfig) {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(hosts).unwrap();
    let path = write(name, &cert.pem());
    let client = ClientTls::new(Some(&path)).unwrap();
    std::fs::remove_file(path).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (client, server)
}
