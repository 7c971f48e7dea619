//! Workflows per second and the worker's memory, in rounds that take turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use aftercommit::domain::contract::Cause;
use aftercommit::workflows::{StartRequest, WorkflowStarter as _};
use aftercommit_platform_workflows_temporal::{Temporal, TemporalConfig};
use aftercommit_testkit::{TestServices, test_services};
use serde_json::{Value, json};
use temporalio_client::{Client, UntypedWorkflow, WorkflowGetResultOptions, WorkflowStartOptions};
use tokio::task::JoinSet;

use crate::BoxError;
use crate::native::NativeThreeSteps;
use crate::ported::ThreeSteps;
use crate::report::{against, count, median, per_second, rounded};
use crate::worker::{System, WorkerProcess, client};

/// Workflows at once.
pub(crate) const IN_FLIGHT: usize = 32;

/// What is not measured, at first.
const WARM_UP: usize = 2 * IN_FLIGHT;

/// What ours is to have of the SDK's own.
const AIM: f64 = 0.9;

/// What starts workflows and waits for their ends. The waiting is the same for both.
#[derive(Clone)]
struct Starter {
    system: System,
    client: Client,
    temporal: Temporal,
    services: TestServices,
    task_queue: String,
}

#[derive(Default)]
struct Rounds {
    per_s: Vec<f64>,
    /// Of the worker, for each workflow.
    processor_ms: Vec<f64>,
    rss_mib: Vec<f64>,
}

pub(crate) async fn measure(address: &str, n: usize, rounds: usize) -> Result<Value, BoxError> {
    let (mut native, mut ported) = (Rounds::default(), Rounds::default());
    let services = test_services();
    for round in 0..rounds {
        for (system, figures) in [(System::Native, &mut native), (System::Ported, &mut ported)] {
            let task_queue = format!("{}-{round}-{}", system.name(), std::process::id());
            let worker = WorkerProcess::start(system, address, &task_queue).await?;
            let starter = Starter {
                system,
                client: client(address).await?,
                // What the native one does not write either.
                temporal: Temporal::new(
                    TemporalConfig::new(address, None, None)?
                        .task_queue(&task_queue)?
                        .search_attributes(false),
                ),
                services: services.clone(),
                task_queue,
            };
            // Caches and connections.
            starter.run("warm-up", WARM_UP).await?;
            let started = Instant::now();
            starter.run("measured", n).await?;
            let per_s = per_second(n, started.elapsed());
            let taken = worker.stop().await?;
            let processor_ms = rounded(taken.processor_ms / count(n + WARM_UP));
            eprintln!(
                "bench: round {}, {}: {per_s} workflows/s, {processor_ms} ms of the worker's processor each, {} MiB",
                round + 1,
                system.name(),
                taken.peak_mib
            );
            figures.per_s.push(per_s);
            figures.processor_ms.push(processor_ms);
            figures.rss_mib.push(taken.peak_mib);
        }
    }
    let ratio = median(&ported.per_s) / median(&native.per_s);
    Ok(json!({
        "native": native.shown(), "ported": ported.shown(), "ported_of_native": against(ratio, AIM, ratio >= AIM),
    }))
}

impl Rounds {
    fn shown(&self) -> Value {
        json!({
            "per_s": median(&self.per_s), "per_s_of_rounds": self.per_s,
            "worker_processor_ms_each": median(&self.processor_ms), "worker_processor_ms_each_of_rounds": self.processor_ms,
            "worker_rss_mib": median(&self.rss_mib), "worker_rss_mib_of_rounds": self.rss_mib,
        })
    }
}

impl Starter {
    /// Returns when the last of them has ended.
    async fn run(&self, key: &'static str, n: usize) -> Result<(), BoxError> {
        let (next, mut running) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        for _ in 0..IN_FLIGHT {
            let (starter, next) = (self.clone(), Arc::clone(&next));
            running.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= n {
                        return Ok::<(), BoxError>(());
                    }
                    starter.one(key, number as u64).await?;
                }
            });
        }
        while let Some(ended) = running.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// One workflow, from its start to its end.
    async fn one(&self, key: &str, number: u64) -> Result<(), BoxError> {
        let input = ThreeSteps::number(number);
        let key = format!("{}-{key}-{number}", self.task_queue);
        let id = match self.system {
            System::Native => {
                let options = WorkflowStartOptions::new(self.task_queue.clone(), key.clone()).build();
                self.client
                    .start_workflow(NativeThreeSteps::run, input, options)
                    .await?;
                key
            }
            System::Ported => {
                let envelopes = &self.services.envelopes;
                let request = StartRequest::new(envelopes, envelopes.new_id(), key, &input, &Cause::root())?;
                let id = request.id.to_string();
                self.temporal.start(request).await?;
                id
            }
        };
        let handle = self.client.get_workflow_handle::<UntypedWorkflow>(id);
        handle.get_result(WorkflowGetResultOptions::default()).await?;
        Ok(())
    }
}
