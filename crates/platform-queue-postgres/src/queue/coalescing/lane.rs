//! A lane of publishes that are to be coalesced: what waits is decided and written together.

use std::sync::Arc;

use aftercommit_domain::tasks::Published;
use tokio::sync::oneshot;

use super::{Candidate, Coalesced, publish};
use crate::queue::announcement::Announcer;
use crate::queue::insertion::TRIES;
use crate::queue::lanes::{Gathering, Job};
use crate::statement::{Statements, Trouble, TroubleKind};

/// Publishes of one call.
pub(crate) struct CoalesceJob {
    pub(crate) candidates: Vec<Candidate>,
    /// What became of each.
    pub(crate) reply: oneshot::Sender<Result<Vec<Published>, Uncoalesced>>,
}

/// Publishes of which nothing came, and why.
pub(crate) type Uncoalesced = (Trouble, Vec<Candidate>);

impl Job for CoalesceJob {
    fn rows(&self) -> usize {
        self.candidates.len()
    }

    fn bytes(&self) -> usize {
        self.candidates.iter().map(|one| one.task.bytes()).sum()
    }
}

/// A loop that coalesces.
pub(crate) struct CoalescingLane {
    pub(crate) statements: Statements,
    pub(crate) announcer: Announcer,
}

impl CoalescingLane {
    pub(crate) async fn run(self, gathering: Gathering<CoalesceJob>) {
        while let Some(jobs) = gathering.next().await {
            let (mut replies, mut candidates) = (Vec::with_capacity(jobs.len()), Vec::new());
            for job in jobs {
                replies.push((job.candidates.len(), job.reply));
                candidates.extend(job.candidates);
            }
            let candidates = Arc::new(candidates);
            match self.coalesce(&candidates).await {
                Err(trouble) if trouble.kind == TroubleKind::Refused && replies.len() > 1 => {
                    // Each for itself, so that a bad one spoils nobody else's.
                    let mut rest = candidates.as_slice();
                    for (number, reply) in replies {
                        let (own, after) = rest.split_at(number.min(rest.len()));
                        rest = after;
                        let own = Arc::new(own.to_vec());
                        let result = self.coalesce(&own).await;
                        answer(vec![(number, reply)], &own, result);
                    }
                }
                result => answer(replies, &candidates, result),
            }
        }
    }

    async fn coalesce(&self, candidates: &Arc<Vec<Candidate>>) -> Result<Vec<Published>, Trouble> {
        let mut tries = 0;
        loop {
            tries += 1;
            let these = Arc::clone(candidates);
            let done = self
                .statements
                .run(move |connection| Box::pin(async move { publish(connection, &these).await }))
                .await;
            match done {
                Ok(Coalesced { answers, changed }) => {
                    let mut announcement = self.announcer.begin();
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
}

type Reply = (usize, oneshot::Sender<Result<Vec<Published>, Uncoalesced>>);

fn answer(replies: Vec<Reply>, candidates: &[Candidate], result: Result<Vec<Published>, Trouble>) {
    let (mut rest, mut answers) = (candidates, result.map(Vec::into_iter));
    for (number, reply) in replies {
        let (own, after) = rest.split_at(number.min(rest.len()));
        rest = after;
        let own = match &mut answers {
            Ok(answers) => Ok(answers.by_ref().take(number).collect()),
            Err(trouble) => Err((trouble.clone(), own.to_vec())),
        };
        // The caller may have gone away; what was written stays written.
        let _ = reply.send(own);
    }
}
