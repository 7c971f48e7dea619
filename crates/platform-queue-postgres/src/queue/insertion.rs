//! Adding tasks to their table: all of a batch in one statement.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{CorrelationId, OrganizationId, ProjectId, TaskEnvelope, TaskName, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::{Clock, Timestamp, to_micros};
use aftercommit_platform_db_postgres::{Bell, Told};
use sqlx::PgConnection;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::queue::lanes::{Gathering, Job};
use crate::statement::{Statements, Trouble, TroubleKind};
use crate::topics::Topics;

/// How often a batch is tried that met another one with the same ids.
const TRIES: u32 = 5;

/// A row to add.
#[derive(Debug, Clone)]
pub(crate) struct NewTask {
    id: Uuid,
    topic: TopicName,
    task: TaskName,
    organization: Option<OrganizationId>,
    project: Option<ProjectId>,
    not_before: Option<Timestamp>,
    ordering: Option<String>,
    enqueued_at: Timestamp,
    correlation: Option<CorrelationId>,
    causation: Option<Uuid>,
    body: Arc<str>,
}

impl NewTask {
    pub(crate) fn new(message: TaskEnvelope, ordering: Option<String>, body: String) -> Self {
        Self {
            id: message.id.uuid(),
            organization: message.tenant.organization_id().cloned(),
            project: message.tenant.project_id().cloned(),
            topic: message.topic,
            task: message.task,
            not_before: message.not_before.map(to_micros),
            ordering,
            enqueued_at: to_micros(message.first_enqueued_at),
            correlation: message.cause.correlation,
            causation: message.cause.causation.map(MessageId::uuid),
            body: body.into(),
        }
    }

    /// What it is ordered by.
    pub(crate) fn order_key(&self) -> Option<(TopicName, String)> {
        Some((self.topic.clone(), self.ordering.clone()?))
    }
}

/// Tasks of one call.
pub(crate) struct PublishJob {
    pub(crate) tasks: Vec<NewTask>,
    /// Per task, whether it is new.
    pub(crate) reply: oneshot::Sender<Result<Vec<bool>, Unwritten>>,
}

/// Tasks that were not added, and why.
pub(crate) type Unwritten = (Trouble, Vec<NewTask>);

impl Job for PublishJob {
    fn rows(&self) -> usize {
        self.tasks.len()
    }

    fn bytes(&self) -> usize {
        self.tasks.iter().map(|task| task.body.len()).sum()
    }
}

/// A lane that adds tasks.
pub(crate) struct Insertion {
    pub(crate) statements: Statements,
    pub(crate) topics: Arc<Topics>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) bell: Arc<Bell>,
}

impl Insertion {
    pub(crate) async fn run(self, gathering: Gathering<PublishJob>) {
        while let Some(jobs) = gathering.next().await {
            match self.insert(&jobs).await {
                Err(trouble) if trouble.kind == TroubleKind::Refused && jobs.len() > 1 => {
                    // Each for itself, so that a bad one spoils nobody else's.
                    for job in jobs {
                        let alone = [job];
                        let result = self.insert(&alone).await;
                        self.finish(alone, result);
                    }
                }
                result => self.finish(jobs, result),
            }
        }
    }

    /// Adds the tasks of all `jobs`, in order. Answers the ids that are new.
    async fn insert(&self, jobs: &[PublishJob]) -> Result<HashSet<Uuid>, Trouble> {
        let mut tries = 0;
        loop {
            tries += 1;
            let rows = Rows::of(jobs);
            let added = self
                .statements
                .run(move |connection| Box::pin(rows.insert(connection)))
                .await;
            match added {
                Ok(ids) => return Ok(ids.into_iter().collect()),
                Err(trouble) if trouble.kind == TroubleKind::Conflict && tries < TRIES => {}
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// Answers every job and wakes the consumers of its topics.
    fn finish(&self, jobs: impl IntoIterator<Item = PublishJob>, result: Result<HashSet<Uuid>, Trouble>) {
        let mut new = match result {
            Ok(new) => new,
            Err(trouble) => {
                for job in jobs {
                    let _ = job.reply.send(Err((trouble.clone(), job.tasks)));
                }
                return;
            }
        };
        let now = self.clock.now();
        // How long until the first task of each topic is due, and how many are due by now.
        let mut waits: HashMap<TopicName, (Duration, usize)> = HashMap::new();
        for job in jobs {
            let mut is_new = Vec::with_capacity(job.tasks.len());
            for task in job.tasks {
                let wait = task.not_before.map_or(Duration::ZERO, |not_before| {
                    (not_before - now).to_std().unwrap_or_default()
                });
                let (least, due) = waits.entry(task.topic).or_insert((wait, 0));
                *least = wait.min(*least);
                *due += usize::from(wait.is_zero());
                // The first of one id is the one that was added.
                is_new.push(new.remove(&task.id));
            }
            // The caller may have gone away; the tasks are there all the same.
            let _ = job.reply.send(Ok(is_new));
        }
        for (name, (wait, due)) in waits {
            let topic = self.topics.known(name.as_str());
            let takers = topic.as_ref().map_or(0, |topic| topic.waiting());
            if let Some(topic) = topic {
                if wait.is_zero() {
                    topic.wake.bump();
                } else {
                    self.topics.note_due(&topic, wait);
                }
            }
            // What is not taken here is for others, if they have room.
            if due > takers {
                self.bell.ring(Told::Topic(name.as_str().to_owned()));
            } else if due == 0 && takers == 0 {
                self.bell.ring(Told::DueTimes);
            }
        }
    }
}

/// The columns of a batch.
#[derive(Default)]
struct Rows {
    ids: Vec<Uuid>,
    topics: Vec<TopicName>,
    names: Vec<TaskName>,
    organizations: Vec<Option<OrganizationId>>,
    projects: Vec<Option<ProjectId>>,
    not_before: Vec<Option<Timestamp>>,
    scopes: Vec<Option<String>>,
    enqueued: Vec<Timestamp>,
    correlations: Vec<Option<CorrelationId>>,
    causations: Vec<Option<Uuid>>,
    bodies: Vec<Arc<str>>,
}

impl Rows {
    fn of(jobs: &[PublishJob]) -> Self {
        let mut rows = Self::default();
        let has_ordered = jobs
            .iter()
            .flat_map(|job| &job.tasks)
            .any(|task| task.ordering.is_some());
        for task in jobs.iter().flat_map(|job| &job.tasks) {
            rows.ids.push(task.id);
            rows.topics.push(task.topic.clone());
            rows.names.push(task.task.clone());
            rows.organizations.push(task.organization.clone());
            rows.projects.push(task.project.clone());
            rows.not_before.push(task.not_before);
            if has_ordered {
                rows.scopes.push(task.ordering.clone());
            }
            rows.enqueued.push(task.enqueued_at);
            rows.correlations.push(task.correlation.clone());
            rows.causations.push(task.causation);
            rows.bodies.push(Arc::clone(&task.body));
        }
        rows
    }

    async fn insert(self, connection: &mut PgConnection) -> Result<Vec<Uuid>, sqlx::Error> {
        let added: Vec<Vec<Uuid>> =
            sqlx::query_scalar("SELECT aftercommit.tasks_insert($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
                .bind(&self.ids)
                .bind(self.topics.iter().map(TopicName::as_str).collect::<Vec<_>>())
                .bind(self.names.iter().map(TaskName::as_str).collect::<Vec<_>>())
                .bind(options(&self.organizations, OrganizationId::as_str))
                .bind(options(&self.projects, ProjectId::as_str))
                .bind(&self.not_before)
                .bind(&self.scopes)
                .bind(&self.enqueued)
                .bind(options(&self.correlations, CorrelationId::as_str))
                .bind(&self.causations)
                .bind(self.bodies.iter().map(|body| body.as_bytes()).collect::<Vec<_>>())
                .fetch_all(connection)
                .await?;
        Ok(added.into_iter().flatten().collect())
    }
}

fn options<'v, T>(values: &'v [Option<T>], text: impl Fn(&'v T) -> &'v str) -> Vec<Option<&'v str>> {
    values.iter().map(|value| value.as_ref().map(&text)).collect()
}
