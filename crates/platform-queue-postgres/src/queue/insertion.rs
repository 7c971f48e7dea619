//! Adding tasks to their table: all of a batch in one statement.

use std::collections::HashSet;

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::queue::announcement::Announcer;
use crate::queue::lanes::{Gathering, Job};
use crate::queue::new_tasks::{NewTask, Rows};
use crate::statement::{Statements, Trouble, TroubleKind};

/// How often a batch is tried that met another one with the same ids.
pub(crate) const TRIES: u32 = 5;

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
        self.tasks.iter().map(NewTask::bytes).sum()
    }
}

/// A lane that adds tasks.
pub(crate) struct Insertion {
    pub(crate) statements: Statements,
    pub(crate) announcer: Announcer,
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
            let rows = Rows::of(jobs.iter().flat_map(|job| &job.tasks));
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
        let mut announcement = self.announcer.begin();
        for job in jobs {
            let mut is_new = Vec::with_capacity(job.tasks.len());
            for task in job.tasks {
                announcement.add(&task);
                // The first of one id is the one that was added.
                is_new.push(new.remove(&task.id()));
            }
            // The caller may have gone away; the tasks are there all the same.
            let _ = job.reply.send(Ok(is_new));
        }
        announcement.make();
    }
}
