//! Recording how tasks ended: what ends at about the same time is written at once.

use std::sync::Arc;

use aftercommit_domain::tasks::{EndedTask, HistoryError, Outcome, TaskHistory};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// The most endings of one write.
const AT_ONCE: usize = 500;
/// Endings that may wait.
const WAITING: usize = 10_000;

type Answer = Result<(), HistoryError>;

/// Hands endings to be recorded.
pub(crate) struct Recorder {
    history: Arc<dyn TaskHistory>,
    endings: mpsc::Sender<(EndedTask, oneshot::Sender<Answer>)>,
}

/// Records them.
pub(crate) struct Recording {
    history: Arc<dyn TaskHistory>,
    endings: mpsc::Receiver<(EndedTask, oneshot::Sender<Answer>)>,
}

impl Recorder {
    pub(crate) fn new(history: Arc<dyn TaskHistory>) -> (Self, Recording) {
        let (sender, endings) = mpsc::channel(WAITING);
        let recording = Recording {
            history: Arc::clone(&history),
            endings,
        };
        (
            Self {
                history,
                endings: sender,
            },
            recording,
        )
    }

    /// Whether an ending like this is to be recorded.
    pub(crate) fn keeps(&self, outcome: &Outcome) -> bool {
        self.history.keeps(outcome)
    }

    /// Returns when it is durable.
    pub(crate) async fn record(&self, ended: EndedTask) -> Answer {
        let (reply, answer) = oneshot::channel();
        let closed = || HistoryError::Unavailable {
            operation: "record",
            reason: "the queue is closed".into(),
        };
        self.endings.send((ended, reply)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

impl Recording {
    /// Records until it is closed, and then what waits already.
    pub(crate) async fn run(mut self, closing: CancellationToken) {
        let mut gathered = Vec::with_capacity(AT_ONCE);
        loop {
            let count = tokio::select! {
                biased;
                count = self.endings.recv_many(&mut gathered, AT_ONCE) => count,
                () = closing.cancelled(), if !self.endings.is_closed() => {
                    self.endings.close();
                    continue;
                }
            };
            if count == 0 {
                return;
            }
            let (ended, replies): (Vec<EndedTask>, Vec<_>) = gathered.drain(..).unzip();
            let answer = self.history.record(ended.clone()).await;
            if answer.is_ok() || count == 1 {
                for reply in replies {
                    // The delivery may be gone; it comes again.
                    let _ = reply.send(answer.clone());
                }
                continue;
            }
            // Each for itself, so that a bad one spoils nobody else's.
            for (one, reply) in ended.into_iter().zip(replies) {
                let _ = reply.send(self.history.record(vec![one]).await);
            }
        }
    }
}
