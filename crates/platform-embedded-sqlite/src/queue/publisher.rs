//! Putting tasks on their topics.

use std::collections::HashSet;

use aftercommit_domain::contract::{TaskEnvelope, TopicName};
use aftercommit_domain::tasks::{LONGEST_DELAY, PublishError, Published, QueueCapabilities, QueuePublisher, next_part};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::columns::micros;
use crate::queue::SqliteQueue;
use crate::queue::coalescing::{Candidate, CoalesceJob};
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
        let mut messages = messages.into_iter().peekable();
        loop {
            let part = next_part(&mut messages, TASKS_PER_JOB);
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
            coalesces: true,
            shows_each_task: true,
            longest_delay: LONGEST_DELAY,
        }
    }
}

/// What is to be written of one call.
#[derive(Default)]
struct Part {
    tasks: Vec<NewTask>,
    candidates: Vec<Candidate>,
}

/// Where the answer of a message comes from.
enum Source {
    Refused(PublishError),
    Task,
    Candidate,
}

impl Part {
    fn add(&mut self, message: &TaskEnvelope, body: String, now: Timestamp) -> Source {
        let task = NewTask::new(message, message.ordering(), body, micros(now));
        let (Some(coalescing), Some(scope)) = (&message.coalescing, message.window_scope()) else {
            self.tasks.push(task);
            return Source::Task;
        };
        self.candidates.push(Candidate {
            task,
            scope,
            policy: coalescing.policy,
            not_before: message.not_before,
        });
        Source::Candidate
    }
}

impl SqliteQueue {
    async fn publish_part(
        &self,
        messages: Vec<TaskEnvelope>,
        stuck: &mut HashSet<(TopicName, String)>,
        results: &mut Vec<Result<Published, PublishError>>,
    ) {
        let now = self.database.services.clock.now();
        let mut part = Part::default();
        let mut sources: Vec<Source> = Vec::with_capacity(messages.len());
        for message in &messages {
            let key = message.ordering().map(|scope| (message.topic.clone(), scope));
            let source = if key.as_ref().is_some_and(|key| stuck.contains(key)) {
                Source::Refused(PublishError::Blocked)
            } else {
                match message.encode_within(&self.database.services.limits) {
                    Ok(body) => part.add(message, body, now),
                    Err(limit) => Source::Refused(limit.into()),
                }
            };
            if let (Source::Refused(_), Some(key)) = (&source, key) {
                stuck.insert(key);
            }
            sources.push(source);
        }
        let (written, coalesced) = tokio::join!(self.write(part.tasks), self.coalesce(part.candidates));
        let mut is_new = written.as_ref().map(|flags| flags.iter()).unwrap_or_default();
        let mut published = coalesced.as_ref().map(|published| published.iter()).unwrap_or_default();
        for (source, message) in sources.into_iter().zip(&messages) {
            let id = message.id;
            let result = match source {
                Source::Refused(error) => Err(error),
                Source::Task => match &written {
                    Ok(_) if is_new.next().copied().unwrap_or(true) => Ok(Published::Enqueued(id)),
                    Ok(_) => Ok(Published::AlreadyThere(id)),
                    Err(error) => Err(publish_error(error)),
                },
                Source::Candidate => match &coalesced {
                    Ok(_) => Ok(published.next().copied().unwrap_or(Published::AlreadyThere(id))),
                    Err(error) => Err(publish_error(error)),
                },
            };
            if let (Err(_), Some(scope)) = (&result, message.ordering()) {
                stuck.insert((message.topic.clone(), scope));
            }
            results.push(result);
        }
    }

    async fn coalesce(&self, candidates: Vec<Candidate>) -> Result<Vec<Published>, WriteError> {
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        let job = CoalesceJob {
            candidates,
            published: Vec::new(),
            reply,
        };
        if self.database.writer.submit(Job::Coalesce(job)).await.is_err() {
            return Err(closed());
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Answers per task whether it is new.
    async fn write(&self, tasks: Vec<NewTask>) -> Result<Vec<bool>, WriteError> {
        if tasks.is_empty() {
            return Ok(Vec::new());
        }
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
