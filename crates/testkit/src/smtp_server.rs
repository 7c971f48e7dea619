//! An SMTP server in the test's own process: it keeps what it accepts and misbehaves as told.

mod mime;
mod received_email;
mod session;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

pub use received_email::ReceivedEmail;

/// How long [`RecordingSmtpServer::wait_for`] and its kind wait at most.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that takes e-mails on a port of the loopback interface, without TLS.
///
/// It accepts everything until [`script`](Self::script) says otherwise. It is strict about the order of commands, so a
/// client that mixes up two conversations fails visibly. Dropping it closes its port and every connection.
#[derive(Debug)]
pub struct RecordingSmtpServer {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

/// Where in the conversation something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SmtpStage {
    /// A client has connected.
    Greeting,
    /// `EHLO` or `HELO`.
    Hello,
    /// `AUTH`.
    Login,
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`, before the message.
    Data,
    /// The message, up to its final dot.
    Message,
    /// `NOOP`.
    Noop,
}

/// What the server does at one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SmtpAnswer {
    /// What it does without a script.
    Accept,
    /// Answers with this code and text; a message is not kept. `{to}` in the text becomes the last recipient.
    Reply {
        /// Three digits.
        code: u16,
        /// What follows them; several lines make a reply of several lines.
        text: String,
    },
    /// Never answers; the connection is open until the client closes it.
    Hang,
    /// Closes the connection without an answer; a message is not kept.
    Disconnect,
    /// Keeps the message, then closes the connection without an answer: done, but the reply was lost.
    AcceptAndDisconnect,
    /// Keeps the message, then never answers.
    AcceptAndHang,
}

impl SmtpAnswer {
    /// A reply with this code and text.
    pub fn reply(code: u16, text: impl Into<String>) -> Self {
        Self::Reply {
            code,
            text: text.into(),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    scripts: Mutex<HashMap<SmtpStage, VecDeque<SmtpAnswer>>>,
    progress: watch::Sender<Progress>,
    login: Option<(String, String)>,
}

#[derive(Debug, Default)]
struct Progress {
    received: Vec<ReceivedEmail>,
    visits: HashMap<SmtpStage, usize>,
    open: usize,
}

impl RecordingSmtpServer {
    /// A server on a free port.
    ///
    /// # Errors
    /// The loopback interface has no free port.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// A server at this address, such as the one a server had that was dropped.
    ///
    /// # Errors
    /// The address is in use.
    pub async fn start_on(address: SocketAddr) -> io::Result<Self> {
        Self::start_with(address, None).await
    }

    /// A server on a free port that takes e-mails after `AUTH PLAIN` with this name and password only.
    ///
    /// # Errors
    /// The loopback interface has no free port.
    pub async fn start_with_login(name: &str, password: &str) -> io::Result<Self> {
        let login = (name.to_owned(), password.to_owned());
        Self::start_with(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Some(login)).await
    }

    async fn start_with(address: SocketAddr, login: Option<(String, String)>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            login,
            ..State::default()
        });
        #[expect(
            clippy::disallowed_methods,
            reason = "the task ends when the server is dropped, which the test owns"
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

    /// Its URL without a login: `smtp://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Adds answers for a stage: the next time it is reached, on any connection, gets the first, and so on. When all
    /// are used up, the server accepts again.
    pub fn script(&self, stage: SmtpStage, answers: impl IntoIterator<Item = SmtpAnswer>) {
        self.state.scripts().entry(stage).or_default().extend(answers);
    }

    /// Every e-mail it kept, in the order of their final dots.
    pub fn received(&self) -> Vec<ReceivedEmail> {
        self.state.progress.borrow().received.clone()
    }

    /// How many times a stage was reached; that of [`SmtpStage::Greeting`] is the number of connections ever made.
    pub fn visits(&self, stage: SmtpStage) -> usize {
        self.state
            .progress
            .borrow()
            .visits
            .get(&stage)
            .copied()
            .unwrap_or_default()
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> usize {
        self.state.progress.borrow().open
    }

    /// Waits until it has kept `count` e-mails, at most 30 s, and answers those it has.
    pub async fn wait_for(&self, count: usize) -> Vec<ReceivedEmail> {
        self.wait_until(|progress| progress.received.len() >= count).await;
        self.received()
    }

    /// Waits until a stage was reached `count` times, at most 30 s; answers whether it was.
    pub async fn wait_for_visits(&self, stage: SmtpStage, count: usize) -> bool {
        self.wait_until(|progress| progress.visits.get(&stage).copied().unwrap_or_default() >= count)
            .await
    }

    /// Waits until `count` connections or fewer are open, at most 30 s; answers whether that came.
    pub async fn wait_for_open_connections(&self, count: usize) -> bool {
        self.wait_until(|progress| progress.open <= count).await
    }

    async fn wait_until(&self, reached: impl FnMut(&Progress) -> bool) -> bool {
        let mut progress = self.state.progress.subscribe();
        let waiting = tokio::time::timeout(PATIENCE, progress.wait_for(reached));
        matches!(waiting.await, Ok(Ok(_)))
    }
}

impl Drop for RecordingSmtpServer {
    fn drop(&mut self) {
        // The sessions belong to the accepting task, so they end with it.
        self.accepting.abort();
    }
}

impl State {
    fn scripts(&self) -> MutexGuard<'_, HashMap<SmtpStage, VecDeque<SmtpAnswer>>> {
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be done at this stage now.
    fn reach(&self, stage: SmtpStage) -> SmtpAnswer {
        let answer = self.scripts().get_mut(&stage).and_then(VecDeque::pop_front);
        self.progress
            .send_modify(|progress| *progress.visits.entry(stage).or_default() += 1);
        answer.unwrap_or(SmtpAnswer::Accept)
    }

    fn keep(&self, email: ReceivedEmail) {
        self.progress.send_modify(|progress| progress.received.push(email));
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    /// Counts a connection for as long as its session lives.
    struct Open(Arc<State>);
    impl Drop for Open {
        fn drop(&mut self) {
            self.0.progress.send_modify(|progress| progress.open -= 1);
        }
    }

    let mut sessions = JoinSet::new();
    // An error of `accept` concerns one connection that is already gone.
    loop {
        let accepted = listener.accept().await;
        while sessions.try_join_next().is_some() {}
        if let Ok((stream, _)) = accepted {
            state.progress.send_modify(|progress| progress.open += 1);
            let open = Open(Arc::clone(&state));
            sessions.spawn(async move {
                // A connection that breaks is the client's affair, and often the point of a test.
                let _ended = session::run(stream, &open.0).await;
            });
        }
    }
}

#[cfg(test)]
mod tests;
