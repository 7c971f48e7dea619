//! Putting tasks on their topics.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aftercommit_domain::contract::{TaskEnvelope, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{PublishError, Published, QueueCapabilities, QueuePublisher};
use async_trait::async_trait;
use futures::future::{join, join_all};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::link::CALL_LIMIT;
use crate::queue::AmqpQueue;
use crate::queue::message::Outgoing;
use crate::queue::publish_lane::PublishJob;
use crate::topology::LONGEST_DELAY;

/// Channels that publish at the same time.
pub(crate) const LANES: usize = 4;
/// Calls that may wait for a lane.
pub(crate) const WAITING_CALLS: usize = 256;
/// The bytes that may be in flight, in units of [`UNIT`].
const ROOM: u32 = 8 * 1024;
const UNIT: usize = 1024;
/// The most a call hands to a lane at once, so that nobody waits for all of a long list.
const MESSAGES_PER_JOB: usize = 512;

/// The lanes, and what may be in flight on them.
pub(crate) struct Lanes {
    senders: Vec<mpsc::Sender<PublishJob>>,
    room: Arc<Semaphore>,
    next: AtomicUsize,
    limit: Duration,
}

impl Lanes {
    /// `limit` is the longest a lane may take for a batch.
    pub(crate) fn new(senders: Vec<mpsc::Sender<PublishJob>>, limit: Duration) -> Self {
        Self {
            senders,
            room: Arc::new(Semaphore::new(ROOM as usize)),
            next: AtomicUsize::new(0),
            limit,
        }
    }

    /// Publishes messages; one result for each, in order. Those of one order go through one lane.
    pub(crate) async fn publish(
        &self,
        messages: Vec<Outgoing>,
        partition: impl Fn(&str) -> u16,
    ) -> Vec<Result<(), PublishError>> {
        let mut results: Vec<Result<(), PublishError>> = Vec::new();
        results.resize_with(messages.len(), || Err(unavailable("the queue is closed")));
        // Whoever has no order takes the next lane, the whole call together: a batch is cheaper than many.
        let any = self.next.fetch_add(1, Ordering::Relaxed) % self.senders.len().max(1);
        let mut by_lane: HashMap<usize, Vec<(usize, Outgoing)>> = HashMap::new();
        for (place, message) in messages.into_iter().enumerate() {
            let lane = match &message.ordering {
                Some(ordering) => usize::from(partition(ordering)) % self.senders.len().max(1),
                None => any,
            };
            by_lane.entry(lane).or_default().push((place, message));
        }
        let lanes = by_lane.into_iter().map(|(lane, messages)| self.through(lane, messages));
        for (place, result) in join_all(lanes).await.into_iter().flatten() {
            if let Some(slot) = results.get_mut(place) {
                *slot = result;
            }
        }
        results
    }

    async fn through(&self, lane: usize, messages: Vec<(usize, Outgoing)>) -> Vec<(usize, Result<(), PublishError>)> {
        let mut results = Vec::with_capacity(messages.len());
        let mut failed: HashSet<(TopicName, String)> = HashSet::new();
        let mut messages = messages.into_iter().peekable();
        while messages.peek().is_some() {
            let part: Vec<(usize, Outgoing)> = messages.by_ref().take(MESSAGES_PER_JOB).collect();
            // What follows a failed message of an earlier part waits with it.
            let (blocked, part): (Vec<_>, Vec<_>) = part
                .into_iter()
                .partition(|(_, message)| key_of(message).is_some_and(|key| failed.contains(&key)));
            results.extend(
                blocked
                    .into_iter()
                    .map(|(place, _)| (place, Err(PublishError::Blocked))),
            );
            let (places, outgoing): (Vec<usize>, Vec<Outgoing>) = part.into_iter().unzip();
            let keys: Vec<_> = outgoing.iter().map(key_of).collect();
            let answers = self.job(lane, outgoing).await;
            for ((place, key), answer) in places.into_iter().zip(keys).zip(answers) {
                if let (Err(_), Some(key)) = (&answer, key) {
                    failed.insert(key);
                }
                results.push((place, answer));
            }
        }
        results
    }

    /// Exactly one answer for each message.
    async fn job(&self, lane: usize, messages: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        let count = messages.len();
        let all = |error: &PublishError| vec![Err(error.clone()); count];
        if count == 0 {
            return Vec::new();
        }
        let units = messages.iter().map(Outgoing::bytes).sum::<usize>().div_ceil(UNIT);
        let units = u32::try_from(units).unwrap_or(ROOM).min(ROOM);
        let room = timeout(CALL_LIMIT, Arc::clone(&self.room).acquire_many_owned(units)).await;
        let Ok(Ok(room)) = room else {
            return all(&unavailable("too much is in flight already"));
        };
        let Some(sender) = self.senders.get(lane) else {
            return all(&unavailable("the queue is closed"));
        };
        let (reply, answer) = oneshot::channel();
        let job = PublishJob { messages, reply, room };
        match timeout(CALL_LIMIT, sender.send(job)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return all(&unavailable("the queue is closed")),
            Err(_) => return all(&unavailable("too many calls wait already")),
        }
        // The lane has deadlines of its own; this one is for a lane that is behind with earlier calls.
        let unknown = |reason: &str| PublishError::Unknown { reason: reason.into() };
        match timeout(self.limit * 4, answer).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(_)) => all(&unknown("the queue was closed meanwhile")),
            Err(_) => all(&unknown("no answer in time")),
        }
    }
}

fn key_of(message: &Outgoing) -> Option<(TopicName, String)> {
    Some((message.topic.clone(), message.ordering.clone()?))
}

fn unavailable(reason: &str) -> PublishError {
    PublishError::Unavailable { reason: reason.into() }
}

#[async_trait]
impl QueuePublisher for AmqpQueue {
    async fn publish(&self, messages: Vec<TaskEnvelope>) -> Vec<Result<Published, PublishError>> {
        self.inner
            .know(&messages.iter().map(|message| message.topic.clone()).collect());
        let Sorted {
            ids,
            mut results,
            outgoing,
            outgoing_places,
            kept,
            kept_places,
        } = self.sort(messages);
        let topology = &self.inner.topology;
        let published = self
            .inner
            .lanes
            .publish(outgoing, |ordering| topology.partition(ordering));
        let keeping = async {
            if kept.is_empty() {
                return Vec::new();
            }
            self.inner.stores.publisher.publish(kept).await
        };
        let (published, kept) = join(published, keeping).await;
        for (place, result) in outgoing_places.into_iter().zip(published) {
            if let (Some(slot), Some(id)) = (results.get_mut(place), ids.get(place)) {
                *slot = Some(result.map(|()| Published::Enqueued(*id)));
            }
        }
        for (place, result) in kept_places.into_iter().zip(kept) {
            if let Some(slot) = results.get_mut(place) {
                *slot = Some(result);
            }
        }
        let answered = results.into_iter();
        answered
            .map(|result| {
                result.unwrap_or_else(|| {
                    Err(PublishError::Unknown {
                        reason: "the database answered for fewer tasks than it was given".into(),
                    })
                })
            })
            .collect()
    }

    fn capabilities(&self) -> QueueCapabilities {
        QueueCapabilities {
            durable_settle: false,
            deduplicates: false,
            holds_order_over_retries: true,
            keeps_order_keys_on_one_consumer: self.inner.keeps_order_keys_on_one_consumer,
            coalesces: self.inner.stores.publisher.capabilities().coalesces,
            shows_each_task: false,
            longest_delay: self.inner.stores.publisher.capabilities().longest_delay,
        }
    }
}

/// The messages of a call by where they go.
struct Sorted {
    ids: Vec<MessageId>,
    /// By place; `None` for those that are on their way.
    results: Vec<Option<Result<Published, PublishError>>>,
    outgoing: Vec<Outgoing>,
    outgoing_places: Vec<usize>,
    /// For the database.
    kept: Vec<TaskEnvelope>,
    kept_places: Vec<usize>,
}

impl AmqpQueue {
    fn sort(&self, messages: Vec<TaskEnvelope>) -> Sorted {
        let (topology, services) = (&self.inner.topology, &self.inner.services);
        let now = services.clock.now();
        let mut sorted = Sorted {
            ids: messages.iter().map(|message| message.id).collect(),
            results: messages.iter().map(|_| None).collect(),
            outgoing: Vec::with_capacity(messages.len()),
            outgoing_places: Vec::with_capacity(messages.len()),
            kept: Vec::new(),
            kept_places: Vec::new(),
        };
        let mut stuck: HashSet<(TopicName, String)> = HashSet::new();
        for (place, message) in messages.into_iter().enumerate() {
            let ordering = message.ordering();
            let key = ordering.clone().map(|ordering| (message.topic.clone(), ordering));
            let error = if key.as_ref().is_some_and(|key| stuck.contains(key)) {
                Some(PublishError::Blocked)
            } else {
                None
            };
            let is_partitioned = topology.is_ordered(&message.topic);
            let wait = message
                .not_before
                .and_then(|time| time.signed_duration_since(now).to_std().ok())
                .unwrap_or_default();
            // An ordered task waits in its partition's place, and one of a topic without partitions in the database; so does
            // one that is coalesced, because that takes a transaction.
            let is_kept =
                message.coalescing.is_some() || !is_partitioned && (ordering.is_some() || wait > LONGEST_DELAY);
            let encoded = match error {
                Some(error) => Err(error),
                None => message.encode_within(&services.limits).map_err(PublishError::from),
            };
            match encoded {
                Err(error) => {
                    stuck.extend(key);
                    if let Some(slot) = sorted.results.get_mut(place) {
                        *slot = Some(Err(error));
                    }
                }
                Ok(_) if is_kept => {
                    sorted.kept.push(message);
                    sorted.kept_places.push(place);
                }
                Ok(body) => {
                    let body = Arc::from(body.into_bytes());
                    let outgoing = Outgoing::direct(topology, &message, ordering, body);
                    sorted.outgoing.push(if is_partitioned {
                        outgoing
                    } else {
                        outgoing.after(wait, topology, &*services.clock)
                    });
                    sorted.outgoing_places.push(place);
                }
            }
        }
        sorted
    }
}
