//! Taking tasks from a topic.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::tasks::{ConsumeError, ConsumeOptions, Deliveries, Delivery, QueueConsumer};
use aftercommit_domain::time::{Clock, after};
use async_trait::async_trait;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::claims::{Topic, Topics};
use crate::columns::micros;
use crate::database::Inner;
use crate::queue::SqliteQueue;
use crate::queue::delivery::SqliteDelivery;
use crate::queue::pump::{Pump, Taken};
use crate::run_sheet::RunSheet;

/// A consumer: what its deliveries and its pump share.
pub(crate) struct Consumer {
    pub(crate) id: u64,
    pub(crate) topic: Arc<Topic>,
    pub(crate) topics: Arc<Topics>,
    pub(crate) sheet: Arc<RunSheet>,
    pub(crate) clock: Arc<dyn Clock>,
    lease: Duration,
    prefetch: usize,
    pub(crate) unsettled: AtomicUsize,
    pub(crate) buffered: AtomicUsize,
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
    pub(crate) async fn wait_for_room(&self) -> usize {
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
    pub(crate) fn put_back(&self, taken: &Taken) {
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
            return Err(unavailable("consume", &"the database is closed"));
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
            was_stopped: false,
        }))
    }
}

pub(crate) fn unavailable(operation: &'static str, reason: &dyn std::fmt::Display) -> ConsumeError {
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
    was_stopped: bool,
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
                None => return Err(unavailable("claim", &"the consumer has failed")),
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
        self.was_stopped = true;
        self.give_back_buffered();
    }
}

impl Drop for SqliteDeliveries {
    fn drop(&mut self) {
        self.give_back_buffered();
        self.consumer
            .topic
            .abandon_all(self.consumer.id, self.was_stopped, self.consumer.lease_end());
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
