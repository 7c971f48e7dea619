//! A channel that publishes: one batch in flight, and one answer for each message when the whole batch is decided.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::tasks::PublishError;
use lapin::Channel;
use lapin::options::ConfirmSelectOptions;
use metrics::{Counter, Histogram};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::declarer::Declarer;
use crate::link::{CALL_LIMIT, Epoch, Link};
use crate::queue::batch::{self, Decision, Published};
use crate::queue::message::Outgoing;
use crate::trouble::{Trouble, TroubleKind};

/// The most messages of a batch.
const MESSAGES: usize = 512;
/// The most bytes of a batch with more than one message.
const BYTES: usize = 2 * 1024 * 1024;

/// Messages of one call, in the order they are to be published.
pub(crate) struct PublishJob {
    pub(crate) messages: Vec<Outgoing>,
    pub(crate) reply: oneshot::Sender<Vec<Result<(), PublishError>>>,
    /// Its share of what may be in flight.
    pub(crate) room: OwnedSemaphorePermit,
}

/// Publishes what comes to it on one channel.
pub(crate) struct PublishLane {
    pub(crate) link: Link,
    pub(crate) declarer: Arc<Declarer>,
    pub(crate) confirm_timeout: Duration,
    pub(crate) metrics: PublishMetrics,
    pub(crate) channel: Option<(Arc<Epoch>, Channel)>,
}

/// What is counted of publishing.
#[derive(Clone)]
pub(crate) struct PublishMetrics {
    confirm_seconds: Histogram,
    unroutable: Counter,
    refused: Counter,
    unknown: Counter,
}

impl PublishMetrics {
    pub(crate) fn new() -> Self {
        metrics::describe_histogram!(
            "aftercommit_broker_confirm_seconds",
            metrics::Unit::Seconds,
            "How long the broker took to confirm a batch"
        );
        metrics::describe_counter!(
            "aftercommit_broker_unpublished_total",
            "Messages the broker did not take, by why: unroutable, refused, unknown"
        );
        let unpublished = |why: &'static str| metrics::counter!("aftercommit_broker_unpublished_total", "why" => why);
        Self {
            confirm_seconds: metrics::histogram!("aftercommit_broker_confirm_seconds"),
            unroutable: unpublished("unroutable"),
            refused: unpublished("refused"),
            unknown: unpublished("unknown"),
        }
    }
}

impl PublishLane {
    /// Publishes until it is closed, and then what waits already.
    pub(crate) async fn run(mut self, mut jobs: mpsc::Receiver<PublishJob>, closing: CancellationToken) {
        loop {
            let first = tokio::select! {
                biased;
                first = jobs.recv() => first,
                () = closing.cancelled(), if !jobs.is_closed() => {
                    jobs.close();
                    continue;
                }
            };
            let Some(first) = first else { return };
            let mut gathered = vec![first];
            let (mut messages, mut bytes) = size(&gathered);
            while messages < MESSAGES && bytes < BYTES {
                let Ok(job) = jobs.try_recv() else { break };
                gathered.push(job);
                (messages, bytes) = size(&gathered);
            }
            self.publish(gathered).await;
        }
    }

    async fn publish(&mut self, jobs: Vec<PublishJob>) {
        let messages: Vec<&Outgoing> = jobs.iter().flat_map(|job| &job.messages).collect();
        let mut decisions = Vec::with_capacity(messages.len());
        for part in parts(&messages) {
            let started = Instant::now();
            decisions.extend(self.decide(part).await);
            self.metrics.confirm_seconds.record(started.elapsed().as_secs_f64());
        }
        let mut results = block_followers(&messages, decisions, &self.metrics).into_iter();
        for job in jobs {
            let answer = results.by_ref().take(job.messages.len()).collect();
            drop(job.room);
            // The caller may have gone away; what was published stays published.
            let _ = job.reply.send(answer);
        }
    }

    /// Publishes a batch; what came back once more, after its queue was declared again.
    async fn decide(&mut self, messages: &[&Outgoing]) -> Vec<Decision> {
        let mut decisions = self.attempt(messages).await;
        // What follows a returned message in its order goes after it again, whatever became of it.
        let mut lines: HashSet<(&TopicName, &str)> = HashSet::new();
        let mut again = Vec::new();
        for (place, (message, decision)) in messages.iter().zip(&decisions).enumerate() {
            let line = message.ordering.as_deref().map(|ordering| (&message.topic, ordering));
            if *decision == Decision::Unroutable {
                lines.extend(line);
                again.push(place);
            } else if line.is_some_and(|line| lines.contains(&line)) {
                again.push(place);
            }
        }
        if again.is_empty() {
            return decisions;
        }
        let returned: Vec<&Outgoing> = again.iter().filter_map(|place| messages.get(*place).copied()).collect();
        for topic in topics(&returned) {
            tracing::warn!(%topic, "the broker had no queue for the topic; it is declared again");
            self.declarer.forget();
        }
        let second = self.attempt(&returned).await;
        for (place, decision) in again.into_iter().zip(second) {
            if let Some(first) = decisions.get_mut(place) {
                *first = decision;
            }
        }
        decisions
    }

    async fn attempt(&mut self, messages: &[&Outgoing]) -> Vec<Decision> {
        let all = |trouble: &Trouble| vec![Decision::of(trouble); messages.len()];
        let mut undeclared: HashMap<&TopicName, Trouble> = HashMap::new();
        for topic in topics(messages) {
            if let Err(trouble) = self.declarer.ensure(topic).await {
                undeclared.insert(topic, Trouble::away(format!("{topic} cannot be declared: {trouble}")));
            }
        }
        if !undeclared.is_empty() {
            // One topic's trouble is not that of the others.
            let rest: Vec<&Outgoing> = messages
                .iter()
                .copied()
                .filter(|message| !undeclared.contains_key(&message.topic))
                .collect();
            let decided = if rest.is_empty() {
                Vec::new()
            } else {
                Box::pin(self.attempt(&rest)).await
            };
            let mut decided = decided.into_iter();
            let decisions = messages.iter().map(|message| match undeclared.get(&message.topic) {
                Some(trouble) => Decision::of(trouble),
                None => decided
                    .next()
                    .unwrap_or_else(|| Decision::Unknown("it was not decided".into())),
            });
            return decisions.collect();
        }
        let (epoch, channel) = match self.channel().await {
            Ok(channel) => channel,
            Err(trouble) => return all(&Trouble::new(unsent(trouble.kind), trouble)),
        };
        match batch::publish(&epoch, &channel, messages, self.confirm_timeout).await {
            Ok(Published {
                decisions,
                channel_is_spent,
            }) => {
                if channel_is_spent {
                    self.channel = None;
                }
                decisions
            }
            Err(trouble) => {
                self.channel = None;
                match trouble.kind {
                    // Whether a message is the culprit, and which, is seen when each is alone.
                    TroubleKind::Rejected | TroubleKind::Missing | TroubleKind::Forbidden | TroubleKind::Drifted
                        if messages.len() > 1 =>
                    {
                        tracing::warn!(error = %trouble, messages = messages.len(), "the broker closed the channel; each message is published alone");
                        self.one_by_one(messages).await
                    }
                    TroubleKind::Rejected
                    | TroubleKind::Missing
                    | TroubleKind::Forbidden
                    | TroubleKind::Drifted
                    | TroubleKind::Away
                    | TroubleKind::Silent
                    | TroubleKind::Blocked => all(&trouble),
                }
            }
        }
    }

    async fn one_by_one(&mut self, messages: &[&Outgoing]) -> Vec<Decision> {
        let mut decisions = Vec::with_capacity(messages.len());
        for message in messages {
            let decided = Box::pin(self.attempt(&[message])).await;
            decisions.extend(decided);
        }
        decisions
    }

    /// The channel of this lane on the present connection.
    async fn channel(&mut self) -> Result<(Arc<Epoch>, Channel), Trouble> {
        let epoch = self.link.taking()?;
        if let Some((of, channel)) = &self.channel
            && of.number() == epoch.number()
            && channel.status().connected()
        {
            return Ok((epoch, channel.clone()));
        }
        let channel = epoch.channel().await?;
        let confirming = channel.confirm_select(ConfirmSelectOptions::default());
        epoch.within(CALL_LIMIT, "ask for confirms", confirming).await?;
        self.channel = Some((Arc::clone(&epoch), channel.clone()));
        Ok((epoch, channel))
    }
}

/// Before a message was sent, silence means as little as absence.
const fn unsent(kind: TroubleKind) -> TroubleKind {
    match kind {
        TroubleKind::Blocked => TroubleKind::Blocked,
        TroubleKind::Forbidden => TroubleKind::Forbidden,
        TroubleKind::Away
        | TroubleKind::Silent
        | TroubleKind::Missing
        | TroubleKind::Drifted
        | TroubleKind::Rejected => TroubleKind::Away,
    }
}

fn size(jobs: &[PublishJob]) -> (usize, usize) {
    let messages = jobs.iter().flat_map(|job| &job.messages);
    messages.fold((0, 0), |(count, bytes), message| (count + 1, bytes + message.bytes()))
}

/// Batches of bounded size, in order.
fn parts<'m, 'o>(messages: &'m [&'o Outgoing]) -> Vec<&'m [&'o Outgoing]> {
    let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (place, message) in messages.iter().enumerate() {
        let is_full = place - start >= MESSAGES || (place > start && bytes + message.bytes() > BYTES);
        if is_full {
            parts.extend(messages.get(start..place));
            (start, bytes) = (place, 0);
        }
        bytes += message.bytes();
    }
    parts.extend(messages.get(start..));
    parts
}

fn topics<'m>(messages: &[&'m Outgoing]) -> HashSet<&'m TopicName> {
    messages.iter().map(|message| &message.topic).collect()
}

/// What each caller is told. After a message that was not published, the later ones of its order count as not published
/// either, whatever became of them: they are published again after it.
fn block_followers(
    messages: &[&Outgoing],
    decisions: Vec<Decision>,
    metrics: &PublishMetrics,
) -> Vec<Result<(), PublishError>> {
    let mut stuck: HashSet<(&TopicName, &str)> = HashSet::new();
    let mut results = Vec::with_capacity(messages.len());
    for (message, decision) in messages.iter().zip(decisions) {
        let key = message.ordering.as_deref().map(|ordering| (&message.topic, ordering));
        if key.is_some_and(|key| stuck.contains(&key)) {
            results.push(Err(PublishError::Blocked));
            continue;
        }
        match &decision {
            Decision::Published | Decision::Unavailable(_) | Decision::Invalid(_) => {}
            Decision::Unroutable => metrics.unroutable.increment(1),
            Decision::Refused(_) => metrics.refused.increment(1),
            Decision::Unknown(_) => metrics.unknown.increment(1),
        }
        let result = decision.into_result(&message.topic);
        if let (Err(_), Some(key)) = (&result, key) {
            stuck.insert(key);
        }
        results.push(result);
    }
    results
}
