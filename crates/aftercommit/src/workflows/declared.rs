//! The workflows and activities that an application declares.

use std::collections::BTreeMap;

use aftercommit_domain::contract::{Cause, Codec, DecodeError, EnvelopeFactory, Json, WorkflowName};
use aftercommit_domain::events::ReadInputError;
use aftercommit_domain::workflows::{
    Activity, RegisteredTwice, StartRequest, Workflow, WorkflowInput, WorkflowRegistry,
};

/// The workflows of an application and their activities. A process that has an engine runs them; another one can start them.
#[derive(Default)]
pub struct Workflows {
    additions: Vec<Addition>,
    inputs: WorkflowInputs,
}

type Addition = Box<dyn FnOnce(WorkflowRegistry) -> Result<WorkflowRegistry, RegisteredTwice> + Send>;

impl Workflows {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// And this workflow. A name that is taken is refused when the application starts.
    pub fn workflow<W: Workflow>(mut self, workflow: W) -> Self {
        self.additions
            .push(Box::new(|registry| registry.with_workflow(workflow)));
        self.starting::<W::Input>()
    }

    /// And this activity. A name that is taken is refused when the application starts.
    pub fn activity<A: Activity>(mut self, activity: A) -> Self {
        self.additions
            .push(Box::new(|registry| registry.with_activity(activity)));
        self
    }

    /// And everything in this registry. A name that is taken is refused when the application starts. What operators can start
    /// of it is to be [`starting`](Self::starting) as well.
    pub fn registry(mut self, registry: WorkflowRegistry) -> Self {
        self.additions.push(Box::new(|known| known.and(registry)));
        self
    }

    /// And the workflow of this input, which other processes run: operators can start it from here.
    pub fn starting<I: WorkflowInput>(mut self) -> Self {
        self.inputs.0.insert(I::NAME, |input, envelopes, key, cause| {
            let input: I = envelopes.codec().read_input(input)?;
            Ok(StartRequest::new(envelopes, envelopes.new_id(), key, &input, cause)?)
        });
        self
    }

    /// These and those of `other`.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.additions.extend(other.additions);
        self.inputs.0.extend(other.inputs.0);
        self
    }

    /// What an engine runs, `None` when that is nothing, and how each is started.
    pub(crate) fn registered(
        self,
        codec: &Codec,
    ) -> Result<(Option<WorkflowRegistry>, WorkflowInputs), RegisteredTwice> {
        let registry = if self.additions.is_empty() {
            None
        } else {
            let empty = WorkflowRegistry::new(codec.clone());
            let add = |registry, addition: Addition| addition(registry);
            Some(self.additions.into_iter().try_fold(empty, add)?)
        };
        Ok((registry, self.inputs))
    }
}

/// Reads what a person wrote as JSON to start a workflow. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct WorkflowInputs(BTreeMap<WorkflowName, ReadStart>);

type ReadStart = fn(&Json, &EnvelopeFactory, &str, &Cause) -> Result<StartRequest, ReadInputError>;

impl WorkflowInputs {
    /// Whether it knows any.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it knows this one.
    pub(crate) fn knows(&self, name: &WorkflowName) -> bool {
        self.0.contains_key(name)
    }

    /// The names it knows, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &WorkflowName> {
        self.0.keys()
    }

    /// The request to start `name` under `key` with an input whose secrets stand in clear, which are sealed here.
    pub(crate) fn read(
        &self,
        (name, key): (&WorkflowName, &str),
        input: &Json,
        envelopes: &EnvelopeFactory,
        cause: &Cause,
    ) -> Result<StartRequest, ReadInputError> {
        match self.0.get(name) {
            Some(read) => read(input, envelopes, key, cause),
            None => Err(DecodeError::Unknown {
                contract: format!("the workflow {name}"),
            }
            .into()),
        }
    }
}
