//! The coalesced publishes of a group: planned and written together, answered apart.

use std::collections::HashSet;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::tasks::Published;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::{Candidate, publish};
use crate::writer::{WriteError, WriterContext, closed};

/// The publishes of one call that are to be coalesced.
pub(crate) struct CoalesceJob {
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) published: Vec<Published>,
    pub(crate) reply: oneshot::Sender<Result<Vec<Published>, WriteError>>,
}

impl CoalesceJob {
    pub(crate) fn bytes(&self) -> usize {
        self.candidates.iter().map(|one| one.task.body.len()).sum()
    }

    pub(crate) fn tasks(&self) -> usize {
        self.candidates.len()
    }
}

/// Publishes what all `jobs` want, in order, and notes what became of it.
pub(crate) async fn apply(
    connection: &mut SqliteConnection,
    jobs: &mut [CoalesceJob],
    context: &WriterContext,
) -> Result<(), sqlx::Error> {
    let candidates: Vec<&Candidate> = jobs.iter().flat_map(|job| &job.candidates).collect();
    // As of their turn to write: what has become due while they waited is over.
    let now = context.clock.now();
    let answers = publish(connection, &candidates, &context.topics, &context.sequence, now).await?;
    let mut answers = answers.into_iter();
    for job in jobs {
        job.published = answers.by_ref().take(job.candidates.len()).collect();
    }
    Ok(())
}

/// Answers everyone, after the commit or when it is given up.
pub(crate) fn finish(jobs: Vec<CoalesceJob>, result: &Result<(), WriteError>, context: &WriterContext) {
    if result.is_ok() {
        let names: HashSet<&TopicName> = jobs
            .iter()
            .flat_map(|job| job.candidates.iter().map(|one| one.task.topic()))
            .collect();
        for name in names {
            context.topics.wake(name);
        }
    }
    for job in jobs {
        let answer = match result {
            Ok(()) if job.published.len() == job.candidates.len() => Ok(job.published),
            Ok(()) => Err(closed()),
            Err(error) => Err(error.clone()),
        };
        // Nobody waits any more; what was written stays written.
        let _ = job.reply.send(answer);
    }
}
