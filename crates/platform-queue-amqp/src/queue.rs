//! The queue: topics of tasks on a broker, and in a database what a broker cannot keep.

mod arrival;
mod batch;
mod consumer;
mod delivery;
mod drain;
mod held_side;
mod holding;
mod lines;
mod maintenance;
pub(crate) mod message;
mod patience;
mod publish_lane;
mod publisher;
mod pump;
mod record_lane;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::declarer::Declarer;
use crate::link::{Link, Supervisor};
use crate::options::{AmqpOptions, AmqpServices, AmqpStores};
use crate::queue::publish_lane::{PublishLane, PublishMetrics};
use crate::queue::publisher::{LANES, Lanes, WAITING_CALLS};
use crate::queue::record_lane::Recorder;
use crate::topology::Topology;

/// The longest closing waits for what is still being settled and published.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// The queue on a broker. Implements `QueuePublisher`, `QueueConsumer`, `QueueMaintenance`, `TaskInspector` and `Broker`.
/// Clones share it.
#[derive(Clone)]
pub struct AmqpQueue {
    pub(crate) inner: Arc<Inner>,
}

/// What the parts of a queue share.
pub(crate) struct Inner {
    pub(crate) topology: Topology,
    pub(crate) services: AmqpServices,
    pub(crate) stores: AmqpStores,
    pub(crate) publishing: Link,
    pub(crate) consuming: Link,
    pub(crate) declarer: Arc<Declarer>,
    lanes: Lanes,
    recorder: Recorder,
    /// Whether a topic of the application's own is partitioned.
    keeps_order_keys_on_one_consumer: bool,
    /// The topics this process has to do with, and how many of their tasks it has at hand.
    at_hand: Mutex<BTreeMap<TopicName, Arc<AtomicU64>>>,
    pub(crate) tracker: TaskTracker,
    pub(crate) runtime: tokio::runtime::Handle,
    /// Ends the consumers.
    pub(crate) closing: CancellationToken,
    /// What publishes and records, which ends when the consumers have.
    lanes_tracker: TaskTracker,
    lanes_closing: CancellationToken,
    /// The connections, which end last.
    links_tracker: TaskTracker,
    links_closing: CancellationToken,
    /// Whoever forgets to close ends everything all the same.
    _closing_at_the_end: [DropGuard; 3],
}

impl AmqpQueue {
    /// The queue on the broker of `options`. Call it once for each process, within a runtime: it keeps its connections until it
    /// is [closed](Self::close). The broker need not be there yet.
    pub fn new(options: &AmqpOptions, services: AmqpServices, stores: AmqpStores) -> Self {
        let tokens = [(); 3].map(|()| CancellationToken::new());
        let closing_at_the_end = tokens.clone().map(CancellationToken::drop_guard);
        let [closing, lanes_closing, links_closing] = tokens;
        let [tracker, lanes_tracker, links_tracker] = [(); 3].map(|()| TaskTracker::new());
        let link = |purpose| {
            let randomness = Arc::clone(&services.randomness);
            let (supervisor, link) = Supervisor::new(options, purpose, randomness, links_closing.child_token());
            links_tracker.spawn(supervisor.run());
            link
        };
        let (publishing, consuming) = (link("publishing"), link("consuming"));
        let topology = Topology::new(options);
        let declarer = Arc::new(Declarer::new(consuming.clone(), topology.clone(), options.declare));
        let metrics = PublishMetrics::new();
        let senders = (0..LANES).map(|_| {
            let (sender, jobs) = mpsc::channel(WAITING_CALLS);
            let lane = PublishLane {
                link: publishing.clone(),
                declarer: Arc::clone(&declarer),
                confirm_timeout: options.confirm_timeout,
                metrics: metrics.clone(),
                channel: None,
            };
            lanes_tracker.spawn(lane.run(jobs, lanes_closing.child_token()));
            sender
        });
        let lanes = Lanes::new(senders.collect(), options.confirm_timeout);
        let (recorder, recording) = Recorder::new(Arc::clone(&stores.history));
        lanes_tracker.spawn(recording.run(lanes_closing.child_token()));
        Self {
            inner: Arc::new(Inner {
                topology,
                services,
                stores,
                publishing,
                consuming,
                declarer,
                lanes,
                recorder,
                keeps_order_keys_on_one_consumer: !options.ordered_topics.is_empty(),
                at_hand: Mutex::default(),
                tracker,
                runtime: tokio::runtime::Handle::current(),
                closing,
                lanes_tracker,
                lanes_closing,
                links_tracker,
                links_closing,
                _closing_at_the_end: closing_at_the_end,
            }),
        }
    }

    /// Ends the consumers, waits a little for what is being settled and published, and closes the connections. What was not
    /// settled by then is delivered again, to whoever is there.
    pub async fn close(&self) {
        let inner = &self.inner;
        let stages = [
            (&inner.closing, &inner.tracker),
            (&inner.lanes_closing, &inner.lanes_tracker),
            (&inner.links_closing, &inner.links_tracker),
        ];
        for (token, tracker) in stages {
            token.cancel();
            tracker.close();
            if timeout(CLOSE_LIMIT, tracker.wait()).await.is_err() {
                tracing::warn!("the queue is closed while something is still under way");
            }
        }
    }
}

impl Inner {
    /// From now on this process has to do with these topics.
    pub(crate) fn know(&self, topics: &BTreeSet<TopicName>) {
        let mut known = self.known();
        for topic in topics {
            known.entry(topic.clone()).or_default();
        }
    }

    /// How many tasks of a topic this process has at hand.
    pub(crate) fn at_hand(&self, topic: &TopicName) -> Arc<AtomicU64> {
        Arc::clone(self.known().entry(topic.clone()).or_default())
    }

    pub(crate) fn known(&self) -> MutexGuard<'_, BTreeMap<TopicName, Arc<AtomicU64>>> {
        // Plain values, whole after any panic.
        self.at_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for AmqpQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpQueue").finish_non_exhaustive()
    }
}
