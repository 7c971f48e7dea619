//! The SDK's worker, run again and again until it is stopped.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::time::Clock;
use aftercommit_domain::workflows::WorkflowRegistry;
use futures::FutureExt;
use temporalio_client::{Client, RetryOptions};
use temporalio_common::worker::WorkerDeploymentOptions;
use temporalio_sdk::runtime::RuntimeOptions;
use temporalio_sdk::{Runtime, Worker as SdkWorker, WorkerOptions};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::activities::HostedActivities;
use super::hosted::{HostedWorkflow, register_as};
use super::presence::PULSE;
use super::{Answers, FIRST_WAIT, LONGEST_WAIT, Stop, WorkerHealth};
use crate::config::TemporalConfig;
use crate::connection;

/// How often a running worker looks whether the server is still there.
pub(super) const LOOK: Duration = Duration::from_secs(5);
/// How long activities have to end after they were told to.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);

pub(super) struct Worker {
    pub(super) answers: Arc<Answers>,
    pub(super) config: TemporalConfig,
    pub(super) registry: Arc<WorkflowRegistry>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stopped: watch::Receiver<Stop>,
    pub(super) health: watch::Sender<WorkerHealth>,
}

impl Worker {
    /// Runs until it is stopped.
    pub(super) async fn run_until_stopped(self) {
        let answers = Arc::clone(&self.answers);
        tokio::select! {
            () = self.supervise() => {}
            () = show_that_nothing_blocks(&answers) => {}
        }
    }

    async fn supervise(self) {
        let mut backoff = Backoff(FIRST_WAIT);
        while *self.stopped.borrow() == Stop::GoOn {
            let mut stopped = self.stopped.clone();
            let began = Instant::now();
            let ran = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped == Stop::Now) => break,
                ran = AssertUnwindSafe(self.run()).catch_unwind() => ran,
            };
            let reason = match ran {
                Ok(Ok(())) if *self.stopped.borrow() > Stop::GoOn => break,
                Ok(Ok(())) => "the worker ended unasked".to_owned(),
                Ok(Err(reason)) => reason,
                Err(_panic) => "the worker panicked".to_owned(),
            };
            tracing::warn!(reason, "a worker of Temporal ended; it is started again");
            self.tell(WorkerHealth::Failing(reason));
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped > Stop::GoOn) => {}
                () = sleep(backoff.after(began.elapsed())) => {}
            }
        }
        self.tell(WorkerHealth::Stopped);
    }

    fn tell(&self, health: WorkerHealth) {
        self.health.send_if_modified(|current| {
            let is_new = *current != health;
            *current = health;
            is_new
        });
    }

    /// `Ok`: it was stopped.
    async fn run(&self) -> Result<(), String> {
        let (tell_over, is_over) = watch::channel(false);
        let mut stopped = self.stopped.clone();
        let client = tokio::select! {
            client = self.connect() => client?,
            _ = stopped.wait_for(|stopped| *stopped > Stop::GoOn) => return Ok(()),
        };
        let runtime = Runtime::from_current_tokio(RuntimeOptions::default()).map_err(|error| said(&error))?;
        let mut worker =
            SdkWorker::new(&runtime, client.clone(), self.options(is_over)?).map_err(|error| said(&error))?;
        let stop = worker.shutdown_handle();
        let running = worker.run();
        tokio::pin!(running);
        self.tell(WorkerHealth::Running);
        tokio::select! {
            ended = &mut running => return ended.map_err(|error| said(&error)),
            () = self.watch(client) => {}
            _ = stopped.wait_for(|stopped| *stopped > Stop::GoOn) => {}
        }
        stop();
        let grace = self.config.grace + LAST_WORDS;
        if let Ok(ended) = timeout(grace, &mut running).await {
            return ended.map_err(|error| said(&error));
        }
        // Activities that took no notice are dropped; the server gives them to another worker.
        let _nobody = tell_over.send(true);
        match timeout(LAST_WORDS, running).await {
            Ok(ended) => ended.map_err(|error| said(&error)),
            Err(_elapsed) => Ok(()),
        }
    }

    async fn connect(&self) -> Result<Client, String> {
        let client = connection::connect(&self.config, RetryOptions::default()).await;
        let client = client.map_err(|error| error.to_string())?;
        // What it says of a namespace that is not there is clearer than what the worker does.
        let namespace = connection::namespace_is_there(&client, &self.config).await;
        namespace.map(|()| client).map_err(|error| error.to_string())
    }

    fn options(&self, is_over: watch::Receiver<bool>) -> Result<WorkerOptions, String> {
        let mut options = WorkerOptions::new(self.config.task_queue.clone())
            .register_activities(HostedActivities {
                registry: Arc::clone(&self.registry),
                clock: Arc::clone(&self.clock),
                stopped: self.stopped.clone(),
                is_over,
            })
            // The default reads the whole program, and nothing here goes by it.
            .deployment_options(WorkerDeploymentOptions::from_build_id(
                env!("CARGO_PKG_VERSION").to_owned(),
            ))
            .sticky_queue_schedule_to_start_timeout(self.config.sticky_timeout)
            .graceful_shutdown_period(self.config.grace)
            // As often as an attempt asks whether it is to end.
            .max_heartbeat_throttle_interval(PULSE)
            // A run is only woken by its steps: what is no step is found by the port itself, and at once.
            .detect_nondeterministic_futures(false)
            .build();
        for name in self.registry.workflow_names() {
            register_as(name.as_str());
            let registry = Arc::clone(&self.registry);
            options
                .register_workflow_with_factory::<HostedWorkflow, _>(move || {
                    HostedWorkflow::new(Some(Arc::clone(&registry)))
                })
                .map_err(|error| said(&error))?;
        }
        Ok(options)
    }

    /// The SDK waits in silence for a server that is away. Never returns.
    async fn watch(&self, client: Client) {
        loop {
            sleep(LOOK).await;
            match connection::namespace_is_there(&client, &self.config).await {
                Ok(()) => self.tell(WorkerHealth::Running),
                Err(error) => self.tell(WorkerHealth::Failing(error.to_string())),
            }
        }
    }
}

/// As long as the thread does not come to it, the code of a workflow holds it. Never returns.
async fn show_that_nothing_blocks(answers: &Answers) {
    loop {
        answers.note(Instant::now());
        sleep(LOOK).await;
    }
}

/// How long the next wait is.
struct Backoff(Duration);

impl Backoff {
    /// The wait after a worker that ran this long: only one that lasted lets the waits begin anew.
    fn after(&mut self, ran: Duration) -> Duration {
        let wait = if ran < LONGEST_WAIT { self.0 } else { FIRST_WAIT };
        self.0 = (wait * 2).min(LONGEST_WAIT);
        wait
    }
}

/// An error and its causes.
fn said(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_ends_again_and_again_is_started_later_and_later() {
        let mut backoff = Backoff(FIRST_WAIT);
        let waits = [0; 8].map(|_| backoff.after(Duration::from_secs(1)));
        assert_eq!(waits[..2], [FIRST_WAIT, FIRST_WAIT * 2]);
        assert_eq!(waits[7], LONGEST_WAIT);
        assert_eq!(backoff.after(LONGEST_WAIT), FIRST_WAIT, "it had run for long");
    }
}
