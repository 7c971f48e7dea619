//! What an event costs beside the business row of its transaction.

use std::time::Instant;

use aftercommit::postgres::PostgresUnitOfWorkFactory;
use aftercommit::postgres::sqlx::query;
use aftercommit::prelude::*;
use serde_json::json;
use tokio::task::JoinSet;

use crate::contracts::{BenchHappened, tenant};
use crate::report::{fsync_p50_ms, per_second};
use crate::rig::{BoxError, Rig};
use crate::{Options, Provider};

const PRODUCERS: usize = 16;

/// The same row as the raw limit writes.
const TABLE: &str = "CREATE TABLE public.bench_orders (id uuid PRIMARY KEY, organization_id text NOT NULL, \
    project_id text NOT NULL, total bigint NOT NULL, note text NOT NULL)";
const ROW: &str = "INSERT INTO public.bench_orders VALUES ($1, 'org', 'project', 42, \
    'a business row of about a hundred bytes, as ordinary applications write them')";

/// A business table beside the kit's.
#[derive(Clone)]
pub(crate) struct Orders {
    units: PostgresUnitOfWorkFactory,
}

impl Orders {
    /// Makes the table, where the database is PostgreSQL.
    pub(crate) async fn prepare(rig: &Rig, options: &Options) -> Result<Option<Self>, BoxError> {
        if options.provider == Provider::Sqlite {
            return Ok(None);
        }
        let database = rig.kit.postgres()?;
        query(TABLE).execute(&database.pools().handlers).await?;
        let units = database.units_of_work(rig.kit.envelopes().clone());
        Ok(Some(Self { units }))
    }

    /// Commits a row and its event.
    pub(crate) async fn commit(&self, kit: &Kit, event: BenchHappened) -> Result<(), BoxError> {
        let mut unit = self.units.begin_postgres(&tenant(), &Cause::root()).await?;
        query(ROW)
            .bind(kit.ids().next())
            .execute(&mut **unit.transaction())
            .await?;
        unit.outbox().write(event).await?;
        unit.commit().await?;
        Ok(())
    }
}

/// 16 producers, each commit one row and one event.
pub(crate) async fn commit(options: Options) -> Result<String, BoxError> {
    let rig = Rig::open(&options).await?;
    let orders = Orders::prepare(&rig, &options)
        .await?
        .ok_or("commits are measured on PostgreSQL")?;
    let started = Instant::now();
    let mut producers = JoinSet::new();
    for producer in 0..PRODUCERS {
        let (kit, orders) = (rig.kit.clone(), orders.clone());
        let numbers = (producer..options.n).step_by(PRODUCERS);
        producers.spawn(async move {
            for number in numbers {
                // Aggregates of their own, as most writes have.
                let event = BenchHappened::number(number as u64, number as u64);
                orders.commit(&kit, event).await?;
            }
            Ok::<(), BoxError>(())
        });
    }
    while let Some(result) = producers.join_next().await {
        result??;
    }
    let elapsed = started.elapsed();
    let line = json!({
        "system": "aftercommit", "workload": "commit", "provider": options.provider.name(), "n": options.n,
        "producers": PRODUCERS, "commit_per_s": per_second(options.n, elapsed),
        "synchronous": rig.synchronous(), "fsync_p50_ms": fsync_p50_ms(rig.disk())?,
    });
    rig.close().await;
    Ok(line.to_string())
}
