//! A proxy between a client and a server that delays, cuts and holds what passes, as a test tells it.
//!
//! [`TcpProxy`] treats any protocol alike; [`PostgresProxy`] also knows which statement passes, so that a test can say
//! "forward this `COMMIT`, but lose the reply", and [`AmqpProxy`] which frame, for "forward this message, but lose its
//! confirmation".

mod amqp;
mod connection;
mod conversation;
mod interpreter;
mod postgres;
mod pump;
mod rules;
mod statement;
mod statement_rules;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use connection::{Ending, Link};
use interpreter::Protocol;

pub use amqp::{AmqpFrame, AmqpProxy};
pub use postgres::PostgresProxy;
pub use rules::{Hold, Loss};
pub use statement::Statement;

/// How long a test waits at most for something to happen in a proxy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Listens on a port of the loopback interface and connects each client to the server behind.
///
/// It passes everything on until told otherwise, at any time and for connections that are open, too. Dropping it closes
/// its port and cuts every connection.
pub struct TcpProxy {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

/// One of the two ways through a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// What clients send.
    ToServer,
    /// What the server sends.
    ToClient,
}

/// What becomes of the bytes that go in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flow {
    /// They go on at once.
    #[default]
    Pass,
    /// Each piece waits this long. What arrives meanwhile is one piece and waits again.
    Delay(Duration),
    /// So many bytes go on in a second, in small pieces.
    Throttle {
        /// At least one.
        bytes_per_second: u32,
    },
    /// They are not even read, so the sender's buffers fill up; they go on when the flow changes.
    Blackhole,
    /// They are read and forgotten: in this direction the connection is dead, and its sender does not notice.
    ///
    /// A connection that has lost bytes carries nothing sensible any more, so statements and frames are no longer looked for in it.
    Discard,
}

/// What becomes of a client that connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arrivals {
    /// It is connected to the server.
    #[default]
    Forward,
    /// It is cut off at once.
    Cut,
    /// It is connected to nothing: nobody reads what it sends. It stays so when this changes.
    Ignore,
}

struct State {
    upstream: Mutex<String>,
    arrivals: Mutex<Arrivals>,
    to_server: watch::Sender<Flow>,
    to_client: watch::Sender<Flow>,
    /// Ends all connections that are open when it is sent.
    ending: watch::Sender<Option<Ending>>,
    counts: watch::Sender<Counts>,
    protocol: Option<Protocol>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    accepted: usize,
    open: usize,
}

impl TcpProxy {
    /// A proxy in front of the server at `upstream`, which is `host:port`.
    ///
    /// # Errors
    /// The loopback interface has no free port.
    pub async fn start(upstream: impl fmt::Display) -> io::Result<Self> {
        Self::start_with(upstream.to_string(), None).await
    }

    async fn start_with(upstream: String, protocol: Option<Protocol>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            upstream: Mutex::new(upstream),
            arrivals: Mutex::default(),
            to_server: watch::Sender::default(),
            to_client: watch::Sender::default(),
            ending: watch::Sender::new(None),
            counts: watch::Sender::default(),
            protocol,
        });
        #[expect(
            clippy::disallowed_methods,
            reason = "the task ends when the proxy is dropped, which the test owns"
        )]
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            accepting,
        })
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, clients that connect get to this server instead.
    pub fn set_upstream(&self, upstream: impl fmt::Display) {
        *lock(&self.state.upstream) = upstream.to_string();
    }

    /// Changes one direction of all connections, open and to come.
    pub fn set_flow(&self, direction: Direction, flow: Flow) {
        self.state.flow(direction).send_replace(flow);
    }

    /// Changes what becomes of clients that connect from now on.
    pub fn set_arrivals(&self, arrivals: Arrivals) {
        *lock(&self.state.arrivals) = arrivals;
    }

    /// Cuts all open connections: both ends see a reset, and what was under way is lost.
    pub fn cut(&self) {
        self.state.ending.send_replace(Some(Ending::Cut));
    }

    /// Closes all open connections: both ends see an orderly end.
    pub fn close(&self) {
        self.state.ending.send_replace(Some(Ending::Close));
    }

    /// How many connections clients have ever made.
    pub fn connections(&self) -> usize {
        self.state.counts.borrow().accepted
    }

    /// How many connections of clients are open now.
    pub fn open_connections(&self) -> usize {
        self.state.counts.borrow().open
    }

    /// Waits until clients have made `count` connections in all, at most 30 s; answers whether they did.
    pub async fn wait_for_connections(&self, count: usize) -> bool {
        self.wait_until(|counts| counts.accepted >= count).await
    }

    /// Waits until `count` connections or fewer are open, at most 30 s; answers whether that came.
    pub async fn wait_for_open_connections(&self, count: usize) -> bool {
        self.wait_until(|counts| counts.open <= count).await
    }

    async fn wait_until(&self, reached: impl FnMut(&Counts) -> bool) -> bool {
        let mut counts = self.state.counts.subscribe();
        let waiting = tokio::time::timeout(PATIENCE, counts.wait_for(reached));
        matches!(waiting.await, Ok(Ok(_)))
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        // The connections belong to the accepting task, so they end with it.
        self.accepting.abort();
    }
}

impl fmt::Debug for TcpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpProxy")
            .field("address", &self.address)
            .field("counts", &*self.state.counts.borrow())
            .finish_non_exhaustive()
    }
}

impl State {
    const fn flow(&self, direction: Direction) -> &watch::Sender<Flow> {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut links = JoinSet::new();
    // An error of `accept` concerns one connection that is already gone.
    loop {
        let accepted = listener.accept().await;
        while links.try_join_next().is_some() {}
        if let Ok((client, _)) = accepted {
            // What ends connections from now on ends this one, too, however long it takes to reach the server.
            let link = Link::new(client, Arc::clone(&state));
            links.spawn(link.run());
        }
    }
}
