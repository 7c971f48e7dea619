//! TLS, with rustls.

use std::io;
use std::sync::Arc;

use aftercommit_domain::effects::WebhookError;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::{Host, Url};

/// No certificate could ever be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no certificate authority is trusted: {reason}")]
pub struct NoAuthorities {
    reason: String,
}

/// Trusts what the machine trusts.
pub(crate) fn of_the_machine() -> Result<TlsConnector, NoAuthorities> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A file with thousands of authorities may hold one that nobody can read.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let reason = match found.errors.first() {
            Some(error) => error.to_string(),
            None => "this machine has none; install the package ca-certificates".into(),
        };
        return Err(NoAuthorities { reason });
    }
    connector(roots)
}

/// Trusts these only, in PEM.
pub(crate) fn of(authorities: &str) -> Result<TlsConnector, NoAuthorities> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
    }
    connector(roots)
}

fn unreadable(error: &dyn std::error::Error) -> NoAuthorities {
    NoAuthorities {
        reason: error.to_string(),
    }
}

fn connector(roots: RootCertStore) -> Result<TlsConnector, NoAuthorities> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unreadable(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Secures a connection to the URL's host, whose certificate must be valid for it.
pub(crate) async fn secure(
    connector: &TlsConnector,
    url: &Url,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, WebhookError> {
    let name = match url.host() {
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()).ok(),
        Some(Host::Ipv4(address)) => Some(ServerName::from(std::net::IpAddr::V4(address))),
        Some(Host::Ipv6(address)) => Some(ServerName::from(std::net::IpAddr::V6(address))),
        None => None,
    };
    let name = name.ok_or_else(|| WebhookError::Tls {
        reason: "no certificate can be valid for this host".into(),
    })?;
    connector.connect(name, stream).await.map_err(|error| failed(&error))
}

fn failed(error: &io::Error) -> WebhookError {
    let reason = error.to_string();
    // What is no TLS error is a connection that broke off.
    if error
        .get_ref()
        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
    {
        return WebhookError::Tls { reason };
    }
    WebhookError::Unreachable { reason }
}
