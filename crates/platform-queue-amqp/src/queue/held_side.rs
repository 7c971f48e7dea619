//! The tasks of a topic that the database holds, taken beside those of the broker.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::tasks::{ConsumeError, ConsumeOptions, Deliveries, Delivery, QueueConsumer};
use tokio::time::{Sleep, sleep};

/// How long it rests after the database failed. The broker's tasks go on meanwhile.
const REST: Duration = Duration::from_secs(1);

type Consuming = Pin<Box<dyn Future<Output = Result<Box<dyn Deliveries>, ConsumeError>> + Send>>;

/// Takes held tasks, and starts again by itself when that fails.
pub(crate) struct HeldSide {
    consumer: Arc<dyn QueueConsumer>,
    topic: TopicName,
    options: ConsumeOptions,
    state: State,
}

enum State {
    Starting(Consuming),
    Taking(Box<dyn Deliveries>),
    Resting(Pin<Box<Sleep>>),
    Stopped,
}

impl HeldSide {
    pub(crate) fn new(consumer: Arc<dyn QueueConsumer>, topic: TopicName, options: ConsumeOptions) -> Self {
        let state = start(&consumer, &topic, &options);
        Self {
            consumer,
            topic,
            options,
            state,
        }
    }

    /// The next held task. Cancelling the call loses nothing: what was begun goes on in the next.
    pub(crate) async fn next(&mut self) -> Box<dyn Delivery> {
        loop {
            let next = match &mut self.state {
                State::Starting(starting) => match starting.await {
                    Ok(deliveries) => State::Taking(deliveries),
                    Err(error) => self.rest(&error),
                },
                State::Taking(deliveries) => match deliveries.next().await {
                    Ok(Some(delivery)) => return delivery,
                    Ok(None) => State::Stopped,
                    Err(error) => self.rest(&error),
                },
                State::Resting(rest) => {
                    rest.await;
                    start(&self.consumer, &self.topic, &self.options)
                }
                State::Stopped => std::future::pending().await,
            };
            self.state = next;
        }
    }

    fn rest(&self, error: &ConsumeError) -> State {
        tracing::warn!(topic = %self.topic, %error, "held tasks cannot be taken; those of the broker go on");
        State::Resting(Box::pin(sleep(REST)))
    }

    pub(crate) async fn stop(&mut self) {
        if let State::Taking(deliveries) = &mut self.state {
            deliveries.stop().await;
        }
        self.state = State::Stopped;
    }
}

fn start(consumer: &Arc<dyn QueueConsumer>, topic: &TopicName, options: &ConsumeOptions) -> State {
    let (consumer, topic, options) = (Arc::clone(consumer), topic.clone(), options.clone());
    State::Starting(Box::pin(async move { consumer.consume(&topic, options).await }))
}
