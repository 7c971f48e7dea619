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
    handed_over: Option<Box<dyn Delivery>>,
    /// What comes a second time, and when.
    echo: Option<(Instant, Echo)>,
}

#[async_trait]
impl Deliveries for Taken {
    async fn next(&mut self) -> Result<Option<Box<dyn Delivery>>, ConsumeError> {
        let link = Arc::clone(&self.ports.link);
        let mut course = None;
        if self.handed_over.is_none() {
            let drawn = link.course(Kind::Patient, "next");
            link.travel(drawn.there).await;
            match drawn.fault {
                Some(CallFault::Refuse) => return Err(away()),
                Some(CallFault::DieBefore) => link.threads.die_here().await,
                _ if link.is_cut() => return Err(away()),
                _ => {}
            }
            let Some(delivery) = self.take().await? else { return Ok(None) };
            self.handed_over = Some(delivery);
            course = Some(drawn);
        }
        if let Some(course) = course {
            match course.fault {
                Some(CallFault::DieAfter) => link.threads.die_here().await,
                Some(CallFault::LoseReply) => {
                    self.handed_over = None;
                    return Err(away());
                }
                _ => link.travel(course.back).await,
            }
        }
        if link.is_cut() {
            self.handed_over = None;
            return Err(away());
        }
        let Some(inner) = self.handed_over.take() else { return Ok(None) };
        Ok(Some(self.hand_out(inner)))
    }

    async fn stop(&mut self) {
        self.inner.stop().await;
    }
}

impl Taken {
    /// The next of the queue, or what comes a second time.
    async fn take(&mut self) -> Result<Option<Box<dyn Delivery>>, ConsumeError> {
        let Some((due, _)) = &self.echo else {
            return self.inner.next().await;
        };
        tokio::select! {
            biased;
            () = sleep_until(*due) => {
                let echo = self.echo.take();
                Ok(echo.map(|(_, echo)| Box::new(echo) as Box<dyn Delivery>))
            }
            next = self.inner.next() => next,
        }
    }

    fn hand_out(&mut self, inner: Box<dyn Delivery>) -> Box<dyn Delivery> {
        let link = &self.ports.link;
        let world = &link.world;
        if !world.is_healed() && self.echo.is_none() && link.dice.happens(world.scenario.echoes) {
            let due = Instant::now() + link.dice.millis(0, 12_000);
            world.timeline.fault(link.process, "a delivery comes twice", 0);
            self.echo = Some((due, Echo {
                task: inner.task().clone(),
                attempt: inner.attempt(),
                ports: self.ports.clone(),
                _running: Counted::within(&world.running),
            }));
        }
        let unsettled = Counted::within(&self.unsettled);
        let count = self.unsettled.load(Ordering::Relaxed);
        // One that comes a second time is no business of the store's.
        if count > self.prefetch + 1 {
            world.ledger.must_not(format!("bounds: {count} unsettled deliveries, {} allowed", self.prefetch));
        }
        Box::new(OnItsWay {
            inner,
            link: Arc::clone(link),
            unsettled,
        })
    }
}

struct OnItsWay {
    inner: Box<dyn Delivery>,
    link: Arc<Link>,
    unsettled: Counted,
}

impl OnItsWay {
    async fn settle(
        link: &Link,
        unsettled: Counted,
        what: &'static str,
        settle: impl Future<Output = Result<(), SettleError>> + Send,
    ) -> Result<(), SettleError> {
        let settle = async {
            let settled = settle.await;
            drop(unsettled);
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

    async fn ack(self: Box<Self>, outcome: &Outcome) -> Result<(), SettleError> {
        let Self { inner, link, unsettled } = *self;
        Self::settle(&link, unsettled, "ack", inner.ack(outcome)).await
    }

    async fn retry(
        self: Box<Self>,
        after: Duration,
        counted: bool,
        failure: Option<&Failure>,
    ) -> Result<(), SettleError> {
        let Self { inner, link, unsettled } = *self;
        Self::settle(&link, unsettled, "retry", inner.retry(after, counted, failure)).await
    }

    async fn dead_letter(self: Box<Self>, failure: &Failure) -> Result<(), SettleError> {
        let Self { inner, link, unsettled } = *self;
        Self::settle(&link, unsettled, "dead letter", inner.dead_letter(failure)).await
    }

    async fn give_back(self: Box<Self>) -> Result<(), SettleError> {
        let Self { inner, link, unsettled } = *self;
        Self::settle(&link, unsettled, "give back", inner.give_back()).await
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
        let letter = DeadLetter {
            id,
            topic: self.task.topic.clone(),
            task: Some(task),
            body: self.task.body.to_vec(),
            attempts: self.attempt,
            failure: failure.clone(),
            died_at: MachineClock::new(self.ports.link.world.started).now(),
        };
        let lost = |_| SettleError::Unavailable { reason: REASON.into() };
        self.ports.store.add(letter).await.map_err(lost)
    }

    async fn give_back(self: Box<Self>) -> Result<(), SettleError> {
        Ok(())
    }
}

fn away() -> ConsumeError {
    ConsumeError::Unavailable {
        operation: "consume",
        reason: REASON.into(),
    }
}
