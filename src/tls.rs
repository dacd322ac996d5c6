//! TLS for outgoing connections: the trusted root certificates.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

/// The rustls settings for outgoing connections. A clone is cheap. The system's roots are read at
/// the first use, so that a gateway with only `http` origins starts without roots.
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: Arc<OnceCell<Arc<ClientConfig>>>,
}

impl ClientTls {
    /// Creates settings that trust the certificates of `roots_file`, a PEM file. Without this file,
    /// the settings trust the system's roots.
    pub fn new(roots_file: Option<&Path>) -> Result<Self, String> {
        let config = match roots_file {
            None => OnceCell::new(),
            Some(path) => {
                let config = file_roots(path)
                    .and_then(client_config)
                    .map_err(|why| format!("{}: {why}", path.display()))?;
                OnceCell::new_with(Some(config))
            }
        };
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// Opens a TLS stream over `io` with ALPN `http/1.1`. The server's certificate must be valid
    /// for `host`, a name or an address literal.
    pub async fn connect<Io>(
        &self,
        host: &str,
        io: Io,
    ) -> Result<tokio_rustls::client::TlsStream<Io>, String>
    where
        Io: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("{host} is not a valid name for a certificate"))?;
        let config = self.config.get_or_try_init(system_config).await?;
        TlsConnector::from(Arc::clone(config))
            .connect(name, io)
            .await
            .map_err(|error| format!("TLS with {host} failed: {error}"))
    }
}

/// Reads the system's roots. Reading hundreds of certificates takes milliseconds, so the read must
/// not run on a thread that serves requests.
async fn system_config() -> Result<Arc<ClientConfig>, String> {
    tokio::task::spawn_blocking(|| system_roots().and_then(client_config))
        .await
        .map_err(|_| "the system's root certificates could not be read".to_owned())?
}

fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the system's root certificates cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (added, unusable) = roots.add_parsable_certificates(found.certs);
    if unusable > 0 {
        tracing::debug!(
            unusable,
            "some of the system's root certificates are unusable"
        );
    }
    if added == 0 {
        return Err("the system has no root certificates; name a file with the roots".into());
    }
    Ok(roots)
}

fn file_roots(path: &Path) -> Result<RootCertStore, String> {
    let pem = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut roots = RootCertStore::empty();
    for (place, certificate) in CertificateDer::pem_slice_iter(&pem).enumerate() {
        certificate
            .map_err(|error| error.to_string())
            .and_then(|der| roots.add(der).map_err(|error| error.to_string()))
            .map_err(|why| format!("certificate {} cannot be used: {why}", place + 1))?;
    }
    if roots.is_empty() {
        return Err("holds no certificate (PEM, `BEGIN CERTIFICATE`)".into());
    }
    Ok(roots)
}

fn client_config(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    // Name the provider: without an explicit provider, rustls panics if other crates enable several
    // providers.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
