//! A connection that is made again whenever it is lost. Nothing of a lost one is used in the next: each is an epoch of its own.

mod dial;
mod epoch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::tasks::{BrokerError, RetryPolicy};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::declarer::unavailable;
use crate::options::AmqpOptions;
use crate::trouble::{Trouble, TroubleKind};

pub(crate) use dial::Dialler;
pub(crate) use epoch::{CALL_LIMIT, Epoch};

/// Connects, and takes leave again: whether there is a broker that lets this process in.
///
/// # Errors
/// [`BrokerError::Refused`] when the login or the virtual host is wrong, [`BrokerError::Unavailable`] when it cannot be reached.
pub async fn try_to_connect(options: &AmqpOptions) -> Result<(), BrokerError> {
    match Dialler::new(options, "trying").dial(0).await {
        Ok((epoch, _)) => {
            epoch.close().await;
            Ok(())
        }
        Err(trouble) => Err(unavailable("connect", &trouble)),
    }
}

/// A connection for one purpose. Clones share it.
#[derive(Clone)]
pub(crate) struct Link {
    state: watch::Receiver<State>,
}

/// What a connection is at present.
#[derive(Clone)]
enum State {
    /// Not made yet, or lost, with what was seen last.
    Down(Trouble),
    Up(Arc<Epoch>),
    Closed,
}

/// Keeps a connection, until it is told to stop.
pub(crate) struct Supervisor {
    dialler: Dialler,
    purpose: &'static str,
    randomness: Arc<dyn Randomness>,
    state: watch::Sender<State>,
    closing: CancellationToken,
}

/// From 100 ms, doubling, to 4 s: back within 5 s of what it waits for, and no storm.
const BACKOFF: RetryPolicy = RetryPolicy {
    max_attempts: u32::MAX,
    base: Duration::from_millis(100),
    factor: 2.0,
    max_delay: Duration::from_secs(4),
};

/// Numbers the connections of a process.
static EPOCHS: AtomicU64 = AtomicU64::new(1);

impl Supervisor {
    /// A connection for `purpose`, which is part of its name on the broker, and who keeps it.
    pub(crate) fn new(
        options: &AmqpOptions,
        purpose: &'static str,
        randomness: Arc<dyn Randomness>,
        closing: CancellationToken,
    ) -> (Self, Link) {
        let (sender, state) = watch::channel(State::Down(Trouble::away("not connected yet")));
        let supervisor = Self {
            dialler: Dialler::new(options, purpose),
            purpose,
            randomness,
            state: sender,
            closing,
        };
        (supervisor, Link { state })
    }

    pub(crate) async fn run(self) {
        let mut failures: u32 = 0;
        while !self.closing.is_cancelled() {
            let trouble = match self.dialler.dial(EPOCHS.fetch_add(1, Ordering::Relaxed)).await {
                Ok((epoch, events)) => {
                    tracing::info!(
                        purpose = self.purpose,
                        epoch = epoch.number(),
                        "connected to the broker"
                    );
                    failures = 0;
                    self.state.send_replace(State::Up(Arc::clone(&epoch)));
                    let trouble = epoch.until_lost(events, &self.closing).await;
                    self.state.send_replace(State::Down(trouble.clone()));
                    epoch.close().await;
                    if self.closing.is_cancelled() {
                        break;
                    }
                    tracing::warn!(purpose = self.purpose, epoch = epoch.number(), error = %trouble, "the connection to the broker is lost and made again");
                    trouble
                }
                Err(trouble) => trouble,
            };
            failures = failures.saturating_add(1);
            let wait = BACKOFF.delay(failures, self.randomness.unit());
            // Each time would be once a second for as long as it lasts.
            if failures.is_power_of_two() {
                tracing::warn!(purpose = self.purpose, failures, error = %trouble, "the broker cannot be reached; it is tried again");
            }
            self.state.send_replace(State::Down(trouble));
            tokio::select! {
                () = self.closing.cancelled() => {}
                () = sleep(wait) => {}
            }
        }
        self.state.send_replace(State::Closed);
    }
}

impl State {
    /// Whether nothing better is to be expected: whoever hears that a connection is lost hears it before its supervisor.
    fn is_settled(&self) -> bool {
        match self {
            Self::Up(epoch) => !epoch.lost().is_cancelled(),
            Self::Down(_) => false,
            Self::Closed => true,
        }
    }
}

impl Link {
    /// The connection, waiting up to `wait` for it.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn up(&self, wait: Duration) -> Result<Arc<Epoch>, Trouble> {
        let mut state = self.state.clone();
        let found = timeout(wait, state.wait_for(State::is_settled)).await;
        match found {
            Ok(Ok(state)) => match &*state {
                State::Up(epoch) => Ok(Arc::clone(epoch)),
                State::Down(trouble) => Err(trouble.clone()),
                State::Closed => Err(closed()),
            },
            Ok(Err(_)) => Err(closed()),
            Err(_) => self.now(),
        }
    }

    /// The connection, if there is one now.
    pub(crate) fn now(&self) -> Result<Arc<Epoch>, Trouble> {
        match &*self.state.borrow() {
            // Its supervisor has not heard of it yet.
            State::Up(epoch) if epoch.lost().is_cancelled() => Err(epoch.why()),
            State::Up(epoch) => Ok(Arc::clone(epoch)),
            State::Down(trouble) => Err(trouble.clone()),
            State::Closed => Err(closed()),
        }
    }

    /// The same, unless the broker takes nothing at present.
    pub(crate) fn taking(&self) -> Result<Arc<Epoch>, Trouble> {
        let epoch = self.now()?;
        match epoch.blocked() {
            None => Ok(epoch),
            Some(why) => Err(Trouble::new(TroubleKind::Blocked, format!("broker blocked: {why}"))),
        }
    }
}

fn closed() -> Trouble {
    Trouble::away("the queue is closed")
}
