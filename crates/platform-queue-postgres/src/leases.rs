//! Who of this process takes tasks, and the one statement that renews all their leases.

mod letting_go;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aftercommit_domain::time::Clock;
use aftercommit_platform_db_postgres::Wake;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::columns::micros;
use crate::queue::consumer::Consumer;
use crate::queue::settlement::LostRuns;
use crate::statement::{Statements, Trouble};
use crate::topics::{Topics, lock};

pub(crate) use letting_go::LetGo;

/// How soon a renewal that failed is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// How often someone looks when no consumer is there.
const IDLE: Duration = Duration::from_secs(10);

/// The live consumers of this process, and what they let go.
pub(crate) struct Leases {
    pub(crate) statements: Statements,
    pub(crate) topics: Arc<Topics>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) lost_runs: LostRuns,
    consumers: Mutex<HashMap<i64, Arc<Consumer>>>,
    let_go: Mutex<Vec<LetGo>>,
    /// Bumped when the consumers are to be renewed at once.
    asked: Wake,
    /// Bumped when they were.
    renewed: Wake,
    renewing: tokio::sync::Mutex<()>,
}

impl Leases {
    pub(crate) fn new(
        statements: Statements,
        topics: Arc<Topics>,
        clock: Arc<dyn Clock>,
        lost_runs: LostRuns,
    ) -> Self {
        Self {
            statements,
            topics,
            clock,
            lost_runs,
            consumers: Mutex::default(),
            let_go: Mutex::default(),
            asked: Wake::default(),
            renewed: Wake::default(),
            renewing: tokio::sync::Mutex::default(),
        }
    }

    /// From here the consumer is renewed. The others are renewed at once, too: all of a process expire together, so that
    /// whoever rescues sees everything it had.
    pub(crate) fn add(&self, consumer: &Arc<Consumer>) {
        lock(&self.consumers).insert(consumer.id, Arc::clone(consumer));
        self.asked.bump();
    }

    /// The consumer is not renewed any more.
    pub(crate) fn remove(&self, consumer: &Consumer) {
        lock(&self.consumers).remove(&consumer.id);
    }

    /// Waits until leases were renewed once more, or that failed; `RETRY` later it is tried again.
    pub(crate) async fn next_renewal(&self) {
        let seen = self.renewed.seen();
        self.asked.bump();
        self.renewed.changed(seen).await;
    }

    /// Renews before leases run out, until it is closing.
    pub(crate) async fn run(self: Arc<Self>, closing: CancellationToken) {
        closing.run_until_cancelled(self.keep_renewing()).await;
    }

    async fn keep_renewing(&self) {
        loop {
            let asked = self.asked.seen();
            let result = self.renew().await;
            if let Err(error) = &result {
                tracing::warn!(%error, "leases could not be renewed; it is tried again");
            }
            if let Err(error) = self.free_let_go().await {
                tracing::debug!(%error, "tasks that were let go could not be freed; it is tried again");
            }
            let shortest = lock(&self.consumers).values().map(|consumer| consumer.lease).min();
            let pause = match (result, shortest) {
                (Err(_), _) => RETRY,
                (Ok(()), Some(lease)) => (lease / 3).min(IDLE),
                (Ok(()), None) => IDLE,
            };
            let next = Instant::now() + pause;
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.asked.changed(asked) => {}
            }
        }
    }

    /// Renews every live consumer. Those that were lost are told.
    pub(crate) async fn renew(&self) -> Result<(), Trouble> {
        let _turn = self.renewing.lock().await;
        let live: Vec<Arc<Consumer>> = {
            let mut consumers = lock(&self.consumers);
            consumers.retain(|_, consumer| consumer.is_live());
            consumers.values().cloned().collect()
        };
        let result = self.renew_all(&live).await;
        self.renewed.bump();
        result
    }

    async fn renew_all(&self, live: &[Arc<Consumer>]) -> Result<(), Trouble> {
        if live.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = live.iter().map(|consumer| consumer.id).collect();
        let leases: Vec<i64> = live.iter().map(|consumer| micros(consumer.lease)).collect();
        // Before the round trip, so that a lease is never trusted for longer than the database grants it.
        let from = Instant::now();
        let renewed: Vec<i64> = self
            .statements
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_scalar(
                        "UPDATE aftercommit.consumers AS consumer \
                         SET lease_until = aftercommit.clock() + line.micros * interval '1 microsecond' \
                         FROM unnest($1::bigint[], $2::bigint[]) AS line (id, micros) \
                         WHERE consumer.id = line.id AND consumer.lease_until > '-infinity' RETURNING consumer.id",
                    )
                    .bind(ids)
                    .bind(leases)
                    .fetch_all(connection)
                    .await
                })
            })
            .await?;
        for consumer in live {
            if renewed.contains(&consumer.id) {
                consumer.trust_from(from);
            } else {
                tracing::warn!(topic = %consumer.topic.name, "a consumer has lost its lease");
                consumer.lose();
                self.remove(consumer);
            }
        }
        Ok(())
    }
}
