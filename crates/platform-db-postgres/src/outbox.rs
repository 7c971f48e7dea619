//! The outbox: what committed transactions decided, until a relay has published it.

mod look;
mod message_writer;
pub(crate) mod rows;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::events::{
    Claim, Claimed, LeaseToken, Marked, Outbox, OutboxError, OutboxStats, QuarantinedRow, RawOutboxMessage, Release,
};
use aftercommit_domain::failure::Failure;
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;
use sqlx::FromRow;
use sqlx::postgres::types::PgInterval;
use sqlx::types::Json;
use tokio::time::{Instant, sleep};

use crate::columns::{attempts, count, interval};
use crate::database::Inner;
use crate::trouble::{Trouble, told, trouble};

pub(crate) use look::{Look, Settled};
pub use message_writer::{PostgresOutboxWriter, create_outbox_writer};

/// The most expired rows that are freed at once.
const RESCUED_AT_ONCE: i32 = 1000;

/// The outbox of a database, as its relays see it.
#[derive(Clone)]
pub struct PostgresOutbox {
    pub(crate) database: Arc<Inner>,
}

#[derive(FromRow)]
struct ClaimedRow {
    claimed_position: i64,
    claimed_attempts: i32,
    claimed_written_at: Timestamp,
    claimed_bucket: String,
    claimed_kind: String,
    claimed_body: Vec<u8>,
}

#[async_trait]
impl Outbox for PostgresOutbox {
    async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<Claimed>, OutboxError> {
        let look = &self.database.look;
        let rest = look.rest();
        if !rest.is_zero() {
            sleep(rest).await;
        }
        look.note_seen(self.database.relay.seen());
        let token = self.database.next_token();
        if let Some(settled) = look.settled() {
            // Before the claim: a caller that gives up meanwhile leaves no row behind with a lease.
            self.look_for_settled(settled).await;
        }
        let (start, begun) = (look.start(), Instant::now());
        let how = start.begun();
        let row_limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let rows: Vec<ClaimedRow> = self
            .database
            .engine
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_as("SELECT * FROM aftercommit.outbox_claim($1, $2, $3, $4, $5, $6, $7)")
                        .bind(row_limit)
                        .bind(interval(lease))
                        .bind(token)
                        .bind(start.after_bucket)
                        .bind(start.known_buckets)
                        .bind(start.known_ends)
                        .bind(start.settled_below)
                        .fetch_all(connection)
                        .await
                })
            })
            .await
            .map_err(|error| outbox_error("claim", &error))?;
        let is_full = rows.len() >= limit;
        look.note_claimed(
            how,
            begun.elapsed(),
            rows.iter()
                .map(|row| (row.claimed_bucket.as_str(), row.claimed_position)),
            is_full,
        );
        Ok(rows
            .into_iter()
            .map(|row| Claimed {
                claim: Claim {
                    position: row.claimed_position,
                    token: LeaseToken(token),
                },
                attempts: attempts(row.claimed_attempts),
                written_at: row.claimed_written_at,
                message: RawOutboxMessage {
                    kind: row.claimed_kind,
                    body: row.claimed_body,
                },
            })
            .collect())
    }

    async fn mark_published(&self, claims: &[Claim]) -> Result<Marked, OutboxError> {
        if claims.is_empty() {
            return Ok(Marked::default());
        }
        let (positions, tokens) = columns(claims.iter());
        let changed: i64 = self
            .database
            .engine
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_scalar("SELECT aftercommit.outbox_mark_published($1, $2)")
                        .bind(positions)
                        .bind(tokens)
                        .fetch_one(connection)
                        .await
                })
            })
            .await
            .map_err(|error| outbox_error("mark published", &error))?;
        // Those behind a published row may go on.
        self.database.relay.bump();
        Ok(marked(claims.len(), changed))
    }

    async fn release(&self, claims: Vec<(Claim, Release)>) -> Result<Marked, OutboxError> {
        if claims.is_empty() {
            return Ok(Marked::default());
        }
        let given = claims.len();
        let (positions, tokens) = columns(claims.iter().map(|(claim, _)| claim));
        let releases: Vec<Released> = claims.into_iter().map(|(_, release)| release.into()).collect();
        let soonest = releases
            .iter()
            .filter(|release| release.state == WAITS)
            .map(|release| release.delay)
            .min();
        let states: Vec<i16> = releases.iter().map(|release| release.state).collect();
        let delays: Vec<PgInterval> = releases.iter().map(|release| interval(release.delay)).collect();
        let counted: Vec<bool> = releases.iter().map(|release| release.is_counted).collect();
        let failures: Vec<Option<Json<Failure>>> =
            releases.into_iter().map(|release| release.failure.map(Json)).collect();
        let changed: i64 = self
            .database
            .engine
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_scalar("SELECT aftercommit.outbox_release($1, $2, $3, $4, $5, $6)")
                        .bind(positions)
                        .bind(tokens)
                        .bind(states)
                        .bind(delays)
                        .bind(counted)
                        .bind(failures)
                        .fetch_one(connection)
                        .await
                })
            })
            .await
            .map_err(|error| outbox_error("release", &error))?;
        if let Some(delay) = soonest {
            self.database.look.note_due_in(delay);
        }
        self.database.relay.bump();
        Ok(marked(given, changed))
    }

    async fn rescue_expired(&self) -> Result<u64, OutboxError> {
        let freed: i64 = self
            .database
            .leases
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_scalar("SELECT aftercommit.outbox_rescue($1)")
                        .bind(RESCUED_AT_ONCE)
                        .fetch_one(connection)
                        .await
                })
            })
            .await
            .map_err(|error| outbox_error("rescue", &error))?;
        if freed > 0 {
            self.database.relay.bump();
        }
        Ok(count(freed))
    }

    async fn wait(&self, idle: Duration) {
        let (relay, look) = (&self.database.relay, &self.database.look);
        let idle = relay.patience(idle);
        let idle = look.until_due().map_or(idle, |due| due.min(idle));
        tokio::select! {
            biased;
            () = relay.changed(look.seen()) => {}
            () = sleep(idle) => {}
        }
    }

    async fn stats(&self) -> Result<OutboxStats, OutboxError> {
        let (waiting, claimed, quarantined, oldest): (i64, i64, i64, Option<Timestamp>) = self
            .database
            .console
            .run(move |connection| {
                Box::pin(async move {
                    // Each number by its own partial index.
                    sqlx::query_as(
                        "SELECT (SELECT count(*) FROM aftercommit.outbox WHERE state = 0) \
                              + (SELECT count(*) FROM aftercommit.outbox WHERE state = 2) \
                              + (SELECT count(*) FROM aftercommit.outbox WHERE state = 4), \
                           (SELECT count(*) FROM aftercommit.outbox WHERE state = 1), \
                           (SELECT count(*) FROM aftercommit.outbox WHERE state = 3), \
                           (SELECT written_at FROM aftercommit.outbox WHERE state <> 3 ORDER BY position LIMIT 1)",
                    )
                    .fetch_one(connection)
                    .await
                })
            })
            .await
            .map_err(|error| outbox_error("count", &error))?;
        Ok(OutboxStats {
            waiting: count(waiting),
            claimed: count(claimed),
            quarantined: count(quarantined),
            oldest,
        })
    }

    async fn quarantined(&self, limit: u32) -> Result<Vec<QuarantinedRow>, OutboxError> {
        let rows: Vec<(Timestamp, String, Vec<u8>, Option<Json<Failure>>)> = self
            .database
            .console
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_as(
                        "SELECT written_at, kind, body, failure FROM aftercommit.outbox WHERE state = 3 \
                         ORDER BY position DESC LIMIT $1",
                    )
                    .bind(i64::from(limit))
                    .fetch_all(connection)
                    .await
                })
            })
            .await
            .map_err(|error| outbox_error("list", &error))?;
        Ok(rows
            .into_iter()
            .map(|(written_at, kind, body, failure)| QuarantinedRow {
                written_at,
                message: RawOutboxMessage { kind, body },
                reason: failure.map(|Json(failure)| failure.to_string()).unwrap_or_default(),
            })
            .collect())
    }
}

impl PostgresOutbox {
    /// Spares the following claims work. Without an answer they do it.
    async fn look_for_settled(&self, known: Settled) {
        let answer: Result<Settled, _> = self
            .database
            .engine
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_as("SELECT * FROM aftercommit.outbox_settled($1, $2, $3)")
                        .bind(known.below)
                        .bind(known.drawn)
                        .bind(known.next_writer)
                        .fetch_one(connection)
                        .await
                })
            })
            .await;
        match answer {
            Ok(settled) => self.database.look.note_settled(settled),
            Err(error) => tracing::debug!(%error, "it is not known which positions of the outbox are settled"),
        }
    }
}

const READY: i16 = 0;
const WAITS: i16 = 2;
const ASIDE: i16 = 3;

/// What a row becomes.
struct Released {
    state: i16,
    delay: Duration,
    is_counted: bool,
    failure: Option<Failure>,
}

impl From<Release> for Released {
    fn from(release: Release) -> Self {
        match release {
            Release::Untouched => Self {
                state: READY,
                delay: Duration::ZERO,
                is_counted: false,
                failure: None,
            },
            Release::Retry {
                after,
                counted,
                failure,
            } => Self {
                state: WAITS,
                delay: after,
                is_counted: counted,
                failure: Some(failure),
            },
            Release::Quarantine { failure } => Self {
                state: ASIDE,
                delay: Duration::ZERO,
                is_counted: true,
                failure: Some(failure),
            },
        }
    }
}

fn columns<'c>(claims: impl Iterator<Item = &'c Claim>) -> (Vec<i64>, Vec<i64>) {
    claims.map(|claim| (claim.position, claim.token.0)).unzip()
}

fn marked(given: usize, changed: i64) -> Marked {
    let changed = count(changed);
    Marked {
        changed,
        stale: (given as u64).saturating_sub(changed),
    }
}

pub(crate) fn outbox_error(operation: &'static str, error: &sqlx::Error) -> OutboxError {
    let reason = told(error);
    match trouble(error) {
        Trouble::Away => OutboxError::Unavailable { operation, reason },
        Trouble::Conflict => OutboxError::Conflict { operation, reason },
        Trouble::Refused | Trouble::Duplicate => OutboxError::Refused { operation, reason },
    }
}

impl fmt::Debug for PostgresOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOutbox").finish_non_exhaustive()
    }
}
