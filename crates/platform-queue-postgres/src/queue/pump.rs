//! Claiming ahead of what is handed out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aftercommit_domain::contract::RawTask;
use aftercommit_domain::tasks::ConsumeError;
use aftercommit_domain::time::Timestamp;
use aftercommit_platform_db_postgres::rest_after;
use sqlx::FromRow;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::columns::attempts;
use crate::queue::Inner;
use crate::queue::consumer::{Consumer, Place, unavailable};
use crate::queue::settlement::Lease;
use crate::queue::walk::Walk;
use crate::statement::{Trouble, TroubleKind};
use crate::topics::{ALONE_AFTER, SUSPECT_AFTER, SuspectTurn};

/// The most tasks of one claim.
const CLAIM: usize = 500;
/// How soon a claim that failed is tried again, at first and at most.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(1);
/// How long a failing claim is tried again before the consumer says so.
const PATIENCE: Duration = Duration::from_secs(5);

/// A claimed task.
pub(crate) struct Taken {
    pub(crate) raw: RawTask,
    pub(crate) attempt: u32,
    pub(crate) redelivered: bool,
    pub(crate) must_run_alone: bool,
    pub(crate) lease: Lease,
}

/// Claims ahead of what is handed out.
pub(crate) struct Pump {
    pub(crate) inner: Arc<Inner>,
    pub(crate) consumer: Arc<Consumer>,
    pub(crate) claimed: mpsc::UnboundedSender<Result<Taken, ConsumeError>>,
    pub(crate) stopping: CancellationToken,
    /// Tells that nothing more is claimed.
    pub(crate) _ended: DropGuard,
}

#[derive(FromRow)]
struct ClaimedRow {
    claimed_seq: i64,
    claimed_due_at: Timestamp,
    claimed_attempts: i32,
    claimed_lost_runs: i32,
    claimed_order_key: Option<i64>,
    claimed_body: Vec<u8>,
}

impl Pump {
    pub(crate) async fn run(self) {
        let mut failing_since: Option<Instant> = None;
        let mut retry = FIRST_RETRY;
        let mut walk = Walk::default();
        loop {
            let Some(room) = self.stopping.run_until_cancelled(self.consumer.wait_for_room()).await else {
                return;
            };
            let room = room.min(CLAIM);
            let (seen, begun) = (self.consumer.topic.wake.seen(), Instant::now());
            let pause = match self.claim(room, &mut walk).await {
                Ok(claimed) if claimed == room => {
                    failing_since = None;
                    continue;
                }
                Ok(_) => {
                    (failing_since, retry) = (None, FIRST_RETRY);
                    match self.rest(rest_after(begun.elapsed())).await {
                        Some(()) => self.wait(seen, walk.again()).await,
                        None => None,
                    }
                }
                Err(trouble) => {
                    let since = *failing_since.get_or_insert_with(Instant::now);
                    if !trouble.may_pass() || since.elapsed() >= PATIENCE.min(self.consumer.lease / 3) {
                        if trouble.kind == TroubleKind::LeaseLost {
                            self.consumer.lose();
                        }
                        // Whoever takes the deliveries sees it after what was claimed before, and consumes again.
                        let _ = self.claimed.send(Err(unavailable("claim", &trouble)));
                        return;
                    }
                    tracing::debug!(topic = %self.consumer.topic.name, error = %trouble, "a claim failed and is tried again");
                    let pause = self.stopping.run_until_cancelled(sleep(retry)).await;
                    retry = (retry * 2).min(LAST_RETRY);
                    pause
                }
            };
            if pause.is_none() {
                return;
            }
        }
    }

    /// `None` when nothing more is to be claimed.
    async fn rest(&self, rest: Duration) -> Option<()> {
        if rest.is_zero() {
            return Some(());
        }
        self.stopping.run_until_cancelled(sleep(rest)).await
    }

    /// Waits until a task may have become claimable. `None` when nothing more is to be claimed.
    async fn wait(&self, seen: u64, again: Option<Instant>) -> Option<()> {
        let topic = &self.consumer.topic;
        let _waiting = topic.begin_waiting(&self.inner.topics);
        let waiting = topic.wake.changed(seen);
        let waiting = async {
            match again {
                Some(again) => timeout_at(again, waiting).await.unwrap_or_default(),
                None => waiting.await,
            }
        };
        self.stopping.run_until_cancelled(waiting).await
    }

    /// Claims up to `room` tasks that are due, oldest first. Answers how many it found. Never cancelled half-way: what it
    /// took would be held until its lease ends.
    async fn claim(&self, room: usize, walk: &mut Walk) -> Result<usize, Trouble> {
        let begun = Instant::now();
        let start = walk.start(begun);
        let mut turn = self.inner.topics.suspect_turn(&self.consumer.topic);
        let (consumer, topic) = (self.consumer.id, self.consumer.topic.name.clone());
        let limit = i32::try_from(room).unwrap_or(i32::MAX);
        let token = self.inner.database.next_token();
        let may_take_suspect = turn.is_some();
        let mut rows: Vec<ClaimedRow> = self
            .inner
            .engine
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_as(
                        "SELECT * FROM aftercommit.tasks_claim($1, $2, $3, $4, $5, coalesce($6, '-infinity'))",
                    )
                    .bind(consumer)
                    .bind(topic.as_str())
                    .bind(limit)
                    .bind(token)
                    .bind(may_take_suspect)
                    .bind(start)
                    .fetch_all(connection)
                    .await
                })
            })
            .await?;
        if !rows.is_empty() {
            failpoint!(QUEUE_AFTER_CLAIM);
        }
        rows.sort_unstable_by_key(|row| (row.claimed_due_at, row.claimed_seq));
        let newest = rows.last().map(|row| row.claimed_due_at);
        walk.note(start, Instant::now(), begun.elapsed(), newest);
        let found = rows.len();
        let mut refused = Vec::new();
        for row in rows {
            let suspect = if row.claimed_lost_runs >= SUSPECT_AFTER {
                turn.take().map(SuspectTurn::used)
            } else {
                None
            };
            let taken = self.taken(row, token, suspect);
            self.consumer.buffered.fetch_add(1, Ordering::SeqCst);
            if let Err(mpsc::error::SendError(Ok(taken))) = self.claimed.send(Ok(taken)) {
                self.consumer.buffered.fetch_sub(1, Ordering::SeqCst);
                refused.push(taken);
            }
        }
        if !refused.is_empty() {
            self.inner.give_back(refused).await;
        }
        Ok(found)
    }

    fn taken(&self, row: ClaimedRow, token: i64, suspect: Option<SuspectTurn>) -> Taken {
        Taken {
            attempt: attempts(row.claimed_attempts).saturating_add(1),
            redelivered: row.claimed_lost_runs > 0,
            must_run_alone: row.claimed_lost_runs >= ALONE_AFTER,
            raw: RawTask {
                topic: self.consumer.topic.name.clone(),
                body: row.claimed_body.into(),
                foreign_content: None,
            },
            lease: Lease {
                seq: row.claimed_seq,
                token,
                order_key: row.claimed_order_key,
                place: Place::take(&self.consumer),
                _suspect: suspect,
            },
        }
    }
}
