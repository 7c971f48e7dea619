//! Looking names up.

use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;

/// Looks up what a name leads to.
#[async_trait]
pub trait NameLookup: Send + Sync {
    /// The addresses of `name`, with `port`; none is an error too.
    ///
    /// # Errors
    /// The name is unknown, or nobody answered.
    async fn addresses(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// As the machine does it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNameLookup;

#[async_trait]
impl NameLookup for SystemNameLookup {
    async fn addresses(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, port)).await?.collect())
    }
}
