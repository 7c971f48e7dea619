//! Workflows that do one thing, right or wrong.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use aftercommit_domain::contract::{ActivityName, BoundedText, OrganizationId, Payload, ProjectId, Sealed, SignalName};
use aftercommit_domain::tasks::RetryPolicy;
use aftercommit_domain::workflows::{
    Activity, ActivityContext, ActivityError, ActivityOptions, Either, Exit, StepError, Workflow, WorkflowContext,
    WorkflowInput, WorkflowSignal,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::environment::{organization, project};

/// What the tests' workflows are started with.
#[derive(Debug, Clone, Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "scripted", version = 1)]
pub(crate) struct Scripted {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    pub(crate) script: Script,
}

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Payload)]
pub(crate) enum Script {
    /// Calls the activity and answers what it answered.
    Count,
    /// Calls an activity that nobody registered.
    CallTheUnknown,
    /// Takes a signal, then counts.
    CountWhenTold,
    /// Awaits what is no step.
    AwaitForeign,
    Panic,
    /// Calls an activity that runs until it is told to end.
    Linger,
    /// Takes a signal, and goes on as `CountSignals`.
    CountSignalsAsNew,
    /// Takes signals until a second brings none, and answers how many there were.
    CountSignals,
    /// Runs `Race` as a child.
    RaceInAChild,
    /// Answers 1 when a second has passed, and 2 when it is told so before.
    Race,
    /// Counts until it is to go on as a new run, and answers how far it came: 100 at most.
    CountUntilLong,
}

impl Scripted {
    pub(crate) fn new(script: Script) -> Self {
        Self {
            organization_id: organization(),
            project_id: project(),
            script,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GoOn;

impl WorkflowSignal for GoOn {
    const NAME: SignalName = SignalName::constant("go-on");
}

/// The code of [`Scripted`]; `is_changed` is a build that does something else before everything.
#[derive(Default)]
pub(crate) struct ScriptedWorkflow {
    pub(crate) is_changed: bool,
    /// Held by every run in memory.
    pub(crate) runs: Arc<()>,
}

#[async_trait]
impl Workflow for ScriptedWorkflow {
    type Input = Scripted;
    type Output = u32;

    async fn run(&self, ctx: &WorkflowContext, input: Scripted) -> Result<u32, Exit> {
        let _held = Arc::clone(&self.runs);
        if self.is_changed {
            ctx.sleep(Duration::from_secs(1)).await?;
        }
        let options = ActivityOptions {
            retry: RetryPolicy {
                base: Duration::from_millis(10),
                max_attempts: 2,
                ..RetryPolicy::default()
            },
            ..ActivityOptions::default()
        };
        match input.script {
            Script::Count => Ok(ctx.activity::<Counting>(&(), options).await?),
            Script::CallTheUnknown => Ok(ctx.activity::<Unregistered>(&(), options).await?),
            Script::CountWhenTold => {
                let before = ctx.activity::<Counting>(&(), options).await?;
                ctx.wait_signal::<GoOn>().await?;
                Ok(before + ctx.activity::<Counting>(&(), options).await?)
            }
            Script::AwaitForeign => {
                pending::<()>().await;
                Ok(0)
            }
            Script::Panic => panic!("on purpose"),
            Script::CountSignalsAsNew => {
                ctx.wait_signal::<GoOn>().await?;
                Err(ctx.continue_as_new(&Scripted::new(Script::CountSignals)))
            }
            Script::CountSignals => {
                ctx.wait_signal::<GoOn>().await?;
                let mut count = 1;
                while let Either::First(told) = second_or_told(ctx).await {
                    told?;
                    count += 1;
                }
                Ok(count)
            }
            Script::Race => match ctx
                .either(ctx.sleep(Duration::from_secs(1)), ctx.wait_signal::<GoOn>())
                .await
            {
                Either::First(slept) => slept.map(|()| 1).map_err(Exit::from),
                Either::Second(told) => told.map(|_| 2).map_err(Exit::from),
            },
            Script::RaceInAChild => Ok(ctx
                .child::<ScriptedWorkflow>("child", &Scripted::new(Script::Race))
                .await?),
            Script::CountUntilLong => {
                let mut count = 0;
                while !ctx.should_continue_as_new() && count < 100 {
                    count = ctx.activity::<Counting>(&(), options).await?;
                }
                Ok(count)
            }
            Script::Linger => Ok(ctx.activity::<Lingering>(&(), options).await?),
        }
    }
}

async fn second_or_told(ctx: &WorkflowContext) -> Either<Result<GoOn, StepError>, Result<(), StepError>> {
    ctx.either(ctx.wait_signal::<GoOn>(), ctx.sleep(Duration::from_secs(1)))
        .await
}

/// Counts how often it was called.
#[derive(Clone, Default)]
pub(crate) struct Counting {
    pub(crate) calls: Arc<AtomicU32>,
}

#[async_trait]
impl Activity for Counting {
    type Input = ();
    type Output = u32;

    const NAME: ActivityName = ActivityName::constant("counting");

    async fn run(&self, (): (), _: &ActivityContext) -> Result<u32, ActivityError> {
        Ok(self.calls.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

pub(crate) struct Unregistered;

#[async_trait]
impl Activity for Unregistered {
    type Input = ();
    type Output = u32;

    const NAME: ActivityName = ActivityName::constant("unregistered");

    async fn run(&self, (): (), _: &ActivityContext) -> Result<u32, ActivityError> {
        Ok(0)
    }
}

/// Begins, and ends when it is told to.
#[derive(Clone, Default)]
pub(crate) struct Lingering {
    pub(crate) has_begun: Arc<AtomicBool>,
    pub(crate) was_told: Arc<AtomicBool>,
}

#[async_trait]
impl Activity for Lingering {
    type Input = ();
    type Output = u32;

    const NAME: ActivityName = ActivityName::constant("lingering");

    async fn run(&self, (): (), ctx: &ActivityContext) -> Result<u32, ActivityError> {
        if self.has_begun.swap(true, Ordering::SeqCst) {
            return Ok(ctx.attempt());
        }
        ctx.cancellation().cancelled().await;
        self.was_told.store(true, Ordering::SeqCst);
        pending().await
    }
}

/// What is told to nobody.
#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "secret", version = 1)]
pub(crate) struct Secret {
    organization_id: OrganizationId,
    project_id: ProjectId,
    link: Sealed<BoundedText<100>>,
}

impl Secret {
    pub(crate) fn new(link: &str) -> Self {
        Self {
            organization_id: organization(),
            project_id: project(),
            link: Sealed::new(BoundedText::new(link).unwrap()),
        }
    }
}

/// Answers how long the secret is.
pub(crate) struct SecretWorkflow;

#[async_trait]
impl Workflow for SecretWorkflow {
    type Input = Secret;
    type Output = usize;

    async fn run(&self, _: &WorkflowContext, input: Secret) -> Result<usize, Exit> {
        Ok(input.link.expose().as_str().len())
    }
}
