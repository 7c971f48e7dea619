//! Writing down how deliveries ended: all of a batch in one statement.

mod columns;
mod lost_runs;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::failure::Failure;
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::tasks::SettleError;
use aftercommit_platform_db_postgres::RecordSuccesses;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::leases::Leases;
use crate::queue::consumer::Place;
use crate::queue::lanes::{Gathering, Job};
use crate::queue::settlement::columns::Columns;
use crate::statement::{Statements, Trouble, TroubleKind};
use crate::topics::{SuspectTurn, Topics};

pub(crate) use columns::without_nul;
pub(crate) use lost_runs::LostRuns;

/// How long a batch that could not be written is tried again: a server that restarts is back by then, or not for long.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon it is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// One success in this many is recorded when they are sampled.
const SAMPLE: f64 = 0.01;

/// What a claimed task is held by.
pub(crate) struct Lease {
    pub(crate) seq: i64,
    pub(crate) token: i64,
    pub(crate) order_key: Option<i64>,
    pub(crate) place: Place,
    pub(crate) _suspect: Option<SuspectTurn>,
}

/// A delivery to settle.
pub(crate) struct SettleJob {
    pub(crate) lease: Lease,
    pub(crate) settlement: Settlement,
    pub(crate) reply: oneshot::Sender<Result<(), SettleError>>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Settlement {
    Completed,
    Ended {
        outcome: &'static str,
        reason: String,
    },
    Retry {
        wait: Duration,
        counted: bool,
        failure: Option<Failure>,
    },
    Dead {
        failure: Failure,
    },
    /// Given back.
    Free,
}

impl Job for SettleJob {
    fn rows(&self) -> usize {
        1
    }

    fn bytes(&self) -> usize {
        match &self.settlement {
            Settlement::Completed | Settlement::Free => 0,
            Settlement::Ended { reason, .. } => reason.len(),
            Settlement::Retry { failure, .. } => failure.as_ref().map_or(0, |failure| failure.message.len()),
            Settlement::Dead { failure } => failure.message.len() * (1 + failure.chain.len()),
        }
    }
}

/// Whether a success leaves a row in the history.
pub(crate) fn records_success(record_successes: RecordSuccesses, randomness: &dyn Randomness) -> bool {
    match record_successes {
        RecordSuccesses::All => true,
        RecordSuccesses::Sampled => randomness.unit() < SAMPLE,
        RecordSuccesses::None => false,
    }
}

/// A lane that settles.
pub(crate) struct Settling {
    pub(crate) statements: Statements,
    pub(crate) topics: Arc<Topics>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) randomness: Arc<dyn Randomness>,
    pub(crate) record_successes: RecordSuccesses,
}

impl Settling {
    pub(crate) async fn run(self, gathering: Gathering<SettleJob>) {
        while let Some(jobs) = gathering.next().await {
            match self.settle(&jobs).await {
                Err(trouble) if trouble.kind == TroubleKind::Refused && jobs.len() > 1 => {
                    // Each for itself, so that a bad one spoils nobody else's.
                    for job in jobs {
                        let alone = vec![job];
                        let result = self.settle(&alone).await;
                        self.finish(alone, &result);
                    }
                }
                result => self.finish(jobs, &result),
            }
        }
    }

    /// Writes how all of `jobs` ended. Answers those whose lease held.
    async fn settle(&self, jobs: &[SettleJob]) -> Result<HashSet<i64>, Trouble> {
        let started = Instant::now();
        let mut settled = HashSet::new();
        let mut is_in_doubt = false;
        loop {
            let result = if is_in_doubt {
                self.settle_what_is_held(jobs, &mut settled).await
            } else {
                self.write(jobs.iter(), &mut settled).await
            };
            let Err(trouble) = result else {
                return Ok(settled);
            };
            let may_pass = trouble.may_pass() && started.elapsed() < PATIENCE;
            if !may_pass {
                return Err(trouble);
            }
            is_in_doubt |= trouble.kind == TroubleKind::Unknown;
            if trouble.kind != TroubleKind::Conflict {
                tracing::debug!(error = %trouble, "deliveries could not be settled; it is tried again");
                sleep(RETRY).await;
            }
        }
    }

    /// After an answer was lost: what was written stays, what was not is written now.
    async fn settle_what_is_held(&self, jobs: &[SettleJob], settled: &mut HashSet<i64>) -> Result<(), Trouble> {
        let (seqs, tokens) = columns::leases(jobs);
        let seen: Vec<(i64, String)> = self
            .statements
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_as("SELECT seen_seq, seen FROM aftercommit.tasks_seen($1, $2)")
                        .bind(seqs)
                        .bind(tokens)
                        .fetch_all(connection)
                        .await
                })
            })
            .await?;
        let of = |word: &str| -> HashSet<i64> {
            let those = seen.iter().filter(|(_, seen)| seen == word);
            those.map(|(seq, _)| *seq).collect()
        };
        settled.extend(of("settled"));
        let held = of("held");
        self.write(jobs.iter().filter(|job| held.contains(&job.lease.seq)), settled)
            .await
    }

    async fn write<'j>(
        &self,
        jobs: impl Iterator<Item = &'j SettleJob>,
        settled: &mut HashSet<i64>,
    ) -> Result<(), Trouble> {
        failpoint!(QUEUE_BEFORE_SETTLE);
        let columns = Columns::of(jobs, || records_success(self.record_successes, &*self.randomness));
        let done = self
            .statements
            .run(move |connection| Box::pin(columns.settle(connection)))
            .await?;
        failpoint!(QUEUE_AFTER_SETTLE);
        settled.extend(done);
        Ok(())
    }

    /// Answers every job, gives up its place, and wakes whoever may go on.
    fn finish(&self, jobs: Vec<SettleJob>, result: &Result<HashSet<i64>, Trouble>) {
        // How long until something of the topic is due again; nothing when it can be claimed at once.
        let mut waits: HashMap<i64, (Arc<crate::queue::consumer::Consumer>, Duration)> = HashMap::new();
        for job in jobs {
            let (lease, consumer) = (&job.lease, job.lease.place.consumer());
            let answer = match result {
                Ok(settled) if settled.contains(&lease.seq) => Ok(()),
                Ok(_) => Err(SettleError::Stale),
                Err(trouble) => {
                    self.leases.let_go(consumer, lease.seq, lease.token, false);
                    Err(SettleError::Unavailable {
                        reason: trouble.to_string(),
                    })
                }
            };
            let wait = match &job.settlement {
                Settlement::Retry { wait, .. } => Some(*wait),
                Settlement::Free => Some(Duration::ZERO),
                Settlement::Completed | Settlement::Ended { .. } | Settlement::Dead { .. } => {
                    // After the end of an ordered task comes the next of its key.
                    lease.order_key.map(|_| Duration::ZERO)
                }
            };
            if let (Ok(()), Some(wait)) = (&answer, wait) {
                waits
                    .entry(consumer.id)
                    .and_modify(|(_, least)| *least = wait.min(*least))
                    .or_insert_with(|| (Arc::clone(consumer), wait));
            }
            // Before the answer, so that whoever has it finds room.
            drop(job.lease);
            // The worker may have gone away; what was written stays written.
            let _ = job.reply.send(answer);
        }
        for (consumer, wait) in waits.into_values() {
            self.topics
                .tell(consumer.topic.name.as_str(), usize::from(wait.is_zero()), wait);
        }
    }
}
