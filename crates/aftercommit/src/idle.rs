//! Waiting until there is nothing left to do, for tests of an application.

use std::fmt;
use std::time::Duration;

use aftercommit_domain::events::{OutboxError, OutboxStats};
use aftercommit_domain::tasks::{InspectionError, TopicDepth};
use tokio::time::{sleep, timeout};

use crate::kit::Operations;
use crate::opened::Running;

/// How often it is looked.
const GLANCE: Duration = Duration::from_millis(10);

/// There is something left to do.
#[derive(Debug, thiserror::Error)]
pub enum StillBusy {
    /// After all the time it was given.
    #[error("after {patience:?} there is still something to do: {left}")]
    Unfinished {
        /// How long was waited.
        patience: Duration,
        /// What was seen last.
        left: Backlog,
    },
    /// The outbox cannot be looked at.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The queue cannot be looked at.
    #[error(transparent)]
    Queue(#[from] InspectionError),
}

/// What is left to do.
#[derive(Debug, Clone, Default)]
pub struct Backlog {
    /// Messages that wait in the outbox or are being published.
    pub outbox: u64,
    /// The topics with tasks that wait, run, or wait for their time.
    pub topics: Vec<TopicDepth>,
}

impl Running {
    /// Waits until nothing is left to do, whoever does it: no message in the outbox, no task waiting, running or waiting
    /// for its time. What was given up, quarantined or dead, is not waited for. For tests: *do something, wait, look at
    /// the effects*, so that what must not happen has had its chance.
    ///
    /// # Errors
    /// What is left when `patience` is over, or the store.
    pub async fn until_idle(&self, patience: Duration) -> Result<(), StillBusy> {
        let mut left = Backlog::default();
        let looking = async {
            loop {
                // What moves from a task into the outbox between the two questions of one look is seen by the other.
                left = look(self.operations()).await?;
                if left.is_nothing() {
                    left = look(self.operations()).await?;
                    if left.is_nothing() {
                        return Ok(());
                    }
                }
                sleep(GLANCE).await;
            }
        };
        let waited = timeout(patience, looking).await;
        waited.unwrap_or(Err(StillBusy::Unfinished { patience, left }))
    }
}

/// First the outbox and then the queue, the way messages go, so that none is missed on it.
async fn look(operations: &Operations) -> Result<Backlog, StillBusy> {
    let OutboxStats { waiting, claimed, .. } = operations.outbox().stats().await?;
    let mut topics = operations.inspector().depths().await?;
    topics.retain(|topic| topic.available + topic.scheduled + topic.running > 0);
    Ok(Backlog {
        outbox: waiting + claimed,
        topics,
    })
}

impl Backlog {
    fn is_nothing(&self) -> bool {
        self.outbox == 0 && self.topics.is_empty()
    }
}

impl fmt::Display for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in the outbox", self.outbox)?;
        for topic in &self.topics {
            let TopicDepth {
                topic,
                available,
                scheduled,
                running,
                paused,
                consumers: _,
            } = topic;
            write!(
                f,
                "; {topic}: {available} waiting, {running} running, {scheduled} waiting for their time"
            )?;
            if *paused > 0 {
                write!(f, ", {paused} paused")?;
            }
        }
        Ok(())
    }
}
