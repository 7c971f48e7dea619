//! Hearing of tasks that other processes published.

use std::sync::Arc;

use aftercommit_platform_db_postgres::{Bell, Ring, Told};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::topics::Topics;

/// Wakes the consumers of this process when others ring.
pub(crate) struct Hearing {
    pub(crate) bell: Arc<Bell>,
    pub(crate) topics: Arc<Topics>,
}

impl Hearing {
    pub(crate) async fn run(self, closing: CancellationToken) {
        closing.run_until_cancelled(self.keep_hearing()).await;
    }

    async fn keep_hearing(&self) {
        // A process that takes no tasks needs no connection that listens.
        loop {
            let changed = self.topics.changed.seen();
            if !self.topics.waited_for().is_empty() {
                break;
            }
            self.topics.changed.changed(changed).await;
        }
        let mut rings = self.bell.listen();
        // What was rung before.
        self.topics.look.bump();
        loop {
            match rings.recv().await {
                Ok(ring) => self.follow(&ring),
                Err(RecvError::Lagged(_)) => self.topics.look.bump(),
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn follow(&self, ring: &Ring) {
        for told in ring.told() {
            match told {
                Told::Anything | Told::DueTimes => self.topics.look.bump(),
                Told::Topic(name) => {
                    if let Some(topic) = self.topics.known(name) {
                        topic.wake.bump();
                    }
                }
                Told::Outbox | Told::OutboxExpected => {}
            }
        }
    }
}
