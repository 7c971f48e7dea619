//! The workflows and activities of a program, by name.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde_json::Value;

use crate::contract::{ActivityName, Codec, WorkflowEnvelope, WorkflowName};
use crate::workflows::run::{RunFuture, panic_message};
use crate::workflows::{
    Activity, ActivityContext, ActivityError, Exit, Workflow, WorkflowContext, WorkflowFailure, WorkflowProblem, values,
};

/// The workflows and activities of a program, by name: what an engine runs.
#[derive(Clone)]
pub struct WorkflowRegistry {
    codec: Codec,
    workflows: BTreeMap<WorkflowName, Arc<dyn DynWorkflow>>,
    activities: BTreeMap<ActivityName, Arc<dyn DynActivity>>,
}

/// Two of one name were registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two {what} of the name {name} were registered; a name stands for one of them in every history")]
pub struct RegisteredTwice {
    what: &'static str,
    name: String,
}

impl WorkflowRegistry {
    /// An empty one, which reads and writes with `codec`.
    pub const fn new(codec: Codec) -> Self {
        Self {
            codec,
            workflows: BTreeMap::new(),
            activities: BTreeMap::new(),
        }
    }

    /// Adds a workflow.
    ///
    /// # Errors
    /// Its name is taken.
    pub fn with_workflow<W: Workflow>(mut self, workflow: W) -> Result<Self, RegisteredTwice> {
        let known = self
            .workflows
            .insert(W::NAME, Arc::new(TypedWorkflow(Arc::new(workflow))));
        refuse(known.is_some(), "workflows", W::NAME.as_str())?;
        Ok(self)
    }

    /// Adds an activity.
    ///
    /// # Errors
    /// Its name is taken.
    pub fn with_activity<A: Activity>(mut self, activity: A) -> Result<Self, RegisteredTwice> {
        let activity = TypedActivity {
            activity: Arc::new(activity),
            codec: self.codec.clone(),
        };
        let known = self.activities.insert(A::NAME, Arc::new(activity));
        refuse(known.is_some(), "activities", A::NAME.as_str())?;
        Ok(self)
    }

    /// Adds what is in `other`, which from now on reads and writes as this one does, but for its activities.
    ///
    /// # Errors
    /// A name is in both.
    pub fn and(mut self, other: Self) -> Result<Self, RegisteredTwice> {
        for (name, workflow) in other.workflows {
            let known = self.workflows.insert(name.clone(), workflow);
            refuse(known.is_some(), "workflows", name.as_str())?;
        }
        for (name, activity) in other.activities {
            let known = self.activities.insert(name.clone(), activity);
            refuse(known.is_some(), "activities", name.as_str())?;
        }
        Ok(self)
    }

    /// What it reads and writes with.
    pub const fn codec(&self) -> &Codec {
        &self.codec
    }

    /// The workflow of this name.
    pub fn workflow(&self, name: &WorkflowName) -> Option<&Arc<dyn DynWorkflow>> {
        self.workflows.get(name)
    }

    /// The activity of this name.
    pub fn activity(&self, name: &ActivityName) -> Option<&Arc<dyn DynActivity>> {
        self.activities.get(name)
    }

    /// The names of the workflows, in order.
    pub fn workflow_names(&self) -> impl Iterator<Item = &WorkflowName> {
        self.workflows.keys()
    }

    /// The names of the activities, in order.
    pub fn activity_names(&self) -> impl Iterator<Item = &ActivityName> {
        self.activities.keys()
    }
}

fn refuse(is_known: bool, what: &'static str, name: &str) -> Result<(), RegisteredTwice> {
    if is_known {
        let name = name.to_owned();
        return Err(RegisteredTwice { what, name });
    }
    Ok(())
}

/// A workflow whose types are forgotten.
pub trait DynWorkflow: Send + Sync {
    /// Reads the input and begins the code.
    ///
    /// # Errors
    /// [`WorkflowProblem::Unreadable`].
    fn begin(
        &self,
        ctx: WorkflowContext,
        input: &WorkflowEnvelope,
        codec: &Codec,
    ) -> Result<RunFuture, WorkflowProblem>;
}

struct TypedWorkflow<W>(Arc<W>);

impl<W: Workflow> DynWorkflow for TypedWorkflow<W> {
    fn begin(
        &self,
        ctx: WorkflowContext,
        input: &WorkflowEnvelope,
        codec: &Codec,
    ) -> Result<RunFuture, WorkflowProblem> {
        let WorkflowEnvelope {
            id,
            version,
            tenant,
            payload,
            ..
        } = input;
        let read = codec.decode::<W::Input>(payload, *version, tenant, *id);
        let input = read.map_err(|error| WorkflowProblem::Unreadable {
            name: W::NAME.to_string(),
            reason: error.to_string(),
        })?;
        let (workflow, limits) = (Arc::clone(&self.0), *codec.limits());
        Ok(Box::pin(async move {
            let output = workflow.run(&ctx, input).await?;
            values::write(&output, &limits, format_args!("the answer of the workflow {}", W::NAME))
                .map_err(Exit::Failed)
        }))
    }
}

/// An activity whose types are forgotten.
pub trait DynActivity: Send + Sync {
    /// Runs one attempt. Never panics: a panic of the activity is a failure of the kind
    /// [`WorkflowFailure::PANICKED`]. An engine bounds its time, and drops it when that is over.
    fn run(&self, input: Value, ctx: ActivityContext) -> AttemptFuture;
}

/// What an attempt of an activity comes to.
pub type AttemptFuture = Pin<Box<dyn Future<Output = Result<Value, ActivityError>> + Send>>;

struct TypedActivity<A> {
    activity: Arc<A>,
    codec: Codec,
}

impl<A: Activity> DynActivity for TypedActivity<A> {
    fn run(&self, input: Value, ctx: ActivityContext) -> AttemptFuture {
        let (activity, limits) = (Arc::clone(&self.activity), *self.codec.limits());
        Box::pin(CatchPanic(Box::pin(async move {
            let input = values::read(input)?;
            let output = activity.run(input, &ctx).await?;
            Ok(values::write(
                &output,
                &limits,
                format_args!("the answer of the activity {}", A::NAME),
            )?)
        })))
    }
}

/// Makes a panic a failed attempt.
struct CatchPanic(AttemptFuture);

impl Future for CatchPanic {
    type Output = Result<Value, ActivityError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))).unwrap_or_else(|panic| {
            let failure = WorkflowFailure::retryable(WorkflowFailure::PANICKED, panic_message(&*panic));
            Poll::Ready(Err(failure.into()))
        })
    }
}
