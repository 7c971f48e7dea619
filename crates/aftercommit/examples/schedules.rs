//! A program with schedules: `cargo run -p aftercommit --example schedules`, and `aftercommit schedules list` beside it.

use std::process::ExitCode;

use aftercommit::prelude::*;
use serde::{Deserialize, Serialize};

/// Fans out a digest to every project.
#[derive(Serialize, Deserialize, Task)]
#[task(topic = "digests", name = "trigger-weekly", version = 1)]
#[exempt(system, "it fans out to every project")]
struct TriggerWeekly {}

/// Looks for incidents that nobody closed.
#[derive(Serialize, Deserialize, Task)]
#[task(topic = "incidents", name = "sweep-open", version = 1)]
#[exempt(system, "it looks at every project")]
struct SweepOpen {}

struct Digests;

#[async_trait]
impl TaskHandler<TriggerWeekly> for Digests {
    async fn handle(&self, _: TriggerWeekly, ctx: &TaskContext) -> TaskResult {
        println!("digest of the week up to {:?}", ctx.slot());
        completed()
    }
}

struct Incidents;

#[async_trait]
impl TaskHandler<SweepOpen> for Incidents {
    async fn handle(&self, _: SweepOpen, ctx: &TaskContext) -> TaskResult {
        println!("sweep of {:?}", ctx.slot());
        completed()
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    Aftercommit::from_env()
        .topic(Topic::named("digests").handle::<TriggerWeekly>(Digests))
        .topic(Topic::named("incidents").handle::<SweepOpen>(Incidents))
        .schedule(
            Schedule::declare("weekly-digest", "0 9 * * FRI")
                .zone("Europe/Berlin")
                .misfire(Misfire::Once)
                .publishes(&TriggerWeekly {}),
        )
        .schedule(
            Schedule::declare("sweep-open", "*/5 * * * * *")
                .misfire(Misfire::Skip)
                .publishes(&SweepOpen {}),
        )
        .run()
        .await
}
