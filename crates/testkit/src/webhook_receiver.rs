//! A receiver of webhooks in the test's own process: it keeps what it takes and misbehaves as told.

mod received_webhook;
mod session;

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

pub use received_webhook::ReceivedWebhook;

/// How long [`RecordingWebhookReceiver::wait_for`] waits at most.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server that takes HTTP requests on a port of the loopback interface, without TLS.
///
/// It takes everything with 200 until [`script`](Self::script) says otherwise. Dropping it closes its port and every
/// connection.
#[derive(Debug)]
pub struct RecordingWebhookReceiver {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

/// What the receiver does with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiverStep {
    /// Keeps it and answers 200: what it does without a script.
    Accept,
    /// Answers with this status and these header lines, and does not keep it.
    Refuse {
        /// The status.
        status: u16,
        /// Such as `Retry-After: 2`.
        headers: Vec<String>,
    },
    /// Keeps it and answers with these bytes, whatever they are, then closes the connection.
    AcceptWith(Vec<u8>),
    /// Keeps it and answers with the first bytes, then with the second again and again until the client closes.
    AcceptEndlessly {
        /// Said once.
        first: Vec<u8>,
        /// Said for ever.
        then: Vec<u8>,
        /// How long between two of them.
        every: Duration,
    },
    /// Keeps it, then closes the connection without an answer: done, but the reply was lost.
    AcceptAndDisconnect,
    /// Closes the connection without reading.
    Disconnect,
    /// Keeps it and never answers; the connection is open until the client closes it.
    AcceptAndHang,
}

impl ReceiverStep {
    /// An answer of this status that keeps nothing.
    pub const fn status(status: u16) -> Self {
        Self::Refuse {
            status,
            headers: Vec::new(),
        }
    }

    /// The same with a `Retry-After`.
    pub fn retry_after(status: u16, header: &str) -> Self {
        Self::Refuse {
            status,
            headers: vec![format!("Retry-After: {header}")],
        }
    }
}

#[derive(Debug, Default)]
struct State {
    script: Mutex<VecDeque<ReceiverStep>>,
    progress: watch::Sender<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    kept: Vec<ReceivedWebhook>,
    requests: Vec<ReceivedWebhook>,
    connections: usize,
}

impl RecordingWebhookReceiver {
    /// A receiver on a free port.
    ///
    /// # Errors
    /// The loopback interface has no free port.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        #[expect(
            clippy::disallowed_methods,
            reason = "the task ends when the receiver is dropped, which the test owns"
        )]
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            accepting,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL of it, with this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Adds what it does with the next requests, one step each.
    pub fn script(&self, steps: impl IntoIterator<Item = ReceiverStep>) {
        self.state.script().extend(steps);
    }

    /// What it kept, in the order it came; a message that came twice is in it twice.
    pub fn received(&self) -> Vec<ReceivedWebhook> {
        self.state.progress.borrow().kept.clone()
    }

    /// Every request it read, also what it refused, in the order it came.
    pub fn requests(&self) -> Vec<ReceivedWebhook> {
        self.state.progress.borrow().requests.clone()
    }

    /// How many connections were opened to it.
    pub fn connections(&self) -> usize {
        self.state.progress.borrow().connections
    }

    /// Returns what it kept once that are at least `count`.
    ///
    /// # Panics
    /// After a minute.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> impl Future<Output = Vec<ReceivedWebhook>> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            let mut progress = self.state.progress.subscribe();
            let waited = tokio::time::timeout(PATIENCE, progress.wait_for(|now| now.kept.len() >= count)).await;
            let received = self.received();
            assert!(waited.is_ok(), "{caller}: {} of {count} webhooks came", received.len());
            received
        }
    }
}

impl Drop for RecordingWebhookReceiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl State {
    fn script(&self) -> MutexGuard<'_, VecDeque<ReceiverStep>> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_step(&self) -> ReceiverStep {
        self.script().pop_front().unwrap_or(ReceiverStep::Accept)
    }

    fn read(&self, webhook: &ReceivedWebhook) {
        self.progress
            .send_modify(|progress| progress.requests.push(webhook.clone()));
    }

    fn keep(&self, webhook: ReceivedWebhook) {
        self.progress.send_modify(|progress| progress.kept.push(webhook));
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    // Aborted with this task.
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        state.progress.send_modify(|progress| progress.connections += 1);
        let state = Arc::clone(&state);
        sessions.spawn(async move { session::run(stream, &state).await });
        while sessions.try_join_next().is_some() {}
    }
}
