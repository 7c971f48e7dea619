//! Runs that ended without a result: counted, and given up when one task lost too many on its own.

use std::time::Duration;

use aftercommit_domain::failure::{ErrorClass, Failure};
use sqlx::postgres::PgArguments;
use sqlx::query::QueryAs;
use sqlx::{PgConnection, Postgres};

use crate::columns::count;
use crate::statement::{Statements, Trouble};
use crate::topics::Topics;

/// What becomes of lost runs.
pub(crate) struct LostRuns {
    most: i32,
    failure: Failure,
    /// Whether tasks of another queue run in the same processes.
    beside_others: bool,
}

type Freed = (i64, Vec<String>);

impl LostRuns {
    /// A task that lost `most` runs on its own is given up.
    pub(crate) fn new(most: u32, beside_others: bool) -> Self {
        Self {
            most: i32::try_from(most).unwrap_or(i32::MAX),
            beside_others,
            failure: Failure::new(
                "task.lost",
                ErrorClass::Permanent,
                "too many runs of it ended without a result: its process died or its lease ran out",
            ),
        }
    }

    /// Frees deliveries that were let go: number, token, and whether a run was lost. Answers how many there were.
    pub(crate) async fn free(
        &self,
        statements: &Statements,
        lines: impl Iterator<Item = (i64, i64, bool)>,
        topics: &Topics,
    ) -> Result<u64, Trouble> {
        let (mut lost, mut unsettled) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        for (seq, token, is_lost) in lines {
            let (seqs, tokens) = if is_lost { &mut lost } else { &mut unsettled };
            seqs.push(seq);
            tokens.push(token);
        }
        let mut freed = 0;
        if !lost.0.is_empty() {
            // The process lives, so each of them was lost by its own worker.
            let alone = vec![true; lost.0.len()];
            let (most, failure) = (self.most, self.failure.clone());
            let done = statements
                .run(move |connection| {
                    Box::pin(async move {
                        let query = sqlx::query_as(
                            "SELECT * FROM aftercommit.tasks_lose($1, $2, $3, $4, $5, $6, $7, $8::jsonb)",
                        )
                        .bind(lost.0)
                        .bind(lost.1)
                        .bind(alone);
                        with_failure(query, most, &failure).fetch_all(connection).await
                    })
                })
                .await?;
            freed += told(done, topics);
        }
        if !unsettled.0.is_empty() {
            let done = statements
                .run(move |connection| Box::pin(free_unsettled(connection, unsettled)))
                .await?;
            freed += told(done, topics);
        }
        Ok(freed)
    }

    /// Frees what the consumers of a few processes had that gave no sign of life in time.
    pub(crate) async fn rescue(&self, statements: &Statements, topics: &Topics) -> Result<Rescued, Trouble> {
        let (most, failure, beside_others) = (self.most, self.failure.clone(), self.beside_others);
        let (is_over, done) = statements
            .run(move |connection| {
                Box::pin(async move {
                    // Most looks find nothing, and cost next to nothing.
                    let has_expired: bool = sqlx::query_scalar(
                        "SELECT EXISTS (SELECT FROM aftercommit.consumers WHERE lease_until <= aftercommit.clock())",
                    )
                    .fetch_one(&mut *connection)
                    .await?;
                    if !has_expired {
                        return Ok((true, Vec::new()));
                    }
                    let query = sqlx::query_as(
                        "SELECT freed, freed_topics, removed FROM aftercommit.tasks_rescue($1, $2, $3, $4, $5::jsonb, $6)",
                    );
                    let query = with_failure(query, most, &failure).bind(beside_others);
                    let done: Vec<(i64, Vec<String>, i64)> = query.fetch_all(connection).await?;
                    // Those whose tasks are just being settled stay where they are.
                    let is_over = done.iter().all(|(freed, _, removed)| *freed == 0 && *removed == 0);
                    let done = done.into_iter().map(|(freed, names, _)| (freed, names)).collect();
                    Ok((is_over, done))
                })
            })
            .await?;
        Ok(Rescued {
            is_over,
            tasks: told(done, topics),
        })
    }
}

/// What one look for lost processes found.
pub(crate) struct Rescued {
    /// Whether another look would find no more.
    pub(crate) is_over: bool,
    /// Tasks that are free again.
    pub(crate) tasks: u64,
}

fn with_failure<'q, T>(
    query: QueryAs<'q, Postgres, T, PgArguments>,
    most: i32,
    failure: &Failure,
) -> QueryAs<'q, Postgres, T, PgArguments> {
    query
        .bind(most)
        .bind(failure.code.to_string())
        .bind(failure.message.clone())
        .bind(failure.fingerprint())
        .bind(serde_json::to_string(failure).unwrap_or_default())
}

/// Their runs ended with a result that could not be written: nothing was lost but that.
async fn free_unsettled(
    connection: &mut PgConnection,
    (seqs, tokens): (Vec<i64>, Vec<i64>),
) -> Result<Vec<Freed>, sqlx::Error> {
    sqlx::query_as(
        "WITH freed AS (\
           UPDATE aftercommit.tasks AS mine SET state = 0, consumer = NULL \
           FROM unnest($1::bigint[], $2::bigint[]) AS line (seq, token) \
           WHERE mine.seq = line.seq AND mine.lease_token = line.token AND mine.state = 1 RETURNING mine.topic\
         ) SELECT count(*), coalesce(array_agg(DISTINCT topic), '{}') FROM freed",
    )
    .bind(seqs)
    .bind(tokens)
    .fetch_all(connection)
    .await
}

/// Wakes the consumers of what was freed.
fn told(done: Vec<Freed>, topics: &Topics) -> u64 {
    let mut freed = 0;
    if done.iter().any(|(number, _)| *number > 0) {
        topics.expect_suspects();
    }
    for (number, names) in done {
        freed += count(number);
        for name in names {
            topics.tell(&name, 1, Duration::ZERO);
        }
    }
    freed
}
