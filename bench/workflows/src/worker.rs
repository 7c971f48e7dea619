//! The worker of a round: a process of its own, so that its memory is its own too.

use std::io::Read as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use aftercommit::runtime::system::SystemClock;
use aftercommit::workflows::WorkflowRegistry;
use aftercommit_platform_workflows_temporal::{Temporal, TemporalConfig, WorkerHealth};
use aftercommit_testkit::test_services;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions};
use temporalio_common::worker::WorkerDeploymentOptions;
use temporalio_sdk::{Runtime, Worker, WorkerOptions};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use url::Url;

use crate::BoxError;
use crate::native::{NativeActivities, NativeThreeSteps};
use crate::ported::{Increment, TakingThreeSteps};
use crate::report::{processor_ms, resident_mib};

const READY: &str = "ready";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum System {
    /// Written for the SDK alone.
    Native,
    /// Through the port.
    Ported,
}

/// What a worker took until its end.
#[derive(Serialize, Deserialize)]
pub(crate) struct Taken {
    /// Its memory at its peak.
    pub(crate) peak_mib: f64,
    pub(crate) processor_ms: f64,
}

/// A worker that takes tasks.
pub(crate) struct WorkerProcess {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl System {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Ported => "ported",
        }
    }
}

impl WorkerProcess {
    /// Returns when it takes tasks.
    pub(crate) async fn start(system: System, address: &str, task_queue: &str) -> Result<Self, BoxError> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["worker", system.name(), address, task_queue])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("a worker has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        match lines.next_line().await?.as_deref() {
            Some(READY) => Ok(Self { child, lines }),
            other => Err(format!("a worker does not start: {other:?}").into()),
        }
    }

    /// Ends it; answers what it took.
    pub(crate) async fn stop(mut self) -> Result<Taken, BoxError> {
        drop(self.child.stdin.take());
        let taken = self.lines.next_line().await?;
        let taken = taken.ok_or("a worker says nothing at its end")?;
        self.child.wait().await?;
        Ok(serde_json::from_str(&taken)?)
    }
}

/// The worker itself: says that it is ready, ends when its input does, and answers what it took.
pub(crate) async fn run(system: System, address: &str, task_queue: &str) -> Result<String, BoxError> {
    match system {
        System::Native => native(address, task_queue).await?,
        System::Ported => ported(address, task_queue).await?,
    }
    let taken = Taken {
        peak_mib: resident_mib()?,
        processor_ms: processor_ms()?,
    };
    Ok(serde_json::to_string(&taken)?)
}

async fn ported(address: &str, task_queue: &str) -> Result<(), BoxError> {
    let config = TemporalConfig::new(address, None, None)?.task_queue(task_queue)?;
    let registry = WorkflowRegistry::new(test_services().codec)
        .with_workflow(TakingThreeSteps)?
        .with_activity(Increment)?;
    let worker = Temporal::new(config).start_worker(registry, Arc::new(SystemClock))?;
    worker.wait_until(|health| *health == WorkerHealth::Running).await;
    println!("{READY}");
    input_ends().await;
    worker.stop().await;
    Ok(())
}

/// With the options of ours: all but these four are the SDK's defaults there and here.
async fn native(address: &str, task_queue: &str) -> Result<(), BoxError> {
    let runtime = Runtime::from_current_tokio(temporalio_sdk::runtime::RuntimeOptions::default())?;
    let options = WorkerOptions::new(task_queue)
        .register_activities(NativeActivities)
        .register_workflow::<NativeThreeSteps>()?
        .deployment_options(WorkerDeploymentOptions::from_build_id("bench".to_owned()))
        .sticky_queue_schedule_to_start_timeout(Duration::from_secs(3))
        .graceful_shutdown_period(Duration::from_secs(15))
        .detect_nondeterministic_futures(false)
        .build();
    let mut worker = Worker::new(&runtime, client(address).await?, options)?;
    let stop = worker.shutdown_handle();
    println!("{READY}");
    let (ended, ()) = tokio::join!(worker.run(), async {
        input_ends().await;
        stop();
    });
    Ok(ended?)
}

/// The SDK's client of this address.
pub(crate) async fn client(address: &str) -> Result<Client, BoxError> {
    let url = Url::parse(&format!("http://{address}"))?;
    let connection = Connection::connect(ConnectionOptions::new(url).build()).await?;
    Ok(Client::new(connection, ClientOptions::new("default").build())?)
}

async fn input_ends() {
    // An error of it is its end, too.
    let _read = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await;
}
