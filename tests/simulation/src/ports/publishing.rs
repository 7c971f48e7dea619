//! The queue's publishing side as a process reaches it: what is lost, late, twice or in part.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::tasks::{PublishError, Published, QueueCapabilities, QueuePublisher};
use async_trait::async_trait;

use super::{Ports, REASON};
use crate::link::Kind;
use crate::scenario::CallFault;

type Answers = Vec<Result<Published, PublishError>>;

#[async_trait]
impl QueuePublisher for Ports {
    async fn publish(&self, messages: Vec<TaskEnvelope>) -> Answers {
        let link = &self.link;
        let count = messages.len();
        let course = link.course(Kind::Publish, "publish");
        link.go(course).await;
        if course.fault == Some(CallFault::Full) {
            link.world.fill_queue(link.dice.between(200, 6000));
        }
        let unknown = || vec![Err(PublishError::Unknown { reason: REASON.into() }); count];
        let unavailable = || vec![Err(PublishError::Unavailable { reason: REASON.into() }); count];
        let answers = match course.fault {
            Some(CallFault::Refuse) => unavailable(),
            Some(CallFault::Hang) => {
                // What a caller gave up may still arrive.
                if link.dice.happens(500) {
                    self.publish_later(messages);
                }
                std::future::pending().await
            }
            Some(CallFault::Late) => {
                self.publish_later(messages);
                unknown()
            }
            _ if link.is_cut() => unavailable(),
            _ if link.world.is_queue_full() => {
                let full = || PublishError::Refused {
                    reason: "the queue is full".into(),
                };
                messages.iter().map(|_| Err(full())).collect()
            }
            Some(CallFault::Twice) => {
                self.publish_later(messages.clone());
                self.store.publish(messages).await
            }
            Some(CallFault::Partly) => {
                let some = usize::try_from(link.dice.below(count as u64)).unwrap_or(0);
                self.store.publish(messages.into_iter().take(some).collect()).await;
                unknown()
            }
            Some(CallFault::RefuseSome) => self.refuse_some(messages).await,
            Some(CallFault::LoseReply) => {
                self.store.publish(messages).await;
                unknown()
            }
            Some(
                CallFault::Slow
                | CallFault::DieBefore
                | CallFault::DieAfter
                | CallFault::StandStillBefore
                | CallFault::StandStillAfter
                | CallFault::CutBefore
                | CallFault::CutAfter
                | CallFault::Full,
            )
            | None => self.store.publish(messages).await,
        };
        let ok = answers.iter().filter(|answer| answer.is_ok()).count();
        link.world.timeline.step(link.process, "publish", "answered", ok as u64);
        link.come_back(course).await;
        if link.is_cut() { unknown() } else { answers }
    }

    fn capabilities(&self) -> QueueCapabilities {
        self.store.capabilities()
    }
}

impl Ports {
    /// Publishes after a while, whatever becomes of this process.
    #[expect(clippy::disallowed_methods, reason = "it belongs to the network, not to a process")]
    fn publish_later(&self, messages: Vec<TaskEnvelope>) {
        let store = self.store.clone();
        let link = &self.link;
        let (world, process) = (link.world.clone(), link.process);
        let wait = link.dice.millis(5, 20_000);
        world.on_the_way.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let answers = store.publish(messages).await;
            world
                .timeline
                .step(process, "publish", "arrived late", answers.len() as u64);
            world.on_the_way.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Refuses some, and what follows them in their order.
    async fn refuse_some(&self, messages: Vec<TaskEnvelope>) -> Answers {
        let mut stopped = HashSet::new();
        let mut decided = Vec::with_capacity(messages.len());
        let mut taken = Vec::with_capacity(messages.len());
        for message in messages {
            let order = message.ordering().map(|key| (message.topic.clone(), key));
            if order.as_ref().is_some_and(|order| stopped.contains(order)) {
                decided.push(Some(PublishError::Blocked));
            } else if self.link.dice.happens(400) {
                stopped.extend(order);
                decided.push(Some(PublishError::Refused { reason: REASON.into() }));
            } else {
                taken.push(message);
                decided.push(None);
            }
        }
        let mut answers = self.store.publish(taken).await.into_iter();
        let answer = |refused| match refused {
            Some(error) => Err(error),
            None => answers.next().unwrap_or(Err(PublishError::Blocked)),
        };
        decided.into_iter().map(answer).collect()
    }
}
