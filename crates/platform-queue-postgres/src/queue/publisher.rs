//! Putting tasks on their topics.

use std::collections::HashSet;
use std::sync::Arc;

use aftercommit_domain::contract::{TaskEnvelope, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{LONGEST_DELAY, PublishError, Published, QueueCapabilities, QueuePublisher};
use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::queue::PostgresQueue;
use crate::queue::coalescing::{self, Candidate, Coalesced};
use crate::queue::insertion::{PublishJob, TRIES, Unwritten};
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
            coalesces: true,
            shows_each_task: true,
            longest_delay: LONGEST_DELAY,
        }
    }
}

/// Where the answer of a message comes from.
enum Source {
    Refused(PublishError),
    Task(MessageId),
    Candidate,
}

impl PostgresQueue {
    async fn publish_part(
        &self,
        part: Vec<TaskEnvelope>,
        stuck: &mut HashSet<(TopicName, String)>,
        results: &mut Vec<Result<Published, PublishError>>,
    ) {
        let limits = &self.inner.database.services().limits;
        let (mut tasks, mut candidates) = (Vec::with_capacity(part.len()), Vec::new());
        let mut sources: Vec<Source> = Vec::with_capacity(part.len());
        for message in part {
            let id = message.id;
            let key = message.ordering().map(|scope| (message.topic.clone(), scope));
            let is_blocked = key.as_ref().is_some_and(|key| stuck.contains(key));
            let source = match message.encode_within(limits) {
                _ if is_blocked => Source::Refused(PublishError::Blocked),
                Err(limit) => Source::Refused(limit.into()),
                Ok(body) => {
                    let ordering = key.as_ref().map(|(_, scope)| scope.clone());
                    let window = message.window_scope().zip(message.coalescing.as_ref());
                    if let Some((scope, coalescing)) = window {
                        candidates.push(Candidate {
                            scope,
                            policy: coalescing.policy,
                            not_before: message.not_before,
                            task: NewTask::new(message, ordering, body.into_bytes()),
                        });
                        Source::Candidate
                    } else {
                        tasks.push(NewTask::new(message, ordering, body.into_bytes()));
                        Source::Task(id)
                    }
                }
            };
            if let (Source::Refused(_), Some(key)) = (&source, key) {
                stuck.insert(key);
            }
            sources.push(source);
        }
        let written = if tasks.is_empty() {
            Vec::new()
        } else {
            self.write(tasks, stuck).await
        };
        let coalesced = if candidates.is_empty() {
            Vec::new()
        } else {
            self.coalesce(candidates, stuck).await
        };
        let (mut written, mut coalesced) = (written.into_iter(), coalesced.into_iter());
        for source in sources {
            let answer = match source {
                Source::Refused(error) => Some(Err(error)),
                Source::Task(id) => written.next().map(|is_new| match is_new {
                    Ok(true) => Ok(Published::Enqueued(id)),
                    Ok(false) => Ok(Published::AlreadyThere(id)),
                    Err(error) => Err(error),
                }),
                Source::Candidate => coalesced.next(),
            };
            results.push(answer.unwrap_or_else(|| Err(publish_error(Trouble::closed()))));
        }
    }

    /// Answers what became of each. Together, or, when the database refuses one of them, each for itself.
    async fn coalesce(
        &self,
        candidates: Vec<Candidate>,
        stuck: &mut HashSet<(TopicName, String)>,
    ) -> Vec<Result<Published, PublishError>> {
        let trouble = match self.try_to_coalesce(candidates.clone()).await {
            Ok(answers) => return answers.into_iter().map(Ok).collect(),
            Err(trouble) => trouble,
        };
        let is_one_of_many = trouble.kind == TroubleKind::Refused && candidates.len() > 1;
        let mut results = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let key = candidate.task.order_key();
            let result = if key.as_ref().is_some_and(|key| stuck.contains(key)) {
                Err(PublishError::Blocked)
            } else if is_one_of_many {
                let alone = self.try_to_coalesce(vec![candidate]).await;
                let answer = alone.map(|answers| answers.first().copied());
                match answer {
                    Ok(Some(answer)) => Ok(answer),
                    Ok(None) => Err(publish_error(Trouble::closed())),
                    Err(trouble) => Err(publish_error(trouble)),
                }
            } else {
                Err(publish_error(trouble.clone()))
            };
            if let (Err(_), Some(key)) = (&result, key) {
                stuck.insert(key);
            }
            results.push(result);
        }
        results
    }

    async fn try_to_coalesce(&self, candidates: Vec<Candidate>) -> Result<Vec<Published>, Trouble> {
        let candidates = Arc::new(candidates);
        let mut tries = 0;
        loop {
            tries += 1;
            let these = Arc::clone(&candidates);
            let done = self
                .inner
                .engine
                .run(move |connection| Box::pin(async move { coalescing::publish(connection, &these).await }))
                .await;
            match done {
                Ok(Coalesced { answers, changed }) => {
                    let mut announcement = self.inner.announcer.begin();
                    for task in &changed {
                        announcement.add(task);
                    }
                    announcement.make();
                    return Ok(answers);
                }
                Err(trouble) if trouble.kind == TroubleKind::Conflict && tries < TRIES => {}
                Err(trouble) => return Err(trouble),
            }
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
