//! The workflows that this process runs, beside its loops.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::workflows::WorkflowRegistry;
use aftercommit_runtime::lifecycle::StopOutcome;
use aftercommit_runtime::{Engine, LoopHealth, RunningEngine};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::kit::Kit;
use crate::workflows::{WorkersState, WorkflowEngine, WorkflowWorkers};

/// How often it is looked at how they fare.
const LOOK: Duration = Duration::from_secs(1);
/// What their orderly stop may take beyond the configured times.
const SLACK: Duration = Duration::from_secs(5);

/// Workflows and what runs them; nothing runs yet.
pub(crate) struct HostedWorkflows {
    engine: Arc<dyn WorkflowEngine>,
    registry: WorkflowRegistry,
}

impl From<(Arc<dyn WorkflowEngine>, WorkflowRegistry)> for HostedWorkflows {
    fn from((engine, registry): (Arc<dyn WorkflowEngine>, WorkflowRegistry)) -> Self {
        Self { engine, registry }
    }
}

/// The loops of a process and its workflows, at work.
pub(crate) struct Working {
    engine: RunningEngine,
    /// Dropped to stop them.
    stop: watch::Sender<()>,
    workflows: JoinSet<()>,
    /// How long their stop may take.
    longest: Duration,
}

impl Working {
    /// Starts both.
    pub(crate) fn start(engine: Engine, hosted: Option<HostedWorkflows>, kit: &Kit) -> Self {
        let (stop, stopped) = watch::channel(());
        let mut workflows = JoinSet::new();
        if let Some(HostedWorkflows { engine, registry }) = hosted {
            let health = kit.health().register("workflows");
            match engine.host(registry, kit.clock()) {
                Ok(workers) => {
                    workflows.spawn(watched(workers, health, stopped));
                }
                Err(error) => {
                    tracing::error!(%error, "workflows are not run here");
                    health.failed(&Failure::new("workflow.host", ErrorClass::Outage, error.to_string()));
                }
            }
        }
        let shutdown = &kit.settings().shutdown;
        Self {
            engine: engine.start(kit.health()),
            stop,
            workflows,
            longest: shutdown.grace + shutdown.cancel + SLACK,
        }
    }

    /// Stops both in stages. Answers how it went.
    pub(crate) async fn stop(self) -> StopOutcome {
        let Self {
            engine,
            stop,
            mut workflows,
            longest,
        } = self;
        drop(stop);
        let (outcome, ended) = tokio::join!(engine.stop(), timeout(longest, workflows.join_next()));
        if ended.is_err() {
            tracing::warn!("what runs workflows was cut off; other processes run them on");
            return StopOutcome::Overrun;
        }
        outcome
    }
}

/// Tells how they fare until they are to stop, and stops them.
async fn watched(workers: Box<dyn WorkflowWorkers>, health: LoopHealth, mut stopped: watch::Receiver<()>) {
    let look = async {
        loop {
            match workers.state() {
                WorkersState::Starting => {}
                WorkersState::Running => health.succeeded(),
                WorkersState::Failing(reason) => {
                    health.failed(&Failure::new("workflow.unavailable", ErrorClass::Outage, reason));
                }
            }
            sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = look => {}
        // Nothing is ever sent: it ends with its sender.
        _ = stopped.changed() => {}
    }
    workers.stop().await;
    health.stopped();
}
