//! Any workflow of the registry, as the SDK sees it.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Weak;
use std::sync::Arc;

use aftercommit_domain::workflows::{StepError, WorkflowFailure, WorkflowRegistry, WorkflowRun};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use serde_json::Value;
use temporalio_common::WorkflowDefinition;
use temporalio_common::data_converters::{PayloadConverter, RawValue};
use temporalio_common::protos::temporal::api::common::v1::{Payload, Payloads};
use temporalio_sdk::workflow_interceptors::WorkflowOutputValue;
use temporalio_sdk::workflows::{WorkflowDefinitionDescriptor, WorkflowError, WorkflowImplementation};
use temporalio_sdk::{WorkflowContext, WorkflowContextView, WorkflowTermination};

use super::drive;
use super::events::{Event, Events, Signal};
use crate::history::REQUEST_ID;
use crate::payload;

/// The one query there is for published values: its argument is the key.
pub(crate) const PUBLISHED: &str = "published";
/// The query for the steps that a run waits for.
pub(crate) const WAITING: &str = "waiting";

thread_local! {
    /// The SDK asks the type for its definition, where it has no value to ask: the name of what is being registered.
    static NAME: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Says which name the definition that is asked for next has.
pub(crate) fn register_as(name: &str) {
    NAME.with_borrow_mut(|current| name.clone_into(current));
}

pub(super) fn registered_name() -> String {
    NAME.with_borrow(Clone::clone)
}

/// Any workflow of the registry. The SDK keeps one value for each run it has in memory.
pub(crate) struct HostedWorkflow {
    /// `None` only in a value that the SDK could make for itself, and does not.
    pub(super) registry: Option<Arc<WorkflowRegistry>>,
    pub(super) events: Arc<Events>,
    pub(super) seen: Seen,
}

/// What queries see of a run. The run is not held by it: its steps hold the SDK's context, which holds this.
#[derive(Default)]
pub(super) enum Seen {
    #[default]
    Nothing,
    Open(Weak<RefCell<WorkflowRun>>),
    /// What it had published when it ended.
    Ended(BTreeMap<String, Value>),
}

impl HostedWorkflow {
    pub(crate) fn new(registry: Option<Arc<WorkflowRegistry>>) -> Self {
        Self {
            registry,
            events: Arc::default(),
            seen: Seen::Nothing,
        }
    }
}

/// The marker the SDK asks for.
pub(crate) struct HostedDefinition;

impl WorkflowDefinition for HostedDefinition {
    type Input = RawValue;
    type Output = RawValue;

    fn name(&self) -> &'static str {
        "aftercommit"
    }
}

pub(super) type Output = Box<dyn WorkflowOutputValue>;

impl WorkflowImplementation for HostedWorkflow {
    type Run = HostedDefinition;

    const HAS_INIT: bool = false;
    const INIT_TAKES_INPUT: bool = false;

    fn name() -> &'static str {
        "aftercommit"
    }

    fn definition() -> WorkflowDefinitionDescriptor {
        WorkflowDefinitionDescriptor {
            workflow_type: registered_name(),
            has_init: false,
            init_takes_input: false,
            signals: Vec::new(),
            queries: vec![PUBLISHED.to_owned(), WAITING.to_owned()],
            updates: Vec::new(),
        }
    }

    fn init(_: WorkflowContextView, _: Option<RawValue>) -> Self {
        // It is registered with a factory, so nobody calls this.
        Self::new(None)
    }

    fn run(
        ctx: WorkflowContext<Self>,
        input: Option<RawValue>,
    ) -> LocalBoxFuture<'static, Result<Output, WorkflowTermination>> {
        drive::run(ctx, input.unwrap_or_else(|| payload::raw([])))
    }

    fn decode_signal_input(
        name: &str,
        payloads: Payloads,
        _: &PayloadConverter,
    ) -> Result<Option<Box<dyn Any>>, WorkflowError> {
        let value = payload::first(&payloads.payloads)
            .map_err(|reason| StepError::from(WorkflowFailure::permanent(WorkflowFailure::MALFORMED, reason)));
        Ok(Some(Box::new(Signal {
            name: name.to_owned(),
            request_id: None,
            value,
        })))
    }

    fn dispatch_signal(
        ctx: WorkflowContext<Self>,
        _: &str,
        input: Box<dyn Any>,
    ) -> LocalBoxFuture<'static, Result<(), WorkflowError>> {
        // At once, and not when the future is polled: so that it keeps its place among what was recorded.
        if let Ok(mut signal) = input.downcast::<Signal>() {
            let request_id = ctx.headers().get(REQUEST_ID);
            signal.request_id = request_id.and_then(|id| payload::read(id).ok());
            ctx.state_mut(|hosted| hosted.events.push(Event::Signal(*signal)));
        }
        std::future::ready(Ok(())).boxed_local()
    }

    fn decode_query_input(
        name: &str,
        payloads: &Payloads,
        _: &PayloadConverter,
    ) -> Result<Option<Box<dyn Any>>, WorkflowError> {
        if ![PUBLISHED, WAITING].contains(&name) {
            return Ok(None);
        }
        let key = payloads
            .payloads
            .first()
            .and_then(|key| payload::read::<String>(key).ok());
        Ok(Some(Box::new(key)))
    }

    fn dispatch_query(&self, _: WorkflowContextView, name: &str, input: Box<dyn Any>) -> Result<Output, WorkflowError> {
        let key = input.downcast::<Option<String>>().ok().and_then(|key| *key);
        let answer = match (&self.seen, name, key) {
            (Seen::Open(run), WAITING, _) => open(run, |run| payload::of(&run.waiting())),
            (Seen::Open(run), _, Some(key)) => {
                open(run, |run| payload::of(&run.published_value(&key).map(|value| [value])))
            }
            (Seen::Open(run), _, None) => open(run, |run| payload::of(&run.published())),
            (Seen::Ended(_), WAITING, _) => payload::of(&[(); 0]),
            (Seen::Ended(published), _, Some(key)) => payload::of(&published.get(&key).map(|value| [value])),
            (Seen::Ended(published), _, None) => payload::of(published),
            (Seen::Nothing, ..) => payload::of(&Value::Null),
        };
        Ok(Box::new(payload::raw([answer])))
    }

    fn dispatch_update(
        _: WorkflowContext<Self>,
        name: &str,
        _: Box<dyn Any>,
    ) -> LocalBoxFuture<'static, Result<Output, WorkflowError>> {
        std::future::ready(Err(no_updates(name))).boxed_local()
    }

    fn validate_update(&self, _: WorkflowContextView, name: &str, _: Box<dyn Any>) -> Result<(), WorkflowError> {
        Err(no_updates(name))
    }
}

fn open(run: &Weak<RefCell<WorkflowRun>>, ask: impl FnOnce(&WorkflowRun) -> Payload) -> Payload {
    run.upgrade()
        .map_or_else(|| payload::of(&Value::Null), |run| ask(&run.borrow()))
}

fn no_updates(name: &str) -> WorkflowError {
    WorkflowError::Execution(format!("there is no update {name}: workflows are told things by signals").into())
}
