//! Commits events, and tries again with the same id whatever the answer was, until it knows.

use std::time::Duration;

use aftercommit::OutboxTransaction;
use aftercommit::domain::events::OutboxMessage;
use aftercommit::domain::ids::MessageId;
use aftercommit::domain::unit_of_work::CommitError;
use aftercommit::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgConnection, PgPool};
use tokio::time::{sleep, timeout};

use crate::contract::{StepTaken, tenant_of};
use crate::ledger::Ledger;
use crate::{Failed, Producing};

/// A server that hangs is no reason to wait for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of one try.
enum Answer {
    Committed,
    /// An earlier try had committed it.
    Found,
    Unknown(String),
    Failed(String),
}

/// A statement before the commit did not succeed.
struct BeforeCommit(String);

impl<E: std::error::Error> From<E> for BeforeCommit {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

struct Producer<'k> {
    kit: &'k Kit,
    own_pool: Option<PgPool>,
    random: StdRng,
}

pub(crate) async fn produce(kit: &Kit, producing: &Producing) -> Result<(), Failed> {
    let own_pool = if producing.own_pool {
        // As an application that knows nothing of the kit would make it.
        let url = kit.postgres()?.options().url.clone();
        let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(2));
        Some(pool.connect_lazy(secrecy::ExposeSecret::expose_secret(&url))?)
    } else {
        None
    };
    let mut ledger = Ledger::open(&producing.ledger)?;
    let mut producer = Producer {
        kit,
        own_pool,
        random: StdRng::seed_from_u64(producing.seed),
    };
    for _ in 0..producing.events {
        let id = kit.envelopes().new_id();
        let aggregate = producer.random.random_range(1..=producing.aggregates);
        loop {
            ledger.note("attempt", id)?;
            match producer.step(id, aggregate).await {
                Answer::Committed => {
                    ledger.note("ok", id)?;
                    break;
                }
                Answer::Found => {
                    ledger.note("found", id)?;
                    break;
                }
                Answer::Unknown(reason) => {
                    tracing::info!(%id, reason, "the commit's answer was lost");
                    ledger.note("unknown", id)?;
                }
                Answer::Failed(reason) => {
                    tracing::info!(%id, reason, "not committed");
                    ledger.note("failed", id)?;
                }
            }
            sleep(Duration::from_millis(producer.random.random_range(20..=200))).await;
        }
        sleep(Duration::from_millis(producer.random.random_range(0..=producing.rest))).await;
    }
    Ok(())
}

impl Producer<'_> {
    async fn step(&mut self, id: MessageId, aggregate: i64) -> Answer {
        // A slow committer now and then: later positions become visible before its own.
        let slow = self
            .random
            .random_bool(0.01)
            .then(|| self.random.random_range(50..=300));
        let slow = slow.map(Duration::from_millis);
        let tried = match self.own_pool.clone() {
            Some(pool) => self.step_on_own_pool(&pool, id, aggregate, slow).await,
            None => self.step_on_kit(id, aggregate, slow).await,
        };
        tried.unwrap_or_else(|BeforeCommit(reason)| Answer::Failed(reason))
    }

    async fn step_on_kit(&self, id: MessageId, aggregate: i64, slow: Option<Duration>) -> Result<Answer, BeforeCommit> {
        let tenant = tenant_of(aggregate);
        let mut transaction = self.kit.postgres()?.begin(&tenant).await?;
        // What is dropped is rolled back.
        let before = async {
            let Some(seq) = intend(&mut transaction, id, aggregate).await? else {
                return Ok::<_, BeforeCommit>(false);
            };
            self.append(&mut transaction, id, aggregate, seq).await?;
            Ok(true)
        };
        if !timeout(PATIENCE, before).await?? {
            return Ok(Answer::Found);
        }
        sleep(slow.unwrap_or_default()).await;
        Ok(match transaction.commit().await {
            Ok(()) => Answer::Committed,
            Err(CommitError::Unknown { reason }) => Answer::Unknown(reason),
            Err(
                error @ (CommitError::RolledBack { .. } | CommitError::Conflict { .. } | CommitError::Refused { .. }),
            ) => Answer::Failed(error.to_string()),
        })
    }

    async fn step_on_own_pool(
        &self,
        pool: &PgPool,
        id: MessageId,
        aggregate: i64,
        slow: Option<Duration>,
    ) -> Result<Answer, BeforeCommit> {
        // The pool's own deadline ends with the connection: nothing but this one bounds the wait for BEGIN's answer.
        let mut transaction = timeout(PATIENCE, pool.begin()).await??;
        let before = async {
            let Some(seq) = intend(&mut transaction, id, aggregate).await? else {
                return Ok::<_, BeforeCommit>(false);
            };
            self.append(&mut transaction, id, aggregate, seq).await?;
            Ok(true)
        };
        if !timeout(PATIENCE, before).await?? {
            return Ok(Answer::Found);
        }
        sleep(slow.unwrap_or_default()).await;
        Ok(match timeout(PATIENCE, transaction.commit()).await {
            Ok(Ok(())) => Answer::Committed,
            // It does not know which errors leave the question open, and none does harm.
            Ok(Err(error)) => Answer::Unknown(error.to_string()),
            Err(_) => Answer::Unknown("no answer in time".into()),
        })
    }

    async fn append<T: OutboxTransaction>(
        &self,
        transaction: &mut T,
        id: MessageId,
        aggregate: i64,
        seq: i64,
    ) -> Result<(), BeforeCommit> {
        let mut outbox = self
            .kit
            .create_outbox_writer(transaction, &tenant_of(aggregate), &Cause::root());
        let event = self
            .kit
            .envelopes()
            .event(id, &StepTaken::new(aggregate, seq), &Cause::root())?;
        outbox.append(vec![OutboxMessage::Event(event)]).await?;
        Ok(())
    }
}

/// The aggregate's next step, under its row's lock. `None`: an earlier try has committed it.
async fn intend(connection: &mut PgConnection, id: MessageId, aggregate: i64) -> Result<Option<i64>, sqlx::Error> {
    let seq: i64 = sqlx::query_scalar("UPDATE walks SET seq = seq + 1 WHERE id = $1 RETURNING seq")
        .bind(aggregate)
        .fetch_one(&mut *connection)
        .await?;
    let added = sqlx::query(
        "INSERT INTO ledger_intent (event_id, aggregate, seq) VALUES ($1, $2, $3) ON CONFLICT (event_id) DO NOTHING",
    )
    .bind(id.uuid())
    .bind(aggregate)
    .bind(seq)
    .execute(&mut *connection)
    .await?;
    Ok((added.rows_affected() == 1).then_some(seq))
}
