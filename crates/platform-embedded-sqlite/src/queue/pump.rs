//! Claiming ahead of what is handed out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aftercommit_domain::contract::RawTask;
use aftercommit_domain::tasks::ConsumeError;
use sqlx::FromRow;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::claims::{ALONE_AFTER, SUSPECT_AFTER};
use crate::columns::{attempts, json_list, micros};
use crate::database::Inner;
use crate::queue::consumer::{Consumer, unavailable};
use crate::writer::WriteError;

/// The most tasks of one claim.
const CLAIM: usize = 1000;
/// A look even when nothing was heard. Nothing depends on it; it is there for what nobody thought of.
const SAFETY_LOOK: Duration = Duration::from_secs(30);
/// How often the clock is read while a task waits for its time: the clock may be set while the timer runs.
const CLOCK_LOOK: Duration = Duration::from_secs(1);

/// A claimed task.
pub(crate) struct Taken {
    pub(crate) seq: i64,
    pub(crate) token: i64,
    pub(crate) raw: RawTask,
    pub(crate) attempt: u32,
    pub(crate) redelivered: bool,
    pub(crate) must_run_alone: bool,
    pub(crate) ordering: Option<String>,
}

/// One range of the index of ready tasks, without those that someone has.
const CLAIM_SQL: &str = "SELECT seq, attempts, lost_runs, order_scope, window_opened_at IS NOT NULL AS is_open, body \
     FROM aftercommit_tasks INDEXED BY aftercommit_tasks_ready \
     WHERE topic = ?1 AND state = 0 AND due_at <= ?2 \
       AND seq NOT IN (SELECT value FROM json_each(?3)) AND lost_runs < ?4 \
     ORDER BY due_at, seq LIMIT ?5";

/// Claims ahead of what is handed out.
pub(crate) struct Pump {
    pub(crate) database: Arc<Inner>,
    pub(crate) consumer: Arc<Consumer>,
    pub(crate) claimed: mpsc::UnboundedSender<Result<Taken, ConsumeError>>,
}

#[derive(FromRow)]
struct TaskRow {
    seq: i64,
    attempts: i64,
    lost_runs: i64,
    order_scope: Option<String>,
    is_open: bool,
    body: Vec<u8>,
}

impl Pump {
    pub(crate) async fn run(self) {
        loop {
            let room = self.consumer.wait_for_room().await.min(CLAIM);
            let seen = self.consumer.topic.wake.seen();
            // One look at the clock for both questions: a task that falls due between two looks would be in neither answer.
            let now = micros(self.consumer.clock.now());
            let claimed = match self.claim(room, now).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    // Whoever takes the deliveries sees it after what was claimed before, and consumes again.
                    let _ = self.claimed.send(Err(unavailable("claim", &error)));
                    return;
                }
            };
            if claimed == room {
                continue;
            }
            let next_due = match self.next_due(now).await {
                Ok(next_due) => next_due,
                Err(error) => {
                    let _ = self.claimed.send(Err(unavailable("claim", &error)));
                    return;
                }
            };
            tokio::select! {
                () = self.consumer.topic.wake.changed(seen) => {}
                () = self.wait_until(next_due) => {}
                () = sleep(SAFETY_LOOK) => {}
            }
        }
    }

    /// Claims up to `room` tasks that are due at `now`, oldest first. Answers how many it found.
    async fn claim(&self, room: usize, now: i64) -> Result<usize, sqlx::Error> {
        let (consumer, topic) = (&self.consumer, &self.consumer.topic);
        let limit = i64::try_from(room).unwrap_or(i64::MAX);
        let _turn = topic.claiming.lock().await;
        // Read before the rows: whoever is missing here settled before, so the rows show it.
        let held = topic.held();
        let may_run_suspect = consumer.topics.may_run_suspect();
        let name = topic.name.as_str();
        let claims = &self.database.claims;
        let mut connection = claims.turn().await?;
        let query = sqlx::query_as(CLAIM_SQL)
            .bind(name)
            .bind(now)
            .bind(held)
            .bind(if may_run_suspect { i64::MAX } else { SUSPECT_AFTER })
            .bind(limit);
        let mut rows: Vec<TaskRow> = claims.bounded(query.fetch_all(&mut *connection)).await?;
        drop(connection);
        let found = rows.len();
        self.close_windows(&mut rows, now).await?;
        let token = consumer.topics.next_token();
        if found > 0 {
            failpoint!(QUEUE_AFTER_CLAIM);
        }
        for row in rows {
            let is_suspect = row.lost_runs >= SUSPECT_AFTER;
            if !topic.take(row.seq, token, consumer.id, is_suspect, &consumer.topics) {
                // Another suspect is being run; its end wakes this consumer.
                continue;
            }
            consumer.unsettled.fetch_add(1, Ordering::SeqCst);
            consumer.buffered.fetch_add(1, Ordering::SeqCst);
            let taken = Taken {
                seq: row.seq,
                token,
                attempt: attempts(row.attempts).saturating_add(1),
                redelivered: row.lost_runs > 0,
                must_run_alone: row.lost_runs >= ALONE_AFTER,
                ordering: row.order_scope,
                raw: RawTask {
                    topic: topic.name.clone(),
                    body: row.body.into(),
                    foreign_content: None,
                },
            };
            if let Err(mpsc::error::SendError(Ok(taken))) = self.claimed.send(Ok(taken)) {
                consumer.put_back(&taken);
                topic.wake.bump();
            }
        }
        Ok(found)
    }

    /// From here on nothing takes the place of these tasks. Takes out those whose place was taken a moment ago.
    async fn close_windows(&self, rows: &mut Vec<TaskRow>, now: i64) -> Result<(), sqlx::Error> {
        let open: Vec<i64> = rows.iter().filter(|row| row.is_open).map(|row| row.seq).collect();
        if open.is_empty() {
            return Ok(());
        }
        let list = json_list(open);
        let closed: Result<Vec<(i64, Vec<u8>)>, WriteError> = self
            .database
            .writer
            .call(
                move |connection| {
                    let list = list.clone();
                    Box::pin(async move {
                        sqlx::query_as(
                            "UPDATE aftercommit_tasks SET window_opened_at = NULL \
                             WHERE seq IN (SELECT value FROM json_each(?1)) AND window_opened_at IS NOT NULL \
                               AND due_at <= ?2 RETURNING seq, body",
                        )
                        .bind(list)
                        .bind(now)
                        .fetch_all(connection)
                        .await
                    })
                },
                |_| {},
            )
            .await;
        let closed = closed.map_err(|error| sqlx::Error::Protocol(error.to_string()))?;
        let mut bodies: HashMap<i64, Vec<u8>> = closed.into_iter().collect();
        rows.retain_mut(|row| {
            if row.is_open {
                match bodies.remove(&row.seq) {
                    Some(body) => row.body = body,
                    None => return false,
                }
            }
            true
        });
        Ok(())
    }

    /// When the next task of the topic is due that was not due at `now`.
    async fn next_due(&self, now: i64) -> Result<Option<i64>, sqlx::Error> {
        let name = self.consumer.topic.name.as_str();
        let claims = &self.database.claims;
        let mut connection = claims.turn().await?;
        let query = sqlx::query_scalar(
            "SELECT min(due_at) FROM aftercommit_tasks WHERE topic = ?1 AND state = 0 AND due_at > ?2",
        )
        .bind(name)
        .bind(now);
        claims.bounded(query.fetch_one(&mut *connection)).await
    }

    async fn wait_until(&self, due_at: Option<i64>) {
        let Some(due_at) = due_at else {
            return std::future::pending().await;
        };
        loop {
            let left = due_at.saturating_sub(micros(self.consumer.clock.now()));
            let Ok(left @ 1..) = u64::try_from(left) else { return };
            sleep(Duration::from_micros(left).min(CLOCK_LOOK)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, SqliteConnection};

    use super::*;

    #[tokio::test]
    async fn a_claim_is_one_range_of_the_index_of_ready_tasks_without_sorting() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        for migration in [
            include_str!("../../migrations/0001_rail.sql"),
            include_str!("../../migrations/0005_coalescing.sql"),
        ] {
            sqlx::raw_sql(migration).execute(&mut connection).await.unwrap();
        }
        let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {CLAIM_SQL}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql)
            .bind("letters")
            .bind(1_i64)
            .bind("[]")
            .bind(2_i64)
            .bind(10_i64)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let steps: Vec<&str> = plan.iter().map(|(_, _, _, step)| step.as_str()).collect();
        assert_eq!(
            steps[0],
            "SEARCH aftercommit_tasks USING INDEX aftercommit_tasks_ready (topic=? AND due_at<?)"
        );
        assert!(steps.iter().all(|step| !step.contains("B-TREE")), "{steps:?}");
    }
}
