//! An e-mail sender that keeps what it was given and fails as it is told.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aftercommit_domain::effects::{Email, EmailError, EmailSender, IdempotencyKey};
use async_trait::async_trait;
use tokio::sync::{Semaphore, watch};

/// Keeps what it accepted, and fails as it is told: each send takes the next [`SendStep`]; without one it accepts.
///
/// ```
/// # use aftercommit_testkit::{RecordingEmailSender, SendStep};
/// # use aftercommit_domain::effects::EmailError;
/// let sender = RecordingEmailSender::new();
/// sender.script([SendStep::Reject(EmailError::Unavailable { reason: "451 later".into() }), SendStep::Accept]);
/// assert!(sender.sent().is_empty());
/// ```
#[derive(Debug)]
pub struct RecordingEmailSender {
    state: Mutex<State>,
    /// How many were accepted so far; what a waiting test looks at.
    accepted: watch::Sender<usize>,
    /// How many sends are held.
    held: watch::Sender<usize>,
    released: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<SendStep>,
    sent: Vec<SentEmail>,
    attempts: usize,
}

/// What one send does.
#[derive(Debug, Clone)]
pub enum SendStep {
    /// Accepts it.
    Accept,
    /// Refuses it with this error; nothing was sent.
    Reject(EmailError),
    /// Accepts it, but the sender hears that the server is unavailable: done, and the reply was lost.
    AcceptThenLoseReply,
    /// Waits until [`RecordingEmailSender::release`], then accepts. A send that is dropped while held was never sent.
    Hold,
}

/// An e-mail that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentEmail {
    /// The e-mail.
    pub email: Email,
    /// The key it was sent with.
    pub key: IdempotencyKey,
}

impl RecordingEmailSender {
    /// A sender that accepts everything.
    pub fn new() -> Self {
        Self {
            state: Mutex::default(),
            accepted: watch::Sender::new(0),
            held: watch::Sender::new(0),
            released: Semaphore::new(0),
        }
    }

    /// Adds what the next sends do, one step each.
    pub fn script(&self, steps: impl IntoIterator<Item = SendStep>) {
        self.lock().script.extend(steps);
    }

    /// What was accepted, in order; an e-mail sent twice is in it twice.
    pub fn sent(&self) -> Vec<SentEmail> {
        self.lock().sent.clone()
    }

    /// How often a send was tried, refused ones included.
    pub fn attempts(&self) -> usize {
        self.lock().attempts
    }

    /// Lets one held send go on.
    pub fn release(&self) {
        self.released.add_permits(1);
    }

    /// Returns once at least `count` were accepted. Has no deadline: wrap it in the test's own.
    pub async fn wait_for_sent(&self, count: usize) -> Vec<SentEmail> {
        let mut accepted = self.accepted.subscribe();
        // The sender lives in `self`, so the wait cannot end before the number is reached.
        let _ = accepted.wait_for(|accepted| *accepted >= count).await;
        self.sent()
    }

    /// Returns once at least `count` sends are held. Has no deadline: wrap it in the test's own.
    pub async fn wait_for_held(&self, count: usize) {
        let mut held = self.held.subscribe();
        let _ = held.wait_for(|held| *held >= count).await;
    }

    fn accept(&self, email: Email, key: &IdempotencyKey) {
        let sent = {
            let mut state = self.lock();
            state.sent.push(SentEmail {
                email,
                key: key.clone(),
            });
            state.sent.len()
        };
        self.accepted.send_replace(sent);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for RecordingEmailSender {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl EmailSender for RecordingEmailSender {
    async fn send(&self, email: Email, key: &IdempotencyKey) -> Result<(), EmailError> {
        let step = {
            let mut state = self.lock();
            state.attempts += 1;
            state.script.pop_front().unwrap_or(SendStep::Accept)
        };
        match step {
            SendStep::Accept => {}
            SendStep::Reject(error) => return Err(error),
            SendStep::AcceptThenLoseReply => {
                self.accept(email, key);
                return Err(EmailError::Unavailable {
                    reason: "the reply was lost".into(),
                });
            }
            SendStep::Hold => {
                let held = Held::new(&self.held);
                // The semaphore is never closed.
                if let Ok(permit) = self.released.acquire().await {
                    permit.forget();
                }
                drop(held);
            }
        }
        self.accept(email, key);
        Ok(())
    }
}

/// Counts a held send for as long as it is held, also when it is dropped.
struct Held<'a>(&'a watch::Sender<usize>);

impl<'a> Held<'a> {
    fn new(held: &'a watch::Sender<usize>) -> Self {
        held.send_modify(|held| *held += 1);
        Self(held)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|held| *held -= 1);
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::effects::EmailAddress;
    use aftercommit_domain::ids::MessageId;
    use futures::FutureExt;
    use uuid::Uuid;

    use super::*;

    fn email() -> Email {
        Email {
            to: EmailAddress::new("ada@example.com").unwrap(),
            subject: "Hello".into(),
            text: "Hello".into(),
            html: "<p>Hello</p>".into(),
        }
    }

    fn key() -> IdempotencyKey {
        MessageId::from(Uuid::from_u128(1)).into()
    }

    #[tokio::test]
    async fn a_rejected_email_was_not_sent_and_one_whose_reply_was_lost_was() {
        let sender = RecordingEmailSender::new();
        let rejection = EmailError::Refused {
            reason: "550 no such user".into(),
        };
        sender.script([SendStep::Reject(rejection), SendStep::AcceptThenLoseReply]);
        assert!(matches!(
            sender.send(email(), &key()).await,
            Err(EmailError::Refused { .. })
        ));
        assert!(sender.sent().is_empty());
        assert!(matches!(
            sender.send(email(), &key()).await,
            Err(EmailError::Unavailable { .. })
        ));
        assert_eq!(sender.sent().len(), 1);
        assert!(sender.send(email(), &key()).await.is_ok());
        assert_eq!((sender.wait_for_sent(2).await.len(), sender.attempts()), (2, 3));
    }

    #[tokio::test]
    async fn a_held_send_goes_on_when_it_is_released_and_is_not_sent_when_it_is_dropped() {
        let sender = RecordingEmailSender::new();
        sender.script([SendStep::Hold, SendStep::Hold]);
        assert!(sender.send(email(), &key()).now_or_never().is_none());
        assert!(sender.sent().is_empty());
        let key = key();
        let (sent, ()) = futures::join!(sender.send(email(), &key), async {
            sender.wait_for_held(1).await;
            assert!(sender.sent().is_empty());
            sender.release();
        });
        assert!(sent.is_ok());
        assert_eq!(sender.sent().len(), 1);
    }
}
