//! A connection to an address that was checked.

use std::io;
use std::net::{IpAddr, SocketAddr};

use aftercommit_domain::effects::{ForbiddenUrl, WebhookError, WebhookNetwork, check_public};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::name_lookup::NameLookup;
use crate::tls;

/// How many addresses of one name are tried.
const ADDRESSES: usize = 4;

/// Where to connect, and what is needed for it.
pub(crate) struct Route<'a> {
    pub(crate) url: &'a Url,
    pub(crate) network: WebhookNetwork,
    pub(crate) names: &'a dyn NameLookup,
    pub(crate) tls: &'a TlsConnector,
}

/// Bytes in and out.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects. The caller sets the deadline.
pub(crate) async fn open(route: &Route<'_>) -> Result<Box<dyn Stream>, WebhookError> {
    let addresses = checked_addresses(route).await?;
    let stream = connect(&addresses).await?;
    if route.url.scheme() == "https" {
        return Ok(Box::new(tls::secure(route.tls, route.url, stream).await?));
    }
    Ok(Box::new(stream))
}

/// The addresses the URL's host has, all of which may be connected to. When one may not, none is: a name that leads to
/// both is out for something.
async fn checked_addresses(route: &Route<'_>) -> Result<Vec<SocketAddr>, WebhookError> {
    let port = route.url.port_or_known_default().unwrap_or(443);
    let addresses = match route.url.host() {
        Some(Host::Ipv4(address)) => vec![SocketAddr::new(IpAddr::V4(address), port)],
        Some(Host::Ipv6(address)) => vec![SocketAddr::new(IpAddr::V6(address), port)],
        Some(Host::Domain(name)) => route
            .names
            .addresses(name, port)
            .await
            .map_err(|error| unresolved(&error))?,
        None => Vec::new(),
    };
    if addresses.is_empty() {
        return Err(unresolved(&"it has none"));
    }
    if route.network == WebhookNetwork::Public && addresses.iter().any(|address| check_public(address.ip()).is_err()) {
        let reason = "its name leads to an address that is not on the public internet";
        return Err(ForbiddenUrl::new(reason, route.network).into());
    }
    Ok(addresses)
}

fn unresolved(reason: &dyn std::fmt::Display) -> WebhookError {
    WebhookError::Unresolved {
        reason: reason.to_string(),
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, WebhookError> {
    let mut last = io::Error::other("no address was tried");
    for address in addresses.iter().take(ADDRESSES) {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Only a matter of speed.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(WebhookError::Unreachable {
        reason: last.to_string(),
    })
}
