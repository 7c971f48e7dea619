//! Between the broker's stream and the handlers: what may run is handed on, what may not is held.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;

use aftercommit_domain::contract::{TaskEnvelope, TopicName};
use aftercommit_domain::tasks::{ConsumeError, HeldKeys};
use futures::Stream;
use futures::StreamExt;
use futures::future::OptionFuture;
use futures::stream::SelectAll;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::declarer::short;
use crate::link::{CALL_LIMIT, Epoch};
use crate::queue::Inner;
use crate::queue::arrival::Arrival;
use crate::queue::consumer::{Outstanding, Ready, unavailable};
use crate::queue::holding::{Holding, REST, ToHold, Waiting};
use crate::queue::lines::{Lines, Question};

/// Messages of one queue; `None` when the queue's consumer ended.
pub(crate) type Incoming = Pin<Box<dyn Stream<Item = Option<lapin::Result<Delivery>>> + Send>>;

/// The most tasks that are held by one call.
const HELD_AT_ONCE: usize = 500;

/// What a settled delivery means for its line.
pub(crate) enum LineEvent {
    /// It is over.
    Over(String),
    /// The database holds it now.
    Held(String),
    /// It was given back.
    Again(String, Arrival),
}

/// Takes the messages of one consumer.
pub(crate) struct Pump {
    pub(crate) inner: Arc<Inner>,
    pub(crate) topic: TopicName,
    pub(crate) epoch: Arc<Epoch>,
    pub(crate) channel: Channel,
    pub(crate) tags: Vec<String>,
    pub(crate) incoming: SelectAll<Incoming>,
    pub(crate) ready: mpsc::UnboundedSender<Result<Ready, ConsumeError>>,
    pub(crate) events: mpsc::UnboundedReceiver<LineEvent>,
    /// On a topic that keeps an order.
    pub(crate) lines: Option<Lines<Waiting>>,
    pub(crate) outstanding: Arc<Outstanding>,
    pub(crate) stopping: CancellationToken,
    pub(crate) abandoned: CancellationToken,
    /// Dropped when nothing more is handed on.
    pub(crate) ended: Option<DropGuard>,
}

/// A call that is under way.
type Call<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What the pump is about besides the stream.
#[derive(Default)]
struct Tasks {
    to_hold: Vec<ToHold>,
    holding: Option<Call<Holding>>,
    to_ask: Vec<String>,
    asking: Option<Call<(Question, Option<HeldKeys>)>>,
}

impl Pump {
    pub(crate) async fn run(mut self) {
        let end = self.take().await;
        let channel = self.channel.clone();
        if let Err(error) = end {
            if !self.epoch.lost().is_cancelled() {
                // The queue may be gone: whoever consumes next declares it first.
                self.inner.declarer.forget();
            }
            // Nobody may be listening any more.
            let _ = self.ready.send(Err(error));
        }
        // What is not settled goes back into its queue, in its order.
        let closing = channel.close(200, "OK".into());
        let _ = timeout(CALL_LIMIT, closing).await;
    }

    /// Until it is stopped and the last delivery is settled, or the consumer is gone.
    async fn take(&mut self) -> Result<(), ConsumeError> {
        let mut tasks = Tasks::default();
        let mut is_stopped = false;
        loop {
            if is_stopped && self.outstanding.is_none() && tasks.holding.is_none() {
                return Ok(());
            }
            self.begin(&mut tasks, is_stopped);
            let outstanding = Arc::clone(&self.outstanding);
            tokio::select! {
                biased;
                () = self.epoch.lost().cancelled() => return Err(unavailable("consume", &self.epoch.why())),
                () = self.abandoned.cancelled() => return Ok(()),
                () = self.stopping.cancelled(), if !is_stopped => {
                    is_stopped = true;
                    self.stop().await;
                }
                Some(holding) = OptionFuture::from(tasks.holding.as_mut()) => {
                    tasks.holding = None;
                    self.held(holding, &mut tasks).await;
                }
                Some((question, answer)) = OptionFuture::from(tasks.asking.as_mut()) => {
                    tasks.asking = None;
                    self.answered(question, answer);
                }
                Some(event) = self.events.recv() => self.settled(event),
                next = self.incoming.next(), if !is_stopped => self.arrived(next.flatten(), &mut tasks)?,
                () = outstanding.changed.notified(), if is_stopped => {}
            }
            self.follow_lines(&mut tasks, is_stopped);
        }
    }

    /// Takes no more. Where order matters the subscription stays until the last delivery is settled: whoever comes next must
    /// not run what follows one of them.
    async fn stop(&mut self) {
        if self.lines.is_none() {
            for tag in &self.tags {
                let Ok(tag) = short(tag) else { continue };
                let cancelling = self.channel.basic_cancel(tag, BasicCancelOptions::default());
                let _ = self.epoch.within(CALL_LIMIT, "cancel a consumer", cancelling).await;
            }
            // What the broker sent before it heard of it is given back with the rest.
            while let Ok(Some(Some(Ok(delivery)))) = timeout(CALL_LIMIT, self.incoming.next()).await {
                let arrival = Arrival::new(&self.topic, delivery);
                let _ = self.ready.send(Ok(Ready { arrival, line: None }));
            }
        }
        self.ended = None;
    }

    fn arrived(&mut self, next: Option<lapin::Result<Delivery>>, tasks: &mut Tasks) -> Result<(), ConsumeError> {
        let delivery = match next {
            Some(Ok(delivery)) => delivery,
            Some(Err(error)) => return Err(unavailable("consume", &error)),
            None => return Err(unavailable("consume", &"the broker ended the consumer")),
        };
        let arrival = Arrival::new(&self.topic, delivery);
        let is_suspect = arrival.redelivered;
        if self.lines.is_none() && !is_suspect && !says_when(&arrival.task.body) {
            let _ = self.ready.send(Ok(Ready { arrival, line: None }));
            return Ok(());
        }
        // What cannot be read is for the worker to say.
        let Some(task) = arrival.envelope(&self.inner.services.limits) else {
            let _ = self.ready.send(Ok(Ready { arrival, line: None }));
            return Ok(());
        };
        // Without partitions the database keeps the order that another producer asks for.
        let is_ordered_elsewhere = self.lines.is_none() && task.order_key.is_some();
        let must_be_held = is_suspect || is_ordered_elsewhere || self.must_wait(&task);
        let waiting = Waiting { arrival, task };
        match (&mut self.lines, waiting.task.ordering()) {
            (Some(lines), Some(key)) => lines.arrived(&key, waiting, must_be_held),
            (Some(_) | None, _) if must_be_held => {
                let key = None;
                tasks.to_hold.push(ToHold { key, waiting });
            }
            (Some(_) | None, _) => {
                let arrival = waiting.arrival;
                let _ = self.ready.send(Ok(Ready { arrival, line: None }));
            }
        }
        Ok(())
    }

    /// Whether its time is still to come.
    fn must_wait(&self, task: &TaskEnvelope) -> bool {
        let now = self.inner.services.clock.now();
        task.not_before.is_some_and(|time| time > now)
    }

    fn settled(&mut self, event: LineEvent) {
        let Some(lines) = &mut self.lines else { return };
        match event {
            LineEvent::Over(key) => lines.over(&key),
            LineEvent::Held(key) => lines.held(&key),
            LineEvent::Again(key, arrival) => {
                let must_be_held = arrival.redelivered;
                match arrival.envelope(&self.inner.services.limits) {
                    Some(task) => lines.again(&key, Waiting { arrival, task }, must_be_held),
                    // It had one when it got its line.
                    None => lines.over(&key),
                }
            }
        }
    }

    /// Hands on what the lines say.
    fn follow_lines(&mut self, tasks: &mut Tasks, is_stopped: bool) {
        let Some(lines) = &mut self.lines else { return };
        let steps = lines.steps();
        if steps.is_empty() {
            return;
        }
        tasks.to_ask.extend(steps.ask);
        for (key, waiting) in steps.hold {
            let key = Some(key);
            tasks.to_hold.push(ToHold { key, waiting });
        }
        for (key, Waiting { arrival, .. }) in steps.run {
            if !is_stopped {
                let line = Some(key);
                let _ = self.ready.send(Ok(Ready { arrival, line }));
            }
        }
    }

    /// Begins the calls that are due, one of each kind at a time. After a stop nothing is begun: it stays with the broker.
    fn begin(&mut self, tasks: &mut Tasks, is_stopped: bool) {
        if is_stopped {
            return;
        }
        if tasks.holding.is_none() && !tasks.to_hold.is_empty() {
            let count = tasks.to_hold.len().min(HELD_AT_ONCE);
            let batch: Vec<ToHold> = tasks.to_hold.drain(..count).collect();
            let inner = Arc::clone(&self.inner);
            tasks.holding = Some(Box::pin(async move { inner.hold(batch).await }));
        }
        if tasks.asking.is_none() && !tasks.to_ask.is_empty() {
            let Some(lines) = &self.lines else { return };
            let question = lines.question(std::mem::take(&mut tasks.to_ask));
            let (store, topic) = (Arc::clone(&self.inner.stores.held), self.topic.clone());
            tasks.asking = Some(Box::pin(async move {
                match store.held_keys(&topic, &question.keys).await {
                    Ok(answer) => (question, Some(answer)),
                    Err(error) => {
                        tracing::warn!(%topic, %error, "it is not known which keys are held; their tasks wait");
                        sleep(REST).await;
                        (question, None)
                    }
                }
            }));
        }
    }

    /// Acks what the database has, and keeps the rest for another try.
    async fn held(&mut self, holding: Holding, tasks: &mut Tasks) {
        let Holding { taken, left } = holding;
        tasks.to_hold.splice(..0, left);
        let mut keys = HashSet::new();
        for ToHold { key, waiting } in taken {
            let acking = waiting.arrival.acker.ack(BasicAckOptions::default());
            // One that is not taken comes again, and is held already.
            let _ = self.epoch.within(CALL_LIMIT, "ack", acking).await;
            keys.extend(key);
        }
        if let Some(lines) = &mut self.lines {
            // Others of the same key may still be on their way.
            let pending: HashSet<&String> = tasks.to_hold.iter().filter_map(|one| one.key.as_ref()).collect();
            let done: Vec<String> = keys.iter().filter(|key| !pending.contains(key)).cloned().collect();
            lines.are_held(done);
        }
    }

    fn answered(&mut self, question: Question, answer: Option<HeldKeys>) {
        let Some(lines) = &mut self.lines else { return };
        match answer {
            Some(answer) => lines.answered(question, &answer),
            None => lines.unanswered(question),
        }
    }
}

/// Whether a body may say something about when it is to be run. This library says it by the way a message takes; others write
/// it only here.
fn says_when(body: &[u8]) -> bool {
    let has = |name: &[u8]| body.windows(name.len()).any(|part| part == name);
    has(b"\"not_before\"") || has(b"\"order_key\"")
}
