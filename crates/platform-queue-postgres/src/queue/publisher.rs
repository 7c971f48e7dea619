//! Putting tasks on their topics.

use std::collections::HashSet;

use aftercommit_domain::contract::{TaskEnvelope, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{LONGEST_DELAY, PublishError, Published, QueueCapabilities, QueuePublisher};
use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::queue::PostgresQueue;
use crate::queue::insertion::{PublishJob, Unwritten};
use crate::queue::new_tasks::NewTask;
use crate::statement::{Trouble, TroubleKind};

/// The most tasks one caller puts into one transaction; a longer list takes several, so that nobody else waits for all
/// of it.
const TASKS_PER_JOB: usize = 1000;

#[async_trait]
impl QueuePublisher for PostgresQueue {
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

impl PostgresQueue {
    async fn publish_part(
        &self,
        part: Vec<TaskEnvelope>,
        stuck: &mut HashSet<(TopicName, String)>,
        results: &mut Vec<Result<Published, PublishError>>,
    ) {
        let limits = &self.inner.database.services().limits;
        let mut tasks = Vec::with_capacity(part.len());
        let mut decided: Vec<(MessageId, Option<PublishError>)> = Vec::with_capacity(part.len());
        for message in part {
            let id = message.id;
            let key = message.ordering().map(|scope| (message.topic.clone(), scope));
            let error = if key.as_ref().is_some_and(|key| stuck.contains(key)) {
                Some(PublishError::Blocked)
            } else {
                match message.encode_within(limits) {
                    Ok(body) => {
                        let ordering = key.as_ref().map(|(_, scope)| scope.clone());
                        tasks.push(NewTask::new(message, ordering, body.into_bytes()));
                        None
                    }
                    Err(limit) => Some(PublishError::from(limit)),
                }
            };
            if let (Some(_), Some(key)) = (&error, key) {
                stuck.insert(key);
            }
            decided.push((id, error));
        }
        let mut written = if tasks.is_empty() {
            Vec::new()
        } else {
            self.write(tasks, stuck).await
        }
        .into_iter();
        for (id, error) in decided {
            results.push(match error {
                Some(error) => Err(error),
                None => match written.next() {
                    Some(Ok(true)) => Ok(Published::Enqueued(id)),
                    Some(Ok(false)) => Ok(Published::AlreadyThere(id)),
                    Some(Err(error)) => Err(error),
                    None => Err(publish_error(Trouble::closed())),
                },
            });
        }
    }

    /// Answers per task whether it is new. Together, or, when the database refuses one of them, each for itself.
    async fn write(
        &self,
        tasks: Vec<NewTask>,
        stuck: &mut HashSet<(TopicName, String)>,
    ) -> Vec<Result<bool, PublishError>> {
        let (trouble, tasks) = match self.submit(tasks).await {
            Ok(is_new) => return is_new.into_iter().map(Ok).collect(),
            Err(unwritten) => unwritten,
        };
        let is_one_of_many = trouble.kind == TroubleKind::Refused && tasks.len() > 1;
        let mut results = Vec::with_capacity(tasks.len());
        for task in tasks {
            let key = task.order_key();
            let result = if key.as_ref().is_some_and(|key| stuck.contains(key)) {
                Err(PublishError::Blocked)
            } else if is_one_of_many {
                match self.submit(vec![task]).await {
                    Ok(is_new) => Ok(is_new.first().copied().unwrap_or(true)),
                    Err((trouble, _)) => Err(publish_error(trouble)),
                }
            } else {
                Err(publish_error(trouble.clone()))
            };
            if let (Err(_), Some(key)) = (&result, key)
                && is_one_of_many
            {
                stuck.insert(key);
            }
            results.push(result);
        }
        results
    }

    async fn submit(&self, tasks: Vec<NewTask>) -> Result<Vec<bool>, Unwritten> {
        let (reply, answer) = oneshot::channel();
        let job = PublishJob { tasks, reply };
        if let Err(unsent) = self.inner.publishes.send(job).await {
            return Err((Trouble::closed(), unsent.0.tasks));
        }
        answer.await.unwrap_or_else(|_| Err((Trouble::closed(), Vec::new())))
    }
}

fn publish_error(trouble: Trouble) -> PublishError {
    let reason = trouble.reason;
    match trouble.kind {
        TroubleKind::Away | TroubleKind::Conflict | TroubleKind::LeaseLost | TroubleKind::RowsLost => {
            PublishError::Unavailable { reason }
        }
        TroubleKind::Refused => PublishError::Refused { reason },
        TroubleKind::Unknown => PublishError::Unknown { reason },
    }
}
