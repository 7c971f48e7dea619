//! Who of this process takes tasks, and the one statement that renews all their leases.

mod letting_go;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::tasks::ConsumeOptions;
use aftercommit_domain::time::Clock;
use aftercommit_platform_db_postgres::Wake;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::columns::{micros, text};
use crate::queue::consumer::Consumer;
use crate::queue::settlement::LostRuns;
use crate::statement::{Statements, Trouble};
use crate::topics::{Topics, lock};

pub(crate) use letting_go::LetGo;

/// How soon a renewal that failed is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// The longest time between two renewals.
const IDLE: Duration = Duration::from_secs(10);

/// The live consumers of this process, and what they let go.
pub(crate) struct Leases {
    pub(crate) statements: Statements,
    pub(crate) topics: Arc<Topics>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) lost_runs: LostRuns,
    consumers: Mutex<HashMap<i64, Arc<Consumer>>>,
    let_go: Mutex<Vec<LetGo>>,
    /// Bumped when there is another consumer.
    changed: Wake,
    /// Bumped when the consumers are to be renewed at once.
    asked: Wake,
    /// Bumped when they were.
    renewed: Wake,
    renewing: tokio::sync::Mutex<()>,
}

impl Leases {
    pub(crate) fn new(statements: Statements, topics: Arc<Topics>, clock: Arc<dyn Clock>, lost_runs: LostRuns) -> Self {
        Self {
            statements,
            topics,
            clock,
            lost_runs,
            consumers: Mutex::default(),
            let_go: Mutex::default(),
            changed: Wake::default(),
            asked: Wake::default(),
            renewed: Wake::default(),
            renewing: tokio::sync::Mutex::default(),
        }
    }

    /// Registers a consumer and answers its number and until when its lease holds. The others are renewed with it: all of
    /// a process expire together, so that whoever rescues sees everything it had.
    pub(crate) async fn register(
        &self,
        process: i64,
        topic: &TopicName,
        options: &ConsumeOptions,
    ) -> Result<(i64, Instant), Trouble> {
        let _turn = self.renewing.lock().await;
        let (ids, leases) = columns(&self.live());
        let (worker, topic, lease) = (options.worker.to_string(), topic.clone(), micros(options.lease));
        let from = Instant::now();
        let registered: Vec<i64> = self
            .statements
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_scalar(REGISTER)
                        .bind(ids)
                        .bind(leases)
                        .bind(process)
                        .bind(text(&worker))
                        .bind(topic.as_str())
                        .bind(lease)
                        .fetch_all(connection)
                        .await
                })
            })
            .await?;
        let id = registered.first().copied().ok_or_else(Trouble::closed)?;
        Ok((id, from))
    }

    /// From here the consumer is renewed.
    pub(crate) fn add(&self, consumer: &Arc<Consumer>) {
        lock(&self.consumers).insert(consumer.id, Arc::clone(consumer));
        self.changed.bump();
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
        let (mut last, mut has_failed) = (Instant::now(), false);
        loop {
            let (changed, asked) = (self.changed.seen(), self.asked.seen());
            let pause = if has_failed { RETRY } else { self.pause() };
            tokio::select! {
                () = sleep_until(last + pause) => {}
                () = self.asked.changed(asked) => {}
                () = self.changed.changed(changed) => continue,
            }
            last = Instant::now();
            let renewed = self.renew().await;
            has_failed = renewed.is_err();
            if let Err(error) = renewed {
                tracing::warn!(%error, "leases could not be renewed; it is tried again");
            }
            if let Err(error) = self.free_let_go().await {
                tracing::debug!(%error, "tasks that were let go could not be freed; it is tried again");
            }
        }
    }

    /// A third of the shortest lease, so that two renewals in a row may fail.
    fn pause(&self) -> Duration {
        let shortest = lock(&self.consumers).values().map(|consumer| consumer.lease).min();
        shortest.map_or(IDLE, |lease| (lease / 3).min(IDLE))
    }

    fn live(&self) -> Vec<Arc<Consumer>> {
        let mut consumers = lock(&self.consumers);
        consumers.retain(|_, consumer| consumer.is_live());
        consumers.values().cloned().collect()
    }

    /// Renews every live consumer. Those that were lost are told.
    pub(crate) async fn renew(&self) -> Result<(), Trouble> {
        let _turn = self.renewing.lock().await;
        let live = self.live();
        let result = self.renew_all(&live).await;
        self.renewed.bump();
        result
    }

    async fn renew_all(&self, live: &[Arc<Consumer>]) -> Result<(), Trouble> {
        if live.is_empty() {
            return Ok(());
        }
        let (ids, leases) = columns(live);
        // Before the round trip, so that a lease is never trusted for longer than the database grants it.
        let from = Instant::now();
        let renewed: Vec<i64> = self
            .statements
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_scalar(RENEW)
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

/// Of a consumer that was freed there is nothing to renew.
const RENEW: &str = "UPDATE aftercommit.consumers AS consumer \
    SET lease_until = aftercommit.clock() + line.micros * interval '1 microsecond' \
    FROM unnest($1::bigint[], $2::bigint[]) AS line (id, micros) \
    WHERE consumer.id = line.id AND consumer.lease_until > '-infinity' RETURNING consumer.id";

const REGISTER: &str = "WITH renewed AS (\
      UPDATE aftercommit.consumers AS consumer \
      SET lease_until = aftercommit.clock() + line.micros * interval '1 microsecond' \
      FROM unnest($1::bigint[], $2::bigint[]) AS line (id, micros) \
      WHERE consumer.id = line.id AND consumer.lease_until > '-infinity'\
    ) INSERT INTO aftercommit.consumers (process, worker, topic, lease_until) \
    VALUES ($3, $4, $5, aftercommit.clock() + $6 * interval '1 microsecond') RETURNING id";

fn columns(consumers: &[Arc<Consumer>]) -> (Vec<i64>, Vec<i64>) {
    consumers
        .iter()
        .map(|consumer| (consumer.id, micros(consumer.lease)))
        .unzip()
}
