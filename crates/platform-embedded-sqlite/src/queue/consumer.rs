//! Taking tasks from a topic.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aftercommit_domain::contract::{RawTask, TopicName};
use aftercommit_domain::tasks::{ConsumeError, ConsumeOptions, Deliveries, Delivery, QueueConsumer};
use aftercommit_domain::time::{Clock, after};
use async_trait::async_trait;
use sqlx::FromRow;
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::claims::{SUSPECT_AFTER, Topic, Topics};
use crate::columns::{attempts, micros};
use crate::database::Inner;
use crate::queue::SqliteQueue;
use crate::queue::delivery::SqliteDelivery;
use crate::run_sheet::RunSheet;

/// The most tasks of one claim.
const CLAIM: usize = 1000;
/// A look even when nothing was heard. Nothing depends on it; it is there for what nobody thought of.
const SAFETY_LOOK: Duration = Duration::from_secs(30);
/// How often the clock is read while a task waits for its time: the clock may be set while the timer runs.
const CLOCK_LOOK: Duration = Duration::from_secs(1);

/// A consumer: what its deliveries and its pump share.
pub(crate) struct Consumer {
    pub(crate) id: u64,
    pub(crate) topic: Arc<Topic>,
    pub(crate) topics: Arc<Topics>,
    pub(crate) sheet: Arc<RunSheet>,
    clock: Arc<dyn Clock>,
    lease: Duration,
    prefetch: usize,
    unsettled: AtomicUsize,
    buffered: AtomicUsize,
    /// How many wait for a task while the buffer is empty.
    waiting: AtomicUsize,
    room: Notify,
}

impl Consumer {
    /// When a lease ends that begins to run out now.
    pub(crate) fn lease_end(&self) -> i64 {
        micros(after(self.clock.now(), self.lease))
    }

    /// This many deliveries are no longer in anyone's hands.
    pub(crate) fn release(&self, settled: usize) {
        self.unsettled.fetch_sub(settled, Ordering::SeqCst);
        self.room.notify_one();
    }

    /// Waits until a claim is worth its while: someone waits for a task, or half of the room is free while tasks are
    /// being handed out. A consumer nobody asks takes nothing that another could run.
    async fn wait_for_room(&self) -> usize {
        loop {
            let free = self.prefetch.saturating_sub(self.unsettled.load(Ordering::SeqCst));
            let is_worth_it = if self.buffered.load(Ordering::SeqCst) == 0 {
                self.waiting.load(Ordering::SeqCst) > 0
            } else {
                free * 2 >= self.prefetch
            };
            if free > 0 && is_worth_it {
                return free;
            }
            self.room.notified().await;
        }
    }

    /// Frees a task that was claimed and not handed out, as if it had not been taken.
    fn put_back(&self, taken: &Taken) {
        self.topic.forget([(taken.seq, taken.token)], &self.topics);
        self.buffered.fetch_sub(1, Ordering::SeqCst);
        self.release(1);
    }
}

#[async_trait]
impl QueueConsumer for SqliteQueue {
    async fn consume(&self, topic: &TopicName, options: ConsumeOptions) -> Result<Box<dyn Deliveries>, ConsumeError> {
        let database = &self.database;
        if database.closing.is_cancelled() {
            return Err(unavailable("consume", "the database is closed"));
        }
        let consumer = Arc::new(Consumer {
            id: database.topics.next_consumer(),
            topic: database.topics.topic(topic),
            topics: Arc::clone(&database.topics),
            sheet: Arc::clone(&database.sheet),
            clock: Arc::clone(&database.services.clock),
            lease: options.lease,
            prefetch: options.prefetch.max(1),
            unsettled: AtomicUsize::new(0),
            buffered: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            room: Notify::new(),
        });
        // Bounded by the prefetch: only what is claimed gets in.
        let (claimed, buffer) = mpsc::unbounded_channel();
        let stopping = database.closing.child_token();
        let pump = Pump {
            database: Arc::clone(database),
            consumer: Arc::clone(&consumer),
            claimed,
        };
        tracing::debug!(topic = %topic, worker = %options.worker, prefetch = options.prefetch, "consuming");
        let stop = stopping.clone();
        database.tracker.spawn(async move {
            stop.run_until_cancelled(pump.run()).await;
        });
        Ok(Box::new(SqliteDeliveries {
            database: Arc::clone(database),
            consumer,
            buffer,
            stopping,
        }))
    }
}

pub(crate) fn unavailable(operation: &'static str, reason: impl ToString) -> ConsumeError {
    ConsumeError::Unavailable {
        operation,
        reason: reason.to_string(),
    }
}

/// The tasks of one topic as they come.
struct SqliteDeliveries {
    database: Arc<Inner>,
    consumer: Arc<Consumer>,
    buffer: mpsc::UnboundedReceiver<Result<Taken, ConsumeError>>,
    stopping: CancellationToken,
}

impl SqliteDeliveries {
    async fn take(&mut self) -> Option<Result<Taken, ConsumeError>> {
        if let Ok(taken) = self.buffer.try_recv() {
            return Some(taken);
        }
        let _waiting = Waiting::for_a_task_of(&self.consumer);
        self.buffer.recv().await
    }

    fn give_back_buffered(&mut self) {
        self.stopping.cancel();
        self.buffer.close();
        let mut has_any = false;
        while let Ok(taken) = self.buffer.try_recv() {
            if let Ok(taken) = taken {
                self.consumer.put_back(&taken);
                has_any = true;
            }
        }
        if has_any {
            self.consumer.topic.wake.bump();
        }
    }
}

#[async_trait]
impl Deliveries for SqliteDeliveries {
    async fn next(&mut self) -> Result<Option<Box<dyn Delivery>>, ConsumeError> {
        loop {
            if self.stopping.is_cancelled() {
                return Ok(None);
            }
            let taken = match self.take().await {
                Some(Ok(taken)) => taken,
                Some(Err(error)) => return Err(error),
                None if self.stopping.is_cancelled() => return Ok(None),
                None => return Err(unavailable("claim", "the consumer has failed")),
            };
            let (consumer, sheet) = (&self.consumer, &self.consumer.sheet);
            consumer.buffered.fetch_sub(1, Ordering::SeqCst);
            let is_ours = consumer
                .topic
                .hand_out(taken.seq, taken.token, || sheet.start(taken.seq));
            if is_ours {
                return Ok(Some(Box::new(SqliteDelivery::new(&self.database, consumer, taken))));
            }
            consumer.release(1);
        }
    }

    async fn stop(&mut self) {
        self.give_back_buffered();
    }
}

impl Drop for SqliteDeliveries {
    fn drop(&mut self) {
        self.give_back_buffered();
        self.consumer
            .topic
            .abandon_all(self.consumer.id, self.consumer.lease_end());
    }
}

/// Someone waits for a task; over when it is dropped, also by a cancelled call.
struct Waiting<'c>(&'c Consumer);

impl<'c> Waiting<'c> {
    fn for_a_task_of(consumer: &'c Consumer) -> Self {
        consumer.waiting.fetch_add(1, Ordering::SeqCst);
        consumer.room.notify_one();
        Self(consumer)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A claimed task.
pub(crate) struct Taken {
    pub(crate) seq: i64,
    pub(crate) token: i64,
    pub(crate) raw: RawTask,
    pub(crate) attempt: u32,
    pub(crate) redelivered: bool,
    pub(crate) ordering: Option<String>,
}

/// One range of the index of ready tasks, without those that someone has.
const CLAIM_SQL: &str = "SELECT seq, attempts, lost_runs, order_scope, body FROM aftercommit_tasks \
     WHERE topic = ?1 AND state = 0 AND due_at <= ?2 \
       AND seq NOT IN (SELECT value FROM json_each(?3)) AND lost_runs < ?4 \
     ORDER BY due_at, seq LIMIT ?5";

/// Claims ahead of what is handed out.
struct Pump {
    database: Arc<Inner>,
    consumer: Arc<Consumer>,
    claimed: mpsc::UnboundedSender<Result<Taken, ConsumeError>>,
}

#[derive(FromRow)]
struct TaskRow {
    seq: i64,
    attempts: i64,
    lost_runs: i64,
    order_scope: Option<String>,
    body: Vec<u8>,
}

impl Pump {
    async fn run(self) {
        loop {
            let room = self.consumer.wait_for_room().await.min(CLAIM);
            let seen = self.consumer.topic.wake.seen();
            let claimed = match self.claim(room).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    // Whoever takes the deliveries sees it after what was claimed before, and consumes again.
                    let _ = self.claimed.send(Err(unavailable("claim", error)));
                    return;
                }
            };
            if claimed == room {
                continue;
            }
            let next_due = match self.next_due().await {
                Ok(next_due) => next_due,
                Err(error) => {
                    let _ = self.claimed.send(Err(unavailable("claim", error)));
                    return;
                }
            };
            tokio::select! {
                () = self.consumer.topic.wake.changed(seen) => {}
                () = self.wait_until(next_due) => {}
                () = sleep(SAFETY_LOOK) => {}
            }
        }
    }

    /// Claims up to `room` tasks that are due, oldest first. Answers how many it found.
    async fn claim(&self, room: usize) -> Result<usize, sqlx::Error> {
        let (consumer, topic) = (&self.consumer, &self.consumer.topic);
        let limit = i64::try_from(room).unwrap_or(i64::MAX);
        let _turn = topic.claiming.lock().await;
        // Read before the rows: whoever is missing here settled before, so the rows show it.
        let held = topic.held();
        let may_run_suspect = consumer.topics.may_run_suspect();
        let now = micros(consumer.clock.now());
        let name = topic.name.as_str();
        let claims = &self.database.claims;
        let mut connection = claims.turn().await?;
        let query = sqlx::query_as(CLAIM_SQL)
            .bind(name)
            .bind(now)
            .bind(held)
            .bind(if may_run_suspect { i64::MAX } else { SUSPECT_AFTER })
            .bind(limit);
        let rows: Vec<TaskRow> = claims.bounded(query.fetch_all(&mut *connection)).await?;
        drop(connection);
        let found = rows.len();
        let token = consumer.topics.next_token();
        for row in rows {
            let is_suspect = row.lost_runs >= SUSPECT_AFTER;
            if !topic.take(row.seq, token, consumer.id, is_suspect, &consumer.topics) {
                // Another suspect is being run; its end wakes this consumer.
                continue;
            }
            consumer.unsettled.fetch_add(1, Ordering::SeqCst);
            consumer.buffered.fetch_add(1, Ordering::SeqCst);
            let taken = Taken {
                seq: row.seq,
                token,
                attempt: attempts(row.attempts).saturating_add(1),
                redelivered: row.lost_runs > 0,
                ordering: row.order_scope,
                raw: RawTask {
                    topic: topic.name.clone(),
                    body: row.body.into(),
                },
            };
            if let Err(mpsc::error::SendError(Ok(taken))) = self.claimed.send(Ok(taken)) {
                consumer.put_back(&taken);
                topic.wake.bump();
            }
        }
        Ok(found)
    }

    /// When the next task of the topic is due that is not due now.
    async fn next_due(&self) -> Result<Option<i64>, sqlx::Error> {
        let now = micros(self.consumer.clock.now());
        let name = self.consumer.topic.name.as_str();
        let claims = &self.database.claims;
        let mut connection = claims.turn().await?;
        let query = sqlx::query_scalar(
            "SELECT min(due_at) FROM aftercommit_tasks WHERE topic = ?1 AND state = 0 AND due_at > ?2",
        )
        .bind(name)
        .bind(now);
        claims.bounded(query.fetch_one(&mut *connection)).await
    }

    async fn wait_until(&self, due_at: Option<i64>) {
        let Some(due_at) = due_at else {
            return std::future::pending().await;
        };
        loop {
            let left = due_at.saturating_sub(micros(self.consumer.clock.now()));
            let Ok(left @ 1..) = u64::try_from(left) else { return };
            sleep(Duration::from_micros(left).min(CLOCK_LOOK)).await;
        }
    }
}
