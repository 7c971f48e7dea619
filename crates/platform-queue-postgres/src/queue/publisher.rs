//! Putting tasks on their topics.

use std::collections::HashSet;

use aftercommit_domain::contract::{TaskEnvelope, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{LONGEST_DELAY, PublishError, Published, QueueCapabilities, QueuePublisher, next_part};
use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::queue::PostgresQueue;
use crate::queue::coalescing::{Candidate, CoalesceJob, Uncoalesced};
use crate::queue::insertion::{PublishJob, Unwritten};
use crate::queue::new_tasks::NewTask;
use crate::statement::{Trouble, TroubleKind};

/// The most tasks one caller puts into one transaction; a longer list takes several, so that nobody else waits for all
/// of it.
const TASKS_PER_JOB: usize = 1000;
/// The most of them when they are coalesced: each key takes a lock, of which a server has some thousands for everybody.
pub(crate) const CANDIDATES_PER_JOB: usize = 250;

#[async_trait]
impl QueuePublisher for PostgresQueue {
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
        let mut results = Vec::with_capacity(candidates.len());
        let mut candidates = candidates.into_iter();
        loop {
            let part: Vec<Candidate> = candidates.by_ref().take(CANDIDATES_PER_JOB).collect();
            if part.is_empty() {
                return results;
            }
            self.coalesce_part(part, stuck, &mut results).await;
        }
    }

    async fn coalesce_part(
        &self,
        part: Vec<Candidate>,
        stuck: &mut HashSet<(TopicName, String)>,
        results: &mut Vec<Result<Published, PublishError>>,
    ) {
        let number = results.len() + part.len();
        let is_stuck = |candidate: &Candidate| candidate.task.order_key().is_some_and(|key| stuck.contains(&key));
        let (trouble, part, is_one_of_many) = if part.iter().any(is_stuck) {
            (Trouble::closed(), part, true)
        } else {
            match self.submit_candidates(part).await {
                Ok(answers) => return results.extend(answers.into_iter().map(Ok)),
                Err((trouble, part)) => {
                    let is_one_of_many = trouble.kind == TroubleKind::Refused && part.len() > 1;
                    (trouble, part, is_one_of_many)
                }
            }
        };
        for candidate in part {
            let key = candidate.task.order_key();
            let result = if key.as_ref().is_some_and(|key| stuck.contains(key)) {
                Err(PublishError::Blocked)
            } else if is_one_of_many {
                match self.submit_candidates(vec![candidate]).await {
                    Ok(answers) => answers.first().copied().ok_or_else(|| publish_error(Trouble::closed())),
                    Err((trouble, _)) => Err(publish_error(trouble)),
                }
            } else {
                Err(publish_error(trouble.clone()))
            };
            if let (Err(_), Some(key)) = (&result, key) {
                stuck.insert(key);
            }
            results.push(result);
        }
        // Whoever had them ended without an answer: each message keeps its own.
        let unanswered = || {
            Err(PublishError::Unknown {
                reason: "the queue ended before it answered".into(),
            })
        };
        results.resize_with(number, unanswered);
    }

    async fn submit_candidates(&self, candidates: Vec<Candidate>) -> Result<Vec<Published>, Uncoalesced> {
        let (reply, answer) = oneshot::channel();
        let job = CoalesceJob { candidates, reply };
        if let Err(unsent) = self.inner.coalesces.send(job).await {
            return Err((Trouble::closed(), unsent.0.candidates));
        }
        answer.await.unwrap_or_else(|_| Err((Trouble::closed(), Vec::new())))
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
            if let (Err(_), Some(key)) = (&result, key) {
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
