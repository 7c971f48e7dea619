//! A batch of settlements as the columns of one statement.

use aftercommit_domain::failure::Failure;
use sqlx::PgConnection;

use crate::columns::{micros, text};
use crate::queue::settlement::{SettleJob, Settlement};

/// The columns of a batch.
#[derive(Default)]
pub(crate) struct Columns {
    turns: Vec<i64>,
    completed: (Vec<i64>, Vec<i64>),
    recorded: Vec<bool>,
    ended: (Vec<i64>, Vec<i64>),
    outcomes: Vec<&'static str>,
    codes: Vec<Option<String>>,
    reasons: Vec<String>,
    fingerprints: Vec<Option<String>>,
    failures: Vec<Option<String>>,
    again: (Vec<i64>, Vec<i64>),
    waits: Vec<i64>,
    counted: Vec<i32>,
    again_codes: Vec<Option<String>>,
    again_reasons: Vec<Option<String>>,
    freed: (Vec<i64>, Vec<i64>),
}

impl Columns {
    /// `is_recorded` is asked for each success.
    pub(crate) fn of<'j>(jobs: impl Iterator<Item = &'j SettleJob>, mut is_recorded: impl FnMut() -> bool) -> Self {
        let mut jobs: Vec<&SettleJob> = jobs.collect();
        // Rows are locked in this order; two batches that lock them in different orders could wait for each other.
        jobs.sort_unstable_by_key(|job| job.lease.seq);
        let mut columns = Self::default();
        for job in jobs {
            columns.add(job, &mut is_recorded);
        }
        columns
    }

    fn add(&mut self, job: &SettleJob, is_recorded: &mut impl FnMut() -> bool) {
        let lease = &job.lease;
        let is_over = match &job.settlement {
            Settlement::Completed => {
                push(&mut self.completed, job);
                self.recorded.push(is_recorded());
                true
            }
            Settlement::Ended { outcome, reason } => {
                push(&mut self.ended, job);
                self.outcomes.push(outcome);
                self.codes.push(None);
                self.reasons.push(text(reason).into_owned());
                self.fingerprints.push(None);
                self.failures.push(None);
                true
            }
            Settlement::Dead { failure } => {
                let failure = without_nul(failure);
                push(&mut self.ended, job);
                self.outcomes.push("dead");
                self.codes.push(Some(failure.code.to_string()));
                self.fingerprints.push(Some(failure.fingerprint()));
                self.failures
                    .push(Some(serde_json::to_string(&failure).unwrap_or_default()));
                self.reasons.push(failure.message);
                true
            }
            Settlement::Retry { wait, counted, failure } => {
                push(&mut self.again, job);
                self.waits.push(micros(*wait));
                self.counted.push(i32::from(*counted));
                let failure = failure.as_ref().map(without_nul);
                self.again_codes
                    .push(failure.as_ref().map(|failure| failure.code.to_string()));
                self.again_reasons.push(failure.map(|failure| failure.message));
                false
            }
            Settlement::Free => {
                push(&mut self.freed, job);
                false
            }
        };
        if let (true, Some(key)) = (is_over, lease.order_key) {
            self.turns.push(key);
        }
    }

    /// Answers the numbers of those whose lease held.
    pub(crate) async fn settle(self, connection: &mut PgConnection) -> Result<Vec<i64>, sqlx::Error> {
        let settled: Vec<Vec<i64>> = sqlx::query_scalar(
            "SELECT aftercommit.tasks_settle(\
               $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::text[]::jsonb[], $12, $13, $14, $15, $16, $17, $18, $19)",
        )
        .bind(self.turns)
        .bind(self.completed.0)
        .bind(self.completed.1)
        .bind(self.recorded)
        .bind(self.ended.0)
        .bind(self.ended.1)
        .bind(self.outcomes)
        .bind(self.codes)
        .bind(self.reasons)
        .bind(self.fingerprints)
        .bind(self.failures)
        .bind(self.again.0)
        .bind(self.again.1)
        .bind(self.waits)
        .bind(self.counted)
        .bind(self.again_codes)
        .bind(self.again_reasons)
        .bind(self.freed.0)
        .bind(self.freed.1)
        .fetch_all(connection)
        .await?;
        Ok(settled.into_iter().flatten().collect())
    }
}

/// The leases of a batch.
pub(crate) fn leases(jobs: &[SettleJob]) -> (Vec<i64>, Vec<i64>) {
    jobs.iter().map(|job| (job.lease.seq, job.lease.token)).unzip()
}

/// PostgreSQL's texts hold no NUL, and neither does its JSON.
pub(crate) fn without_nul(failure: &Failure) -> Failure {
    Failure {
        code: text(&failure.code).into_owned().into(),
        class: failure.class,
        message: text(&failure.message).into_owned(),
        chain: failure.chain.iter().map(|source| text(source).into_owned()).collect(),
    }
}

fn push(leases: &mut (Vec<i64>, Vec<i64>), job: &SettleJob) {
    leases.0.push(job.lease.seq);
    leases.1.push(job.lease.token);
}
