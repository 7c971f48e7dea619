//! Taking tasks from a topic.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::tasks::{ConsumeError, ConsumeOptions, Deliveries, Delivery, QueueConsumer};
use async_trait::async_trait;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::queue::delivery::PostgresDelivery;
use crate::queue::pump::{Pump, Taken};
use crate::queue::{Inner, PostgresQueue};
use crate::topics::{Topic, lock};

/// A consumer: what its deliveries and its pump share.
pub(crate) struct Consumer {
    pub(crate) id: i64,
    pub(crate) topic: Arc<Topic>,
    pub(crate) lease: Duration,
    prefetch: usize,
    /// Claimed and not settled.
    unsettled: AtomicUsize,
    /// Claimed and not handed out.
    pub(crate) buffered: AtomicUsize,
    /// How many wait for a task while the buffer is empty.
    waiting: AtomicUsize,
    /// Whether anyone has waited since the last claim: beside a queue that always has something no wait lasts long enough to
    /// be seen.
    was_asked: AtomicBool,
    room: Notify,
    /// Until when its lease holds, by this process's own clock.
    trusted_until: Mutex<Instant>,
    lost: CancellationToken,
    /// Nobody takes its tasks any more.
    is_over: AtomicBool,
}

impl Consumer {
    /// Whether its lease is to be renewed: someone takes its tasks, or has one.
    pub(crate) fn is_live(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst) || self.unsettled.load(Ordering::SeqCst) > 0
    }

    /// Its lease was renewed by a statement that was sent at this time.
    pub(crate) fn trust_from(&self, renewed: Instant) {
        // A margin for the way from the last look at the clock to the handler.
        *lock(&self.trusted_until) = renewed + self.lease * 5 / 6;
    }

    fn is_trusted(&self) -> bool {
        Instant::now() < *lock(&self.trusted_until)
    }

    /// Whether what it has is still its own, as far as is known here.
    pub(crate) fn has_lease(&self) -> bool {
        !self.lost.is_cancelled() && self.is_trusted()
    }

    /// Its lease was lost: what it has is someone else's.
    pub(crate) fn lose(&self) {
        self.lost.cancel();
    }

    /// Waits until a claim is worth its while: someone waits for a task, or half of the room is free while tasks are
    /// being handed out. A consumer nobody asks takes nothing that another could run; for one that somebody asked who does not
    /// wait any more it takes one.
    pub(crate) async fn wait_for_room(&self) -> usize {
        loop {
            let free = self.prefetch.saturating_sub(self.unsettled.load(Ordering::SeqCst));
            let room = free.min(self.worth_claiming(free));
            if room > 0 {
                return room;
            }
            self.room.notified().await;
        }
    }

    fn worth_claiming(&self, free: usize) -> usize {
        if self.buffered.load(Ordering::SeqCst) > 0 {
            return if free * 2 >= self.prefetch { free } else { 0 };
        }
        let was_asked = self.was_asked.swap(false, Ordering::SeqCst);
        match self.waiting.load(Ordering::SeqCst) {
            0 => usize::from(was_asked),
            _ => free,
        }
    }
}

/// A claimed task's share of the prefetch; free again when it is dropped.
pub(crate) struct Place {
    consumer: Arc<Consumer>,
}

impl Place {
    pub(crate) fn take(consumer: &Arc<Consumer>) -> Self {
        consumer.unsettled.fetch_add(1, Ordering::SeqCst);
        Self {
            consumer: Arc::clone(consumer),
        }
    }

    pub(crate) fn consumer(&self) -> &Arc<Consumer> {
        &self.consumer
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.consumer.unsettled.fetch_sub(1, Ordering::SeqCst);
        self.consumer.room.notify_one();
    }
}

#[async_trait]
impl QueueConsumer for PostgresQueue {
    async fn consume(&self, topic: &TopicName, options: ConsumeOptions) -> Result<Box<dyn Deliveries>, ConsumeError> {
        let inner = &self.inner;
        if inner.closing.is_cancelled() {
            return Err(unavailable("consume", &"the queue is closed"));
        }
        let (id, from) = inner
            .leases
            .register(inner.process, topic, &options)
            .await
            .map_err(|error| unavailable("consume", &error))?;
        let consumer = Arc::new(Consumer {
            id,
            topic: inner.topics.topic(topic),
            lease: options.lease,
            prefetch: options.prefetch.max(1),
            unsettled: AtomicUsize::new(0),
            buffered: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            was_asked: AtomicBool::new(false),
            room: Notify::new(),
            trusted_until: Mutex::new(from),
            lost: CancellationToken::new(),
            is_over: AtomicBool::new(false),
        });
        consumer.trust_from(from);
        inner.leases.add(&consumer);
        // Bounded by the prefetch: only what is claimed gets in.
        let (claimed, buffer) = mpsc::unbounded_channel();
        let stopping = inner.closing.child_token();
        let ended = CancellationToken::new();
        let pump = Pump {
            inner: Arc::clone(inner),
            consumer: Arc::clone(&consumer),
            claimed,
            stopping: stopping.clone(),
            _ended: ended.clone().drop_guard(),
        };
        tracing::debug!(%topic, worker = %options.worker, prefetch = options.prefetch, "consuming");
        inner.tracker.spawn(pump.run());
        Ok(Box::new(PostgresDeliveries {
            inner: Arc::clone(inner),
            consumer,
            buffer,
            at_hand: None,
            stopping,
            ended,
            was_stopped: false,
        }))
    }
}

pub(crate) fn unavailable(operation: &'static str, reason: &dyn Display) -> ConsumeError {
    ConsumeError::Unavailable {
        operation,
        reason: reason.to_string(),
    }
}

/// The tasks of one topic as they come.
struct PostgresDeliveries {
    inner: Arc<Inner>,
    consumer: Arc<Consumer>,
    buffer: mpsc::UnboundedReceiver<Result<Taken, ConsumeError>>,
    /// Taken from the buffer, and not handed out yet.
    at_hand: Option<Taken>,
    stopping: CancellationToken,
    /// Cancelled when the pump has ended.
    ended: CancellationToken,
    was_stopped: bool,
}

impl PostgresDeliveries {
    async fn take(&mut self) -> Option<Result<Taken, ConsumeError>> {
        if let Some(taken) = self.at_hand.take() {
            return Some(Ok(taken));
        }
        if let Ok(taken) = self.buffer.try_recv() {
            return Some(taken);
        }
        let _waiting = Waiting::for_a_task_of(&self.consumer);
        self.buffer.recv().await
    }

    /// What was taken and not handed out.
    fn rest(&mut self) -> Vec<Taken> {
        let mut rest: Vec<Taken> = self.at_hand.take().into_iter().collect();
        while let Ok(taken) = self.buffer.try_recv() {
            rest.extend(taken);
        }
        self.consumer.buffered.fetch_sub(rest.len(), Ordering::SeqCst);
        rest
    }
}

#[async_trait]
impl Deliveries for PostgresDeliveries {
    async fn next(&mut self) -> Result<Option<Box<dyn Delivery>>, ConsumeError> {
        loop {
            if self.stopping.is_cancelled() {
                return Ok(None);
            }
            if self.consumer.lost.is_cancelled() {
                // Someone else has them by now.
                drop(self.rest());
                return Err(unavailable("claim", &"the consumer has lost its lease"));
            }
            let (lost, stopping) = (self.consumer.lost.clone(), self.stopping.clone());
            let taken = tokio::select! {
                biased;
                taken = self.take() => taken,
                () = lost.cancelled() => continue,
                () = stopping.cancelled() => continue,
            };
            let taken = match taken {
                Some(Ok(taken)) => taken,
                Some(Err(error)) => return Err(error),
                None if self.stopping.is_cancelled() => return Ok(None),
                None => return Err(unavailable("claim", &"the consumer has failed")),
            };
            if self.consumer.is_trusted() {
                self.consumer.buffered.fetch_sub(1, Ordering::SeqCst);
                return Ok(Some(Box::new(PostgresDelivery::new(&self.inner, taken))));
            }
            // The process was paused, or the database away: someone else may have it by now.
            self.at_hand = Some(taken);
            tokio::select! {
                () = self.inner.leases.next_renewal() => {}
                () = stopping.cancelled() => {}
            }
        }
    }

    async fn stop(&mut self) {
        self.was_stopped = true;
        self.stopping.cancel();
        // A claim that is under way is not given up half-way: it would hold what it took until its lease ends.
        self.ended.cancelled().await;
        let rest = self.rest();
        self.inner.give_back(rest).await;
    }
}

impl Drop for PostgresDeliveries {
    fn drop(&mut self) {
        self.stopping.cancel();
        if self.was_stopped {
            // What was handed out can still be settled, however long that takes.
            self.consumer.is_over.store(true, Ordering::SeqCst);
        } else {
            self.inner.leases.remove(&self.consumer);
        }
        let rest = self.rest();
        if !rest.is_empty() {
            let inner = Arc::clone(&self.inner);
            self.inner
                .tracker
                .spawn_on(async move { inner.give_back(rest).await }, &self.inner.runtime);
        }
    }
}

/// Someone waits for a task; over when it is dropped, also by a cancelled call.
struct Waiting<'c>(&'c Consumer);

impl<'c> Waiting<'c> {
    fn for_a_task_of(consumer: &'c Consumer) -> Self {
        consumer.waiting.fetch_add(1, Ordering::SeqCst);
        consumer.was_asked.store(true, Ordering::SeqCst);
        consumer.room.notify_one();
        Self(consumer)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
