//! Whether there is anything to do, and when there will be.

use std::collections::BTreeSet;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::events::RawOutboxMessage;
use aftercommit_domain::time::Timestamp;

use super::InMemory;

/// A message that a committed transaction wrote and no relay has published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpublishedMessage {
    /// What it holds.
    pub message: RawOutboxMessage,
    /// Why it is kept aside, if it is.
    pub quarantined: Option<String>,
}

impl InMemory {
    /// What committed transactions wrote and no relay has published, oldest first.
    pub fn unpublished(&self) -> Vec<UnpublishedMessage> {
        self.lock().outbox.unpublished()
    }

    /// Whether nothing can be done at this time by relays and by workers of `topics`: no message waits to be published, no
    /// task of these topics may run, and none runs. What waits for its time or for another topic's worker does not count.
    pub fn is_at_rest(&self, topics: &BTreeSet<TopicName>) -> bool {
        let now = self.now();
        let state = self.lock();
        state.outbox.is_at_rest(now) && state.tasks.is_at_rest(topics, now)
    }

    /// Returns once it [is at rest](Self::is_at_rest). Has no deadline: wrap it in the test's own.
    pub async fn until_at_rest(&self, topics: &BTreeSet<TopicName>) {
        loop {
            let outbox = self.shared.outbox_changed.notified();
            let queue = self.shared.queue_changed.notified();
            tokio::pin!(outbox, queue);
            // Armed before the look, so that a change between the two is not missed.
            outbox.as_mut().enable();
            queue.as_mut().enable();
            if self.is_at_rest(topics) {
                return;
            }
            tokio::select! {
                biased;
                () = outbox => {}
                () = queue => {}
            }
        }
    }

    /// The next time at which a message or a task of `topics` may be due that is not yet.
    pub fn next_due(&self, topics: &BTreeSet<TopicName>) -> Option<Timestamp> {
        let now = self.now();
        let state = self.lock();
        let tasks = topics.iter().filter_map(|topic| state.tasks.next_due(topic, now));
        tasks.chain(state.outbox.next_due(now)).min()
    }
}
