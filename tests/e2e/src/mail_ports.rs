//! Ports where mail is expected and nobody answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

/// A port where every connection is refused. Nobody else gets it, and a server can be started on it.
#[derive(Debug)]
pub struct RefusingPort {
    address: SocketAddr,
    // Bound and not listening: connections are refused, and the port is taken.
    _bound: TcpSocket,
}

impl RefusingPort {
    /// A port of the loopback interface.
    pub fn open() -> Self {
        let bound = TcpSocket::new_v4().unwrap();
        // A server may bind it as well.
        bound.set_reuseaddr(true).unwrap();
        bound.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        Self {
            address: bound.local_addr().unwrap(),
            _bound: bound,
        }
    }

    /// Where nobody listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A port where every connection is accepted and never answered. Dropping it closes the port and all connections.
#[derive(Debug)]
pub struct SilentPort {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    _accepting: JoinSet<()>,
}

impl SilentPort {
    /// A port of the loopback interface.
    pub async fn open() -> Self {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::<AtomicUsize>::default();
        let mut accepting = JoinSet::new();
        let count = Arc::clone(&accepted);
        accepting.spawn(async move {
            let mut connections = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                connections.push(connection);
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self {
            address,
            accepted,
            _accepting: accepting,
        }
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Where connections are accepted.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}
