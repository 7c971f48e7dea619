//! A fleet whose queue is on RabbitMQ.

use std::time::Duration;

use crate::ledger::Fleet;

impl Fleet {
    /// Puts the queue of processes that are added from now on on the broker at `url`, which keeps the order of the handlers'
    /// topic as well. A lost connection is noticed within two seconds there.
    #[must_use]
    pub fn on_broker(self, url: &str) -> Self {
        self.set("AMQP_URL", url)
            .set("AFTERCOMMIT_AMQP__ORDERED_TOPICS", "steps")
            .set("AFTERCOMMIT_AMQP__HEARTBEAT", "1s")
            .set("AFTERCOMMIT_AMQP__CONFIRM_TIMEOUT", "3s")
            .set(
                "AFTERCOMMIT_LOG__FILTER",
                "warn,sqlx_core=error,lapin=off,aftercommit_platform_queue_amqp=info",
            )
    }
}

/// The messages in all queues of a broker, from what `rabbitmqctl list_queues -q name messages` prints.
pub fn messages(listed: &str) -> Vec<(String, u64)> {
    let lines = listed.lines().filter_map(|line| line.split_once('\t'));
    let counts = lines.filter_map(|(name, count)| Some((name.to_owned(), count.trim().parse().ok()?)));
    counts.filter(|(_, count)| *count > 0).collect()
}

/// How long a broker may take until nothing is left in it.
pub const EMPTY_WITHIN: Duration = Duration::from_secs(30);
