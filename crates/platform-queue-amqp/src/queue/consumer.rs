//! Taking tasks from a topic.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::tasks::{ConsumeError, ConsumeOptions, Deliveries, Delivery, QueueConsumer};
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::SelectAll;
use lapin::Channel;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::declarer::short;
use crate::link::{CALL_LIMIT, Epoch};
use crate::queue::arrival::Arrival;
use crate::queue::delivery::{AmqpDelivery, Place, requeue};
use crate::queue::held_side::HeldSide;
use crate::queue::lines::Lines;
use crate::queue::pump::{Incoming, LineEvent, Pump};
use crate::queue::{AmqpQueue, Inner};
use crate::trouble::{Trouble, TroubleKind};

/// What a quorum queue takes as prefetch at most.
const MOST_PREFETCH: usize = 2000;

/// What is to be handed out: a message, and the line it is the head of.
pub(crate) struct Ready {
    pub(crate) arrival: Arrival,
    pub(crate) line: Option<String>,
}

/// How many of a consumer's tasks are with handlers.
#[derive(Default)]
pub(crate) struct Outstanding {
    count: AtomicU64,
    pub(crate) changed: tokio::sync::Notify,
}

impl Outstanding {
    pub(crate) fn add(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn remove(&self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
        self.changed.notify_one();
    }

    pub(crate) fn is_none(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }
}

#[async_trait]
impl QueueConsumer for AmqpQueue {
    async fn consume(&self, topic: &TopicName, options: ConsumeOptions) -> Result<Box<dyn Deliveries>, ConsumeError> {
        let inner = &self.inner;
        if inner.closing.is_cancelled() {
            return Err(unavailable("consume", &"the queue is closed"));
        }
        inner.know(&BTreeSet::from([topic.clone()]));
        let started = start(inner, topic, &options).await;
        let (epoch, channel, incoming, tags) = started.map_err(|trouble| unavailable("consume", &trouble))?;
        // Bounded by the prefetch: the broker sends no more than that before something is settled.
        let (ready_sender, ready) = mpsc::unbounded_channel();
        let (line_events, events) = mpsc::unbounded_channel();
        let (stopping, abandoned, ended) = (
            inner.closing.child_token(),
            CancellationToken::new(),
            CancellationToken::new(),
        );
        let outstanding = Arc::new(Outstanding::default());
        let pump = Pump {
            inner: Arc::clone(inner),
            topic: topic.clone(),
            epoch: Arc::clone(&epoch),
            channel,
            tags,
            incoming,
            ready: ready_sender,
            events,
            lines: inner.topology.is_ordered(topic).then(Lines::new),
            outstanding: Arc::clone(&outstanding),
            stopping: stopping.clone(),
            abandoned: abandoned.clone(),
            ended: Some(ended.clone().drop_guard()),
        };
        tracing::debug!(%topic, worker = %options.worker, prefetch = options.prefetch, epoch = epoch.number(), "consuming");
        inner.tracker.spawn(pump.run());
        let prefetch = options.prefetch.max(1);
        Ok(Box::new(AmqpDeliveries {
            inner: Arc::clone(inner),
            epoch,
            ready,
            line_events,
            held: HeldSide::new(Arc::clone(&inner.stores.consumer), topic.clone(), options),
            room: Arc::new(Semaphore::new(prefetch)),
            outstanding,
            at_hand: inner.at_hand(topic),
            is_ordered: inner.topology.is_ordered(topic),
            stopping,
            abandoned: Some(abandoned),
            ended,
        }))
    }
}

type Started = (Arc<Epoch>, Channel, SelectAll<Incoming>, Vec<String>);

async fn start(inner: &Inner, topic: &TopicName, options: &ConsumeOptions) -> Result<Started, Trouble> {
    inner.declarer.ensure(topic).await?;
    let epoch = inner.consuming.up(CALL_LIMIT).await?;
    let channel = epoch.channel().await?;
    let prefetch = u16::try_from(options.prefetch.clamp(1, MOST_PREFETCH)).unwrap_or(1);
    let qos = channel.basic_qos(prefetch, BasicQosOptions::default());
    epoch.within(CALL_LIMIT, "bound the prefetch", qos).await?;
    let (mut incoming, mut tags) = (SelectAll::new(), Vec::new());
    for (number, queue) in inner.topology.queues(topic).iter().enumerate() {
        let tag = format!("{}.{number}", options.worker);
        let consuming = channel.basic_consume(
            short(queue)?,
            short(&tag)?,
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let consumer = match epoch.within(CALL_LIMIT, "consume", consuming).await {
            Ok(consumer) => consumer,
            Err(trouble) => {
                if trouble.kind == TroubleKind::Missing {
                    inner.declarer.forget();
                }
                return Err(trouble);
            }
        };
        // A queue that ends by itself was deleted or lost its leader: that must be noticed, whatever the others do.
        let stream = consumer
            .map(Some)
            .chain(futures::stream::once(std::future::ready(None)));
        incoming.push(Box::pin(stream) as Incoming);
        tags.push(tag);
    }
    Ok((epoch, channel, incoming, tags))
}

pub(crate) fn unavailable(operation: &'static str, reason: &dyn Display) -> ConsumeError {
    ConsumeError::Unavailable {
        operation,
        reason: reason.to_string(),
    }
}

/// The tasks of one topic as they come: those of the broker, and those the database holds.
struct AmqpDeliveries {
    inner: Arc<Inner>,
    epoch: Arc<Epoch>,
    ready: mpsc::UnboundedReceiver<Result<Ready, ConsumeError>>,
    line_events: mpsc::UnboundedSender<LineEvent>,
    held: HeldSide,
    /// What may be with handlers at once.
    room: Arc<Semaphore>,
    outstanding: Arc<Outstanding>,
    at_hand: Arc<AtomicU64>,
    is_ordered: bool,
    stopping: CancellationToken,
    /// Cancelled when it is dropped without having been stopped.
    abandoned: Option<CancellationToken>,
    /// Cancelled when the pump takes no more from the broker.
    ended: CancellationToken,
}

/// What came first.
enum Taken {
    /// From the broker; `None` when nothing more comes.
    Ready(Option<Result<Ready, ConsumeError>>),
    /// From the database.
    Held(Box<dyn Delivery>),
}

impl AmqpDeliveries {
    /// The next of either side, none of them before the other.
    async fn take(&mut self) -> Taken {
        tokio::select! {
            ready = live(&mut self.ready) => Taken::Ready(ready),
            held = self.held.next() => Taken::Held(held),
        }
    }

    fn hand_out(&self, ready: Ready, permit: OwnedSemaphorePermit) -> Box<dyn Delivery> {
        let place = Place::new(&self.outstanding, &self.at_hand, permit);
        Box::new(AmqpDelivery::new(
            &self.inner,
            &self.epoch,
            ready,
            &self.line_events,
            place,
        ))
    }
}

/// The next whose channel is still there: of any other the broker has taken back what was fetched ahead.
async fn live(ready: &mut mpsc::UnboundedReceiver<Result<Ready, ConsumeError>>) -> Option<Result<Ready, ConsumeError>> {
    loop {
        match ready.recv().await {
            Some(Ok(Ready { arrival, .. })) if arrival.acker.poisoned() => {}
            next => return next,
        }
    }
}

#[async_trait]
impl Deliveries for AmqpDeliveries {
    async fn next(&mut self) -> Result<Option<Box<dyn Delivery>>, ConsumeError> {
        let (stopping, lost) = (self.stopping.clone(), self.epoch.lost().clone());
        let permit = tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(None),
            // Also when there is no room: whoever waits for some must not wait on a connection that is gone.
            () = lost.cancelled() => return Err(unavailable("consume", &self.epoch.why())),
            permit = Arc::clone(&self.room).acquire_owned() => permit,
        };
        let Ok(permit) = permit else { return Ok(None) };
        tokio::select! {
            biased;
            () = stopping.cancelled() => Ok(None),
            // What was fetched ahead comes again to someone else.
            () = lost.cancelled() => Err(unavailable("consume", &self.epoch.why())),
            taken = self.take() => match taken {
                Taken::Ready(Some(Ok(ready))) => Ok(Some(self.hand_out(ready, permit))),
                Taken::Ready(Some(Err(error))) => Err(error),
                Taken::Ready(None) if stopping.is_cancelled() => Ok(None),
                Taken::Ready(None) => Err(unavailable("consume", &self.epoch.why())),
                Taken::Held(held) => Ok(Some(Box::new(HeldDelivery { held, _room: permit }))),
            },
        }
    }

    async fn stop(&mut self) {
        // The handed-out ones keep their channel until they are settled.
        self.abandoned = None;
        self.stopping.cancel();
        self.held.stop().await;
        self.ended.cancelled().await;
        // Where order matters the pump gives back what was not handed out, when the last delivery is settled.
        if self.is_ordered {
            return;
        }
        while let Ok(ready) = self.ready.try_recv() {
            if let Ok(Ready { arrival, .. }) = ready {
                requeue(&self.epoch, &arrival.acker).await;
            }
        }
    }
}

impl Drop for AmqpDeliveries {
    fn drop(&mut self) {
        if let Some(abandoned) = self.abandoned.take() {
            abandoned.cancel();
        }
    }
}

/// A held task, with its share of the prefetch.
struct HeldDelivery {
    held: Box<dyn Delivery>,
    _room: OwnedSemaphorePermit,
}

mod held_delivery;
