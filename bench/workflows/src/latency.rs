//! From a commit to the first line of the workflow that it starts, on an idle application.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aftercommit::config::Settings;
use aftercommit::domain::workflows::StartRequest;
use aftercommit::prelude::*;
use aftercommit_workflows::wiring::with_temporal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::BoxError;
use crate::places::Database;
use crate::ported::ThreeSteps;
use crate::report::{against, percentile_ms};

/// The median is to be no longer, in milliseconds.
const AIM_MS: f64 = 30.0;
/// What is not counted, at first.
const WARM_UP: usize = 20;
/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// Something happened; a workflow follows.
#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "BenchHappened", version = 1, aggregate = "bench")]
struct BenchHappened {
    organization_id: OrganizationId,
    project_id: ProjectId,
    #[aggregate_id]
    number: u64,
}

impl BenchHappened {
    fn number(number: u64) -> Self {
        let ThreeSteps {
            organization_id,
            project_id,
            number,
        } = ThreeSteps::number(number);
        Self {
            organization_id,
            project_id,
            number,
        }
    }
}

/// Says when its first line ran.
struct Noting(Arc<Begun>);

/// When the newest workflow began.
struct Begun {
    at: Mutex<Option<Instant>>,
    told: Semaphore,
}

#[async_trait]
impl Workflow for Noting {
    type Input = ThreeSteps;
    type Output = ();

    async fn run(&self, _: &WorkflowContext, _: ThreeSteps) -> Result<(), Exit> {
        *self.0.at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.0.told.add_permits(1);
        Ok(())
    }
}

/// How a transaction asks for a workflow.
#[derive(Clone, Copy)]
enum Asking {
    /// It does so itself.
    Start,
    /// A route makes it of its event.
    Event,
    /// Not at all: the engine is called at once. What everything above it is added to.
    Engine,
}

pub(crate) async fn measure(database: &Database, temporal: &str, n: usize) -> Result<Value, BoxError> {
    let folder = tempfile::tempdir()?;
    let name = format!("bench-{}-{}", std::process::id(), database.amqp_url.is_some());
    let mut environment = vec![
        ("DATABASE_URL", database.url.clone()),
        ("TEMPORAL_ADDRESS", temporal.to_owned()),
        ("AFTERCOMMIT_TEMPORAL__TASK_QUEUE", name.clone()),
        ("AFTERCOMMIT_DATA_DIR", folder.path().display().to_string()),
        ("AFTERCOMMIT_SEALING__KEYS", format!("bench:{}=", "A".repeat(43))),
    ];
    if let Some(amqp_url) = &database.amqp_url {
        environment.push(("AMQP_URL", amqp_url.clone()));
        environment.push(("AFTERCOMMIT_AMQP__PREFIX", name));
    }
    let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value));
    let settings = Settings::from_sources(environment, None)?;
    let begun = Arc::new(Begun {
        at: Mutex::default(),
        told: Semaphore::new(0),
    });
    let noting = Noting(Arc::clone(&begun));
    let application = with_temporal(Aftercommit::from_env())
        .source("/bench")
        .events(catalogue![BenchHappened])
        .routes(
            Routes::new()
                .on(|event: &BenchHappened| start(format!("event-{}", event.number), ThreeSteps::number(event.number))),
        )
        .workflows(|_| async { Ok(Workflows::new().workflow(noting)) });
    let running = application.open(settings).await?.start();
    // The server asks after an id that was used before, so no run uses those of another.
    let first = u64::from(std::process::id()) * 10_000_000 + u64::from(database.amqp_url.is_some()) * 1_000_000;
    let mut figures = serde_json::Map::new();
    for (name, asking) in [
        ("engine_alone", Asking::Engine),
        ("start", Asking::Start),
        ("event", Asking::Event),
    ] {
        let mut waits = Vec::with_capacity(n);
        for number in 0..WARM_UP + n {
            let wait = one(running.kit(), &begun, asking, first + number as u64).await?;
            if number >= WARM_UP {
                waits.push(wait);
            }
        }
        let (p50, p99) = (percentile_ms(&mut waits, 0.5), percentile_ms(&mut waits, 0.99));
        let p50 = match asking {
            Asking::Engine => p50.into(),
            Asking::Start | Asking::Event => against(p50, AIM_MS, p50 <= AIM_MS),
        };
        figures.insert(name.to_owned(), json!({ "p50_ms": p50, "p99_ms": p99 }));
    }
    running.stop().await;
    Ok(figures.into())
}

/// From the moment a commit is answered, or the engine is called, to the workflow's first line.
async fn one(kit: &Kit, begun: &Begun, asking: Asking, number: u64) -> Result<Duration, BoxError> {
    let asked = match asking {
        Asking::Engine => {
            let starter = kit.workflow_starter().ok_or("there is no engine")?;
            let (envelopes, input) = (kit.envelopes(), ThreeSteps::number(number));
            let key = format!("engine-{number}");
            let request = StartRequest::new(envelopes, envelopes.new_id(), key, &input, &Cause::root())?;
            let asked = Instant::now();
            starter.start(request).await?;
            asked
        }
        Asking::Start | Asking::Event => {
            let mut unit = kit.begin(&Tenant::project(7_i64, 8_i64), &Cause::root()).await?;
            if let Asking::Start = asking {
                let key = format!("start-{number}");
                unit.outbox().start(key, &ThreeSteps::number(number)).await?;
            } else {
                unit.outbox().write(BenchHappened::number(number)).await?;
            }
            unit.commit().await?;
            Instant::now()
        }
    };
    tokio::time::timeout(PATIENCE, begun.told.acquire())
        .await
        .map_err(|_elapsed| format!("a workflow did not start within {PATIENCE:?}"))??
        .forget();
    let at = begun.at.lock().unwrap_or_else(PoisonError::into_inner).take();
    // Nothing waits for what was before, and the application has gone idle again.
    tokio::time::sleep(Duration::from_millis(100)).await;
    Ok(at.map_or(Duration::ZERO, |at| at.saturating_duration_since(asked)))
}
