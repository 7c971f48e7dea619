//! The queue's consuming side as a process reaches it; deliveries may be handed out twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aftercommit_domain::contract::{Limits, RawTask, TaskEnvelope, TopicName};
use aftercommit_domain::failure::Failure;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    ConsumeError, ConsumeOptions, DeadLetter, DeadLetters, Deliveries, Delivery, Outcome, QueueConsumer, SettleError,
};
use aftercommit_domain::time::Clock;
use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use super::{Ports, REASON};
use crate::clock::MachineClock;
use crate::counted::Counted;
use crate::link::{Kind, Link};
use crate::scenario::CallFault;

#[async_trait]
impl QueueConsumer for Ports {
    async fn consume(&self, topic: &TopicName, options: ConsumeOptions) -> Result<Box<dyn Deliveries>, ConsumeError> {
        let prefetch = options.prefetch.max(1);
        let consume = self.store.consume(topic, options);
        let inner = self.link.call(Kind::Patient, "consume", consume, away).await?;
        Ok(Box::new(Taken {
            inner,
            ports: self.clone(),
            prefetch,
            unsettled: Arc::default(),
            handed_over: None,
            echo: None,
        }))
    }
}

struct Taken {
    inner: Box<dyn Deliveries>,
    ports: Ports,
    prefetch: usize,
    unsettled: Arc<AtomicUsize>,
    /// Taken by a call that was given up before it answered.
    handed_over: Option<Next>,
    /// What comes a second time, and when.
    echo: Option<(Instant, Echo)>,
}

/// What is handed out next.
enum Next {
    /// With the task it is, and which handing-out of it.
    OfQueue(Box<dyn Delivery>, Option<(MessageId, u64)>),
    Again(Echo),
}

#[async_trait]
impl Deliveries for Taken {
    async fn next(&mut self) -> Result<Option<Box<dyn Delivery>>, ConsumeError> {
        let link = Arc::clone(&self.ports.link);
        let mut course = None;
        if self.handed_over.is_none() {
            let drawn = link.course(Kind::Patient, "next");
            link.go(drawn).await;
            match drawn.fault {
                Some(CallFault::Refuse) => return Err(away()),
                _ if link.is_cut() => return Err(away()),
                _ => {}
            }
            let Some(delivery) = self.take().await? else {
                return Ok(None);
            };
            self.handed_over = Some(delivery);
            course = Some(drawn);
        }
        if let Some(course) = course {
            if course.fault == Some(CallFault::LoseReply) {
                self.handed_over = None;
                return Err(away());
            }
            link.come_back(course).await;
        }
        if link.is_cut() {
            self.handed_over = None;
            return Err(away());
        }
        Ok(self.handed_over.take().map(|next| match next {
            Next::OfQueue(inner, handed_out) => self.hand_out(inner, handed_out),
            Next::Again(echo) => Box::new(echo) as Box<dyn Delivery>,
        }))
    }

    async fn stop(&mut self) {
        self.inner.stop().await;
    }
}

impl Taken {
    /// The next of the queue, or what comes a second time.
    async fn take(&mut self) -> Result<Option<Next>, ConsumeError> {
        let due = self.echo.as_ref().map(|(due, _)| *due);
        let again = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = again => Ok(self.echo.take().map(|(_, echo)| Next::Again(echo))),
            next = self.inner.next() => Ok(next?.map(|inner| {
                let task = TaskEnvelope::decode(&inner.task().body, &Limits::default());
                let fences = &self.ports.link.world.fences;
                let handed_out = task.ok().map(|task| (task.id, fences.handed_out(task.id)));
                Next::OfQueue(inner, handed_out)
            })),
        }
    }

    fn hand_out(&mut self, inner: Box<dyn Delivery>, handed_out: Option<(MessageId, u64)>) -> Box<dyn Delivery> {
        let link = &self.ports.link;
        let world = &link.world;
        if !world.is_healed() && self.echo.is_none() && link.dice.happens(world.scenario.echoes) {
            let due = Instant::now() + link.dice.millis(0, 12_000);
            world
                .timeline
                .fault(link.process, format_args!("a delivery comes twice"));
            self.echo = Some((
                due,
                Echo {
                    task: inner.task().clone(),
                    attempt: inner.attempt(),
                    ports: self.ports.clone(),
                    _running: Counted::within(&world.running),
                },
            ));
        }
        let unsettled = Counted::within(&self.unsettled);
        let count = self.unsettled.load(Ordering::Relaxed);
        // One that comes a second time is no business of the queue's, and not counted.
        if count > self.prefetch {
            world.ledger.must_not(format!(
                "bounds: {count} unsettled deliveries, {} allowed",
                self.prefetch
            ));
        }
        Box::new(OnItsWay {
            inner,
            holding: Holding {
                link: Arc::clone(link),
                handed_out,
                unsettled,
                _running: Counted::within(&world.running),
            },
        })
    }
}

struct OnItsWay {
    inner: Box<dyn Delivery>,
    holding: Holding,
}

/// What is known of a delivery until it is settled.
struct Holding {
    link: Arc<Link>,
    /// The task, and which handing-out of it this is.
    handed_out: Option<(MessageId, u64)>,
    unsettled: Counted,
    /// Until it is settled, the world is not at rest, also when another has the task.
    _running: Counted,
}

impl Holding {
    async fn settle(
        self,
        what: &'static str,
        settle: impl Future<Output = Result<(), SettleError>> + Send,
    ) -> Result<(), SettleError> {
        let Self {
            link,
            handed_out,
            unsettled,
            _running,
        } = self;
        let world = &link.world;
        let settle = async {
            let is_own = handed_out.is_none_or(|(task, number)| world.fences.is_last(task, number));
            let settled = settle.await;
            drop(unsettled);
            if settled.is_ok() && !is_own {
                world
                    .ledger
                    .must_not(format!("fence: {what} of a task that another worker has"));
            }
            settled
        };
        let lost = || SettleError::Unavailable { reason: REASON.into() };
        link.call(Kind::Patient, what, settle, lost).await
    }
}

#[async_trait]
impl Delivery for OnItsWay {
    fn task(&self) -> &RawTask {
        self.inner.task()
    }

    fn attempt(&self) -> u32 {
        self.inner.attempt()
    }

    fn redelivered(&self) -> bool {
        self.inner.redelivered()
    }

    fn is_held(&self) -> bool {
        self.inner.is_held()
    }

    fn must_run_alone(&self) -> bool {
        self.inner.must_run_alone()
    }

    async fn begin_alone(&self) -> Result<(), SettleError> {
        self.inner.begin_alone().await
    }

    async fn ack(self: Box<Self>, outcome: &Outcome) -> Result<(), SettleError> {
        let Self { inner, holding } = *self;
        holding.settle("ack", inner.ack(outcome)).await
    }

    async fn retry(
        self: Box<Self>,
        after: Duration,
        counted: bool,
        failure: Option<&Failure>,
    ) -> Result<(), SettleError> {
        let Self { inner, holding } = *self;
        holding.settle("retry", inner.retry(after, counted, failure)).await
    }

    async fn dead_letter(self: Box<Self>, failure: &Failure) -> Result<(), SettleError> {
        let Self { inner, holding } = *self;
        holding.settle("dead letter", inner.dead_letter(failure)).await
    }

    async fn give_back(self: Box<Self>) -> Result<(), SettleError> {
        let Self { inner, holding } = *self;
        holding.settle("give back", inner.give_back()).await
    }

    async fn set_aside(self: Box<Self>) -> Result<(), SettleError> {
        let Self { inner, holding } = *self;
        holding.settle("set aside", inner.set_aside()).await
    }
}

/// A second copy of a delivery, as a broker may make one. Settling it takes nothing from the first.
struct Echo {
    task: RawTask,
    attempt: u32,
    ports: Ports,
    /// Until it is settled, the world is not at rest.
    _running: Counted,
}

#[async_trait]
impl Delivery for Echo {
    fn task(&self) -> &RawTask {
        &self.task
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn redelivered(&self) -> bool {
        true
    }

    async fn ack(self: Box<Self>, _: &Outcome) -> Result<(), SettleError> {
        Ok(())
    }

    async fn retry(self: Box<Self>, _: Duration, _: bool, _: Option<&Failure>) -> Result<(), SettleError> {
        Ok(())
    }

    async fn dead_letter(self: Box<Self>, failure: &Failure) -> Result<(), SettleError> {
        let Ok(task) = TaskEnvelope::decode(&self.task.body, &Limits::default()) else {
            return Ok(());
        };
        let id: MessageId = task.id;
        let (topic, body) = (self.task.topic.clone(), self.task.body.to_vec());
        let now = MachineClock::new(self.ports.link.world.started).now();
        let letter = DeadLetter::new(id, topic, Some(task), body, self.attempt, failure.clone(), now);
        let lost = |_| SettleError::Unavailable { reason: REASON.into() };
        self.ports.store.add(letter).await.map_err(lost)
    }

    async fn give_back(self: Box<Self>) -> Result<(), SettleError> {
        Ok(())
    }

    async fn set_aside(self: Box<Self>) -> Result<(), SettleError> {
        Ok(())
    }
}

fn away() -> ConsumeError {
    ConsumeError::Unavailable {
        operation: "consume",
        reason: REASON.into(),
    }
}
