//! Tasks held for a broker's queue: rows like all others, with a past.

use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::tasks::{HeldKeys, HeldTask, HeldTasks, HoldError, LONGEST_DELAY};
use async_trait::async_trait;
use sqlx::PgConnection;

use crate::columns::{micros, small};
use crate::queue::PostgresQueue;
use crate::queue::insertion::TRIES;
use crate::queue::new_tasks::{NewTask, Rows};
use crate::queue::settlement::without_nul;
use crate::statement::{Trouble, TroubleKind};

const HOLD: &str =
    "SELECT aftercommit.tasks_hold($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
const HELD_KEYS: &str = "SELECT held, has_any FROM aftercommit.tasks_held_keys($1, $2)";

#[async_trait]
impl HeldTasks for PostgresQueue {
    async fn hold(&self, tasks: Vec<HeldTask>) -> Result<(), HoldError> {
        if tasks.is_empty() {
            return Ok(());
        }
        let (tasks, pasts) = parted(tasks);
        let mut tries = 0;
        loop {
            tries += 1;
            let (rows, pasts) = (Rows::of(tasks.iter()), pasts.clone());
            let held = self
                .inner
                .engine
                .run(move |connection| Box::pin(pasts.hold(rows, connection)))
                .await;
            match held {
                Ok(()) => break,
                Err(trouble) if trouble.kind == TroubleKind::Conflict && tries < TRIES => {}
                Err(trouble) => return Err(hold_error("hold", trouble)),
            }
        }
        let mut announcement = self.inner.announcer.begin();
        for (task, wait) in tasks.iter().zip(&pasts.waits) {
            announcement.add_after(task, *wait);
        }
        announcement.make();
        Ok(())
    }

    async fn held_keys(&self, topic: &TopicName, orderings: &[String]) -> Result<HeldKeys, HoldError> {
        let (topic, orderings) = (topic.clone(), orderings.to_vec());
        let (held, has_any): (Vec<String>, bool) = self
            .inner
            .engine
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_as(HELD_KEYS)
                        .bind(topic.as_str())
                        .bind(orderings)
                        .fetch_one(connection)
                        .await
                })
            })
            .await
            .map_err(|trouble| hold_error("look for held keys", trouble))?;
        Ok(HeldKeys {
            keys: held.into_iter().collect(),
            has_any,
        })
    }
}

/// What is known of held tasks, column by column.
#[derive(Clone, Default)]
struct Pasts {
    waits: Vec<Duration>,
    attempts: Vec<i32>,
    lost_runs: Vec<i32>,
    codes: Vec<Option<String>>,
    reasons: Vec<Option<String>>,
    aside: Vec<bool>,
}

/// The tasks as new rows, and their pasts.
fn parted(held: Vec<HeldTask>) -> (Vec<NewTask>, Pasts) {
    let mut pasts = Pasts::default();
    let mut tasks = Vec::with_capacity(held.len());
    for HeldTask {
        task,
        body,
        attempts,
        wait,
        failure,
        lost_runs,
        is_aside,
    } in held
    {
        let ordering = task.ordering();
        tasks.push(NewTask::new(task, ordering, body));
        pasts.waits.push(wait.min(LONGEST_DELAY));
        pasts.attempts.push(small(attempts));
        pasts.lost_runs.push(small(lost_runs));
        pasts.aside.push(is_aside);
        let failure = failure.as_ref().map(without_nul);
        pasts
            .codes
            .push(failure.as_ref().map(|failure| failure.code.to_string()));
        pasts.reasons.push(failure.map(|failure| failure.message));
    }
    (tasks, pasts)
}

impl Pasts {
    /// Adds `rows`, each with its past.
    async fn hold(self, rows: Rows, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        // To the end of the answer: its transaction is committed by then.
        let _: Vec<()> = rows
            .bound(sqlx::query_scalar(HOLD))
            .bind(self.waits.into_iter().map(micros).collect::<Vec<_>>())
            .bind(self.attempts)
            .bind(self.lost_runs)
            .bind(self.codes)
            .bind(self.reasons)
            .bind(self.aside)
            .fetch_all(connection)
            .await?;
        Ok(())
    }
}

fn hold_error(operation: &'static str, trouble: Trouble) -> HoldError {
    let reason = trouble.reason;
    match trouble.kind {
        TroubleKind::Away | TroubleKind::Conflict | TroubleKind::Unknown => {
            HoldError::Unavailable { operation, reason }
        }
        TroubleKind::Refused | TroubleKind::LeaseLost | TroubleKind::RowsLost => HoldError::Refused { reason },
    }
}
