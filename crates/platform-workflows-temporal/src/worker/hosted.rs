//! Any workflow of the registry, as the SDK sees it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aftercommit_domain::contract::{Json, Limits, RunId, WorkflowEnvelope};
use aftercommit_domain::failure::Classified;
use aftercommit_domain::time::{Timestamp, to_micros};
use aftercommit_domain::workflows::{
    Exit, RunInfo, RunProgress, StepError, WorkflowFailure, WorkflowHost, WorkflowId, WorkflowProblem,
    WorkflowRegistry, WorkflowRun,
};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use temporalio_common::WorkflowDefinition;
use temporalio_common::data_converters::{PayloadConverter, RawValue};
use temporalio_common::protos::temporal::api::common::v1::{Payload, Payloads};
use temporalio_sdk::workflow_interceptors::WorkflowOutputValue;
use temporalio_sdk::workflows::{WorkflowDefinitionDescriptor, WorkflowError, WorkflowImplementation};
use temporalio_sdk::{ContinueAsNewOptions, WorkflowContext, WorkflowContextView, WorkflowTermination};
use uuid::Uuid;

use super::events::{Event, Events, Signal};
use super::host::RunHost;
use crate::{failure, payload};

/// The one query there is for published values: its argument is the key.
pub(crate) const PUBLISHED: &str = "published";
/// The query for the steps that a run waits for.
pub(crate) const WAITING: &str = "waiting";

thread_local! {
    /// The SDK asks the type for its definition, where it has no value to ask: the name of what is being registered.
    static NAME: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Says which name the definition that is asked for next has.
pub(super) fn register_as(name: &str) {
    NAME.with_borrow_mut(|current| name.clone_into(current));
}

pub(super) fn registered_name() -> String {
    NAME.with_borrow(Clone::clone)
}

/// Any workflow of the registry. The SDK keeps one value for each run it has in memory.
pub(super) struct HostedWorkflow {
    /// `None` only in a value that the SDK could make for itself, and does not.
    registry: Option<Arc<WorkflowRegistry>>,
    events: Arc<Events>,
    run: Rc<RefCell<Option<WorkflowRun>>>,
}

impl HostedWorkflow {
    pub(super) fn new(registry: Option<Arc<WorkflowRegistry>>) -> Self {
        Self {
            registry,
            events: Arc::default(),
            run: Rc::default(),
        }
    }
}

/// What follows the envelope when a run goes on as a new one.
#[derive(Serialize, Deserialize)]
struct Carried {
    /// Unread signals, the oldest first.
    signals: Vec<CarriedSignal>,
}

#[derive(Serialize, Deserialize)]
struct CarriedSignal {
    name: String,
    value: Result<Value, WorkflowFailure>,
}

/// The marker the SDK asks for.
pub(super) struct HostedDefinition;

impl WorkflowDefinition for HostedDefinition {
    type Input = RawValue;
    type Output = RawValue;

    fn name(&self) -> &'static str {
        "aftercommit"
    }
}

type Output = Box<dyn WorkflowOutputValue>;

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
        async move {
            let host = match begin(&ctx, input.unwrap_or_else(|| payload::raw([]))) {
                Ok(host) => host,
                Err(problem) => return stuck(&ctx, &problem).await,
            };
            let progress = drive(&ctx, &host).await;
            match progress {
                RunProgress::Ended(end) => ended(&ctx, &host, end),
                RunProgress::Stuck(problem) => stuck(&ctx, &problem).await,
                RunProgress::Waiting => stuck(&ctx, &WorkflowProblem::ForeignAwait).await,
            }
        }
        .boxed_local()
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
            value,
        })))
    }

    fn dispatch_signal(
        ctx: WorkflowContext<Self>,
        _: &str,
        input: Box<dyn Any>,
    ) -> LocalBoxFuture<'static, Result<(), WorkflowError>> {
        // At once, and not when the future is polled: so that it keeps its place among what was recorded.
        if let Ok(signal) = input.downcast::<Signal>() {
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
        let run = self.run.borrow();
        let answer = match (run.as_ref(), name, key) {
            (Some(run), WAITING, _) => payload::of(&run.waiting()),
            (Some(run), _, Some(key)) => payload::of(&run.published_value(&key).map(|value| [value])),
            (Some(run), _, None) => payload::of(&run.published()),
            (None, ..) => payload::of(&Value::Null),
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

fn no_updates(name: &str) -> WorkflowError {
    WorkflowError::Execution(format!("there is no update {name}: workflows are told things by signals").into())
}

/// Reads what the run was started with, and begins its code.
fn begin(ctx: &WorkflowContext<HostedWorkflow>, input: RawValue) -> Result<Arc<RunHost>, WorkflowProblem> {
    let (registry, events, run) = ctx.state(|hosted| {
        let HostedWorkflow { registry, events, run } = hosted;
        (registry.clone(), Arc::clone(events), Rc::clone(run))
    });
    let registry = registry.ok_or_else(|| WorkflowProblem::Engine {
        reason: "the worker has no workflows".to_owned(),
    })?;
    let view = ctx.info();
    let unreadable = |reason: String| WorkflowProblem::Unreadable {
        name: view.workflow_type().to_owned(),
        reason,
    };
    let mut payloads = input.payloads.into_iter();
    let envelope = payloads.next().ok_or_else(|| unreadable("there is none".to_owned()))?;
    let envelope = payload::bytes(&envelope).map_err(unreadable)?;
    let envelope =
        WorkflowEnvelope::decode(envelope, registry.codec().limits()).map_err(|error| unreadable(error.to_string()))?;
    let carried = payloads.next().map(|carried| payload::read::<Carried>(&carried));
    let carried = carried.transpose().map_err(unreadable)?;
    let unread = carried
        .into_iter()
        .flat_map(|carried| carried.signals)
        .map(|signal| Signal {
            name: signal.name,
            value: signal.value.map_err(StepError::from),
        });
    let workflow_id: WorkflowId = view
        .workflow_id()
        .parse()
        .map_err(|error| unreadable(format!("its id {} is none of ours: {error}", view.workflow_id())))?;
    let run_id = RunId::new(view.run_id()).map_err(|error| unreadable(error.to_string()))?;
    if workflow_id.name().as_str() != view.workflow_type() {
        return Err(unreadable(format!("its id says that it is {}", workflow_id.name())));
    }
    let cause = cause_of(&envelope);
    let info = RunInfo {
        workflow_id,
        run_id,
        started_at: started_at(&view),
        seed: Uuid::from_u128(ctx.random::<u128>()),
        input: envelope,
    };
    let host = Arc::new(RunHost::new(ctx.clone(), cause, events, unread.collect()));
    let begun = WorkflowRun::new(&registry, info, Arc::clone(&host) as Arc<dyn WorkflowHost>)?;
    run.replace(Some(begun));
    Ok(host)
}

/// What activities are handed so that they know why they exist: the envelope without what is in it.
fn cause_of(envelope: &WorkflowEnvelope) -> Payload {
    let empty = Json::parse("null".to_owned(), &Limits::default());
    let text = empty.map(|payload| {
        let cause = WorkflowEnvelope {
            payload,
            ..envelope.clone()
        };
        cause.encode()
    });
    payload::of_text(text.unwrap_or_else(|_| "null".to_owned()))
}

fn started_at(view: &WorkflowContextView) -> Timestamp {
    view.start_time()
        .map_or(Timestamp::UNIX_EPOCH, |time| to_micros(time.into()))
}

/// Hands the run one thing after the other, and polls it after each, until it ends or cannot go on.
async fn drive(ctx: &WorkflowContext<HostedWorkflow>, host: &RunHost) -> RunProgress {
    let (events, run) = ctx.state(|hosted| (Arc::clone(&hosted.events), Rc::clone(&hosted.run)));
    let is_first = Cell::new(true);
    poll_fn(|_| {
        // The SDK also polls when there is nothing new.
        while is_first.take() || deliver(&events, host, &run) {
            // Nobody is woken by it: what the run may wait for is in the events, and everything else is a mistake.
            let progress = match run.borrow_mut().as_mut() {
                Some(run) => run.poll(&mut Context::from_waker(Waker::noop())),
                None => return Poll::Ready(RunProgress::Waiting),
            };
            host.forget_read();
            if progress != RunProgress::Waiting {
                return Poll::Ready(progress);
            }
        }
        Poll::Pending
    })
    .await
}

/// Whether there was anything that the run is to see.
fn deliver(events: &Events, host: &RunHost, run: &RefCell<Option<WorkflowRun>>) -> bool {
    while let Some(event) = events.pop() {
        let is_seen = match event {
            Event::Step(number) => host.deliver_step(number),
            Event::Signal(signal) => host.deliver_signal(signal),
            Event::Cancelled => {
                host.cancellation_is_known();
                if let Some(run) = &*run.borrow() {
                    run.cancel();
                }
                true
            }
        };
        if is_seen {
            return true;
        }
    }
    false
}

fn ended(
    ctx: &WorkflowContext<HostedWorkflow>,
    host: &RunHost,
    end: Result<Value, Exit>,
) -> Result<Output, WorkflowTermination> {
    match end {
        Ok(answer) => Ok(Box::new(payload::raw([payload::of(&answer)]))),
        Err(Exit::Failed(failure)) => Err(failure::application(failure, None).into()),
        Err(Exit::Cancelled) => Err(WorkflowTermination::cancelled()),
        Err(Exit::ContinueAsNew(envelope)) => {
            let signals = host.take_unread().into_iter().map(|signal| CarriedSignal {
                name: signal.name,
                value: signal.value.map_err(|error| match error {
                    StepError::Failed(failure) => failure,
                    StepError::Cancelled => WorkflowFailure::permanent(WorkflowFailure::MALFORMED, "cancelled"),
                }),
            });
            let carried = Carried {
                signals: signals.collect(),
            };
            let input = payload::raw([payload::of_text(envelope.encode()), payload::of(&carried)]);
            match ctx.continue_as_new(input, ContinueAsNewOptions::default())? {}
        }
    }
}

/// Leaves the run open: the server tries the task again, later and later, until a build without the mistake does it. What
/// stands in the history is how [`WorkflowQuerier::describe`](aftercommit_domain::workflows::WorkflowQuerier::describe)
/// knows.
async fn stuck(
    ctx: &WorkflowContext<HostedWorkflow>,
    problem: &WorkflowProblem,
) -> Result<Output, WorkflowTermination> {
    ctx.force_task_fail(crate::problem::text(problem.code(), &problem.to_string()));
    std::future::pending().await
}
