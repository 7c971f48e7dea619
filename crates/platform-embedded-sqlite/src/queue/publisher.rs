//! Putting tasks on their topics.

use std::collections::HashSet;

use aftercommit_domain::contract::{TaskEnvelope, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{LONGEST_DELAY, PublishError, Published, QueueCapabilities, QueuePublisher};
use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::columns::micros;
use crate::queue::SqliteQueue;
use crate::queue::insertion::{NewTask, PublishJob};
use crate::writer::{Job, WriteError, closed};

/// The most tasks one caller puts into one transaction; a longer list takes several, so that nobody else waits for all
/// of it.
const TASKS_PER_JOB: usize = 1000;

#[async_trait]
impl QueuePublisher for SqliteQueue {
    async fn publish(&self, messages: Vec<TaskEnvelope>) -> Vec<Result<Published, PublishError>> {
        let mut results: Vec<Result<Published, PublishError>> = Vec::with_capacity(messages.len());
        // Keys of which a task was not published: the later ones must not overtake it.
        let mut stuck: HashSet<(TopicName, String)> = HashSet::new();
        let mut messages = messages.into_iter();
        loop {
            let part: Vec<TaskEnvelope> = messages.by_ref().take(TASKS_PER_JOB).collect();
            if part.is_empty() {
                return results;
            }
            self.publish_part(part, &mut stuck, &mut results).await;
        }
    }

    fn capabilities(&self) -> QueueCapabilities {
        QueueCapabilities {
            durable_settle: true,
            deduplicates: true,
            holds_order_over_retries: true,
            keeps_order_keys_on_one_consumer: false,
            shows_each_task: true,
            longest_delay: LONGEST_DELAY,
        }
    }
}

impl SqliteQueue {
    async fn publish_part(
        &self,
        part: Vec<TaskEnvelope>,
        stuck: &mut HashSet<(TopicName, String)>,
        results: &mut Vec<Result<Published, PublishError>>,
    ) {
        let now = micros(self.database.services.clock.now());
        let mut tasks = Vec::with_capacity(part.len());
        let mut decided: Vec<(MessageId, Option<PublishError>)> = Vec::with_capacity(part.len());
        for message in &part {
            let ordering = message.ordering();
            let key = ordering.clone().map(|scope| (message.topic.clone(), scope));
            let error = if key.as_ref().is_some_and(|key| stuck.contains(key)) {
                Some(PublishError::Blocked)
            } else {
                match message.encode_within(&self.database.services.limits) {
                    Ok(body) => {
                        tasks.push(NewTask::new(message, ordering, body, now));
                        None
                    }
                    Err(limit) => Some(PublishError::from(limit)),
                }
            };
            if let (Some(_), Some(key)) = (&error, key) {
                stuck.insert(key);
            }
            decided.push((message.id, error));
        }
        let written = if tasks.is_empty() {
            Ok(Vec::new())
        } else {
            self.write(tasks).await
        };
        let mut is_new = written.as_ref().map(|flags| flags.iter()).unwrap_or_default();
        for ((id, error), message) in decided.into_iter().zip(&part) {
            results.push(match (error, &written) {
                (Some(error), _) => Err(error),
                (None, Ok(_)) if is_new.next().copied().unwrap_or(true) => Ok(Published::Enqueued(id)),
                (None, Ok(_)) => Ok(Published::AlreadyThere(id)),
                (None, Err(error)) => {
                    if let Some(scope) = message.ordering() {
                        stuck.insert((message.topic.clone(), scope));
                    }
                    Err(publish_error(error))
                }
            });
        }
    }

    /// Answers per task whether it is new.
    async fn write(&self, tasks: Vec<NewTask>) -> Result<Vec<bool>, WriteError> {
        let (reply, answer) = oneshot::channel();
        let job = PublishJob {
            is_new: vec![true; tasks.len()],
            tasks,
            reply,
        };
        if self.database.writer.submit(Job::Publish(job)).await.is_err() {
            return Err(closed());
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }
}

fn publish_error(error: &WriteError) -> PublishError {
    match error.clone() {
        WriteError::Unavailable(reason) => PublishError::Unavailable { reason },
        WriteError::Refused(reason) => PublishError::Refused { reason },
        WriteError::Unknown(reason) => PublishError::Unknown { reason },
    }
}
