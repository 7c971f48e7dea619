//! `WorkflowStarter` on Temporal.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use aftercommit_domain::contract::{OrganizationId, ProjectId, RunId, Tenant};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::workflows::{
    IdReuse, SignalRequest, StartRequest, StopRequest, WorkflowId, WorkflowRequestError, WorkflowStartError,
    WorkflowStarter,
};
use async_trait::async_trait;
use temporalio_client::Client;
use temporalio_client::grpc::WorkflowService;
use temporalio_common::protos::temporal::api::common::v1::{
    Header, Memo, Payload, SearchAttributes, WorkflowExecution, WorkflowType,
};
use temporalio_common::protos::temporal::api::enums::v1::{WorkflowIdConflictPolicy, WorkflowIdReusePolicy};
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    RequestCancelWorkflowExecutionRequest, SignalWithStartWorkflowExecutionRequest, SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest, TerminateWorkflowExecutionRequest,
};

use crate::Temporal;
use crate::call::Refusal;
use crate::history::{REQUEST_ID, Told};
use crate::payload;
use crate::querier::Newest;

/// What the names of our search attributes begin with.
const ATTRIBUTES: &str = "Aftercommit";

/// The field of the memo that holds the id of the request a run was started by.
pub(crate) const MEMO_REQUEST: &str = "request_id";

#[async_trait]
impl WorkflowStarter for Temporal {
    async fn start(&self, request: StartRequest) -> Result<RunId, WorkflowStartError> {
        self.check_id(&request.id)
            .map_err(|refusal| start_error(&request.id, None, refusal))?;
        // Nearly every start is the first of its id, and needs this one call.
        let first = self
            .start_execution(&request, WorkflowIdReusePolicy::RejectDuplicate)
            .await;
        let taken_by = match first {
            Err(Refusal::AlreadyExists(run)) => run,
            other => return other.map_err(|refusal| start_error(&request.id, None, refusal)),
        };
        let failed = |refusal| start_error(&request.id, None, refusal);
        if let Some(run_id) = self.run_of(&request.id, request.request_id()).await.map_err(failed)? {
            return Ok(run_id);
        }
        let newest = self.newest(&request.id).await.map_err(failed)?;
        let is_open = newest.as_ref().is_some_and(|newest| newest.is_open);
        let taken_by = newest.map(|newest| newest.run_id).or(taken_by);
        if is_open || request.reuse == IdReuse::OnceEver {
            return Err(start_error(&request.id, taken_by, Refusal::AlreadyExists(None)));
        }
        let again = self
            .start_execution(&request, WorkflowIdReusePolicy::AllowDuplicate)
            .await;
        again.map_err(|refusal| start_error(&request.id, taken_by, refusal))
    }

    async fn signal(&self, request: SignalRequest) -> Result<(), WorkflowRequestError> {
        let SignalRequest {
            id,
            request_id,
            name,
            payload,
        } = &request;
        let call = SignalWorkflowExecutionRequest {
            namespace: self.config().namespace.clone(),
            workflow_execution: Some(newest_run(id)),
            signal_name: name.to_string(),
            input: Some(payload::all([payload::of(payload)])),
            identity: self.config().identity.clone(),
            request_id: request_id.to_string(),
            header: Some(header(*request_id)),
            ..SignalWorkflowExecutionRequest::default()
        };
        let told = self
            .connection
            .call(<Client as WorkflowService>::signal_workflow_execution, call)
            .await;
        self.or_told_before(id, told.map(drop), &Told::Signal(*request_id), "signal")
            .await
    }

    async fn signal_with_start(&self, start: StartRequest, signal: SignalRequest) -> Result<RunId, WorkflowStartError> {
        let failed = |refusal| start_error(&start.id, None, refusal);
        if start.id != signal.id || start.request_id() != signal.request_id {
            let reason = "the start and the signal are not one request to one workflow";
            return Err(failed(Refusal::Invalid(reason.to_owned())));
        }
        self.check_id(&start.id).map_err(failed)?;
        // The server knows what an open run was told, and nothing of closed ones: only then is there something to look for.
        let newest = self.newest(&start.id).await.map_err(failed)?;
        if let Some(closed) = newest.filter(|newest| !newest.is_open) {
            if let Some(run_id) = self.run_of(&start.id, signal.request_id).await.map_err(failed)? {
                return Ok(run_id);
            }
            let told = Told::Signal(signal.request_id);
            let was_told = self.connection.was_told(&start.id, closed.run_id.as_str(), &told).await;
            if was_told.map_err(failed)? {
                return Ok(closed.run_id);
            }
        }
        let told = self.with_attributes_or_without(async || {
            let call = self.signal_with_start_request(&start, &signal);
            let method = <Client as WorkflowService>::signal_with_start_workflow_execution;
            run_id(self.connection.call(method, call).await?.run_id)
        });
        match told.await {
            Ok(run_id) => Ok(run_id),
            Err(Refusal::AlreadyExists(run)) => Err(start_error(&start.id, run, Refusal::AlreadyExists(None))),
            Err(refusal) => Err(failed(refusal)),
        }
    }

    async fn cancel(&self, request: StopRequest) -> Result<(), WorkflowRequestError> {
        let call = RequestCancelWorkflowExecutionRequest {
            namespace: self.config().namespace.clone(),
            workflow_execution: Some(newest_run(&request.id)),
            // The history keeps this, and not the request's id.
            identity: format!("{} {}", self.config().identity, request.request_id),
            request_id: request.request_id.to_string(),
            reason: request.reason.to_string(),
            ..RequestCancelWorkflowExecutionRequest::default()
        };
        let method = <Client as WorkflowService>::request_cancel_workflow_execution;
        // The server takes it without a word when the workflow has closed.
        let told = match self.connection.call(method, call).await {
            Ok(_) => self.is_open(&request.id).await,
            Err(refusal) => Err(refusal),
        };
        self.or_told_before(&request.id, told, &Told::Cancel(request.request_id), "cancel")
            .await
    }

    async fn terminate(&self, request: StopRequest) -> Result<(), WorkflowRequestError> {
        let call = TerminateWorkflowExecutionRequest {
            namespace: self.config().namespace.clone(),
            workflow_execution: Some(newest_run(&request.id)),
            reason: request.reason.to_string(),
            details: Some(payload::all([payload::of(&request.request_id.to_string())])),
            identity: self.config().identity.clone(),
            ..TerminateWorkflowExecutionRequest::default()
        };
        let method = <Client as WorkflowService>::terminate_workflow_execution;
        let told = self.connection.call(method, call).await.map(drop);
        self.or_told_before(&request.id, told, &Told::Terminate(request.request_id), "terminate")
            .await
    }
}

impl Temporal {
    /// The stores of some servers take shorter ids than the port, and say so with a code that promises a later success.
    fn check_id(&self, id: &WorkflowId) -> Result<(), Refusal> {
        let (bytes, most) = (id.to_string().len(), self.config().max_id_bytes);
        if bytes > most {
            let reason = format!("its id has {bytes} bytes, and the server is taken to hold {most}");
            return Err(Refusal::Invalid(reason));
        }
        Ok(())
    }

    async fn start_execution(&self, request: &StartRequest, reuse: WorkflowIdReusePolicy) -> Result<RunId, Refusal> {
        self.with_attributes_or_without(|| self.start_once(request, reuse))
            .await
    }

    /// Once more where the namespace turned out to have no search attributes of ours.
    async fn with_attributes_or_without<F>(&self, call: impl Fn() -> F) -> Result<RunId, Refusal>
    where
        F: Future<Output = Result<RunId, Refusal>>,
    {
        match call().await {
            Err(Refusal::Invalid(reason)) if reason.contains(ATTRIBUTES) => {
                tracing::warn!(
                    reason,
                    "the namespace does not index tenants: they are in the memo alone"
                );
                self.connection.has_no_attributes.store(true, Ordering::Relaxed);
                call().await
            }
            called => called,
        }
    }

    async fn start_once(&self, request: &StartRequest, reuse: WorkflowIdReusePolicy) -> Result<RunId, Refusal> {
        let code = self.code(request);
        let call = StartWorkflowExecutionRequest {
            namespace: self.config().namespace.clone(),
            workflow_id: request.id.to_string(),
            workflow_type: Some(code.workflow_type),
            task_queue: Some(code.task_queue),
            input: Some(payload::all([code.input])),
            identity: self.config().identity.clone(),
            request_id: request.request_id().to_string(),
            workflow_id_reuse_policy: reuse.into(),
            workflow_id_conflict_policy: WorkflowIdConflictPolicy::Fail.into(),
            memo: Some(memo(request)),
            search_attributes: self.search_attributes(request.id.tenant()),
            ..StartWorkflowExecutionRequest::default()
        };
        let started = self
            .connection
            .call(<Client as WorkflowService>::start_workflow_execution, call)
            .await?;
        run_id(started.run_id)
    }

    fn signal_with_start_request(
        &self,
        start: &StartRequest,
        signal: &SignalRequest,
    ) -> SignalWithStartWorkflowExecutionRequest {
        let code = self.code(start);
        SignalWithStartWorkflowExecutionRequest {
            namespace: self.config().namespace.clone(),
            workflow_id: start.id.to_string(),
            workflow_type: Some(code.workflow_type),
            task_queue: Some(code.task_queue),
            input: Some(payload::all([code.input])),
            identity: self.config().identity.clone(),
            request_id: signal.request_id.to_string(),
            workflow_id_reuse_policy: match start.reuse {
                IdReuse::AfterClose => WorkflowIdReusePolicy::AllowDuplicate,
                IdReuse::OnceEver => WorkflowIdReusePolicy::RejectDuplicate,
            }
            .into(),
            // It refuses `Fail` here.
            workflow_id_conflict_policy: WorkflowIdConflictPolicy::UseExisting.into(),
            signal_name: signal.name.to_string(),
            signal_input: Some(payload::all([payload::of(&signal.payload)])),
            memo: Some(memo(start)),
            search_attributes: self.search_attributes(start.id.tenant()),
            header: Some(header(signal.request_id)),
            ..SignalWithStartWorkflowExecutionRequest::default()
        }
    }

    fn code(&self, request: &StartRequest) -> Code {
        let (name, queue, input) = match &request.external {
            Some(external) => (
                external.workflow_type().to_owned(),
                external.task_queue().to_owned(),
                request.input.payload.as_str().to_owned(),
            ),
            None => (
                request.input.workflow.to_string(),
                self.config().task_queue.clone(),
                request.input.encode(),
            ),
        };
        Code {
            workflow_type: WorkflowType { name },
            task_queue: TaskQueue {
                name: queue,
                ..TaskQueue::default()
            },
            input: payload::of_text(input),
        }
    }

    fn search_attributes(&self, tenant: &Tenant) -> Option<SearchAttributes> {
        let is_on = self.config().search_attributes && !self.connection.has_no_attributes.load(Ordering::Relaxed);
        is_on.then(|| search_attributes_of(tenant))
    }

    /// [`Refusal::NotFound`]: it is not.
    async fn is_open(&self, id: &WorkflowId) -> Result<(), Refusal> {
        let is_open = self.newest(id).await?.is_some_and(|newest| newest.is_open);
        is_open.then_some(()).ok_or(Refusal::NotFound)
    }

    /// `Ok` too when the workflow is closed and was told this before it closed.
    async fn or_told_before(
        &self,
        id: &WorkflowId,
        answered: Result<(), Refusal>,
        told: &Told,
        operation: &'static str,
    ) -> Result<(), WorkflowRequestError> {
        let Err(Refusal::NotFound) = answered else {
            return answered.map_err(|refusal| request_error(id, operation, refusal));
        };
        let failed = |refusal| request_error(id, operation, refusal);
        let Some(Newest { run_id, is_open }) = self.newest(id).await.map_err(failed)? else {
            return Err(failed(Refusal::NotFound));
        };
        let was_told = self.connection.was_told(id, run_id.as_str(), told).await;
        if was_told.map_err(failed)? {
            Ok(())
        } else if is_open {
            // It began meanwhile, and the same request again reaches it.
            Err(failed(Refusal::NotFound))
        } else {
            Err(WorkflowRequestError::Over { id: id.clone(), run_id })
        }
    }
}

/// Whose code runs a workflow, and what it is given.
struct Code {
    workflow_type: WorkflowType,
    task_queue: TaskQueue,
    input: Payload,
}

pub(crate) fn newest_run(id: &WorkflowId) -> WorkflowExecution {
    WorkflowExecution {
        workflow_id: id.to_string(),
        run_id: String::new(),
    }
}

/// `Organization` and `Project`, as far as there are any.
fn tenant_fields(tenant: &Tenant) -> impl Iterator<Item = (&'static str, String)> {
    let organization = tenant.organization_id().map(OrganizationId::to_string);
    let project = tenant.project_id().map(ProjectId::to_string);
    [("Organization", organization), ("Project", project)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
}

pub(crate) fn search_attributes_of(tenant: &Tenant) -> SearchAttributes {
    let fields = tenant_fields(tenant).map(|(name, value)| {
        let mut payload = payload::of(&value);
        payload.metadata.insert("type".to_owned(), b"Keyword".to_vec());
        (format!("{ATTRIBUTES}{name}"), payload)
    });
    SearchAttributes {
        indexed_fields: fields.collect(),
    }
}

pub(crate) fn memo(request: &StartRequest) -> Memo {
    let tenant = tenant_fields(request.id.tenant())
        .map(|(name, value)| (format!("{}_id", name.to_lowercase()), payload::of(&value)));
    let mut fields: HashMap<String, Payload> = tenant.collect();
    fields.insert(MEMO_REQUEST.to_owned(), payload::of(&request.request_id().to_string()));
    Memo { fields }
}

pub(crate) fn header(request_id: MessageId) -> Header {
    Header {
        fields: HashMap::from([(REQUEST_ID.to_owned(), payload::of(&request_id.to_string()))]),
    }
}

pub(crate) fn run_id(text: String) -> Result<RunId, Refusal> {
    RunId::new(text).map_err(|error| Refusal::Failed(format!("the server names no run: {error}")))
}

fn start_error(id: &WorkflowId, taken_by: Option<RunId>, refusal: Refusal) -> WorkflowStartError {
    let operation = "start";
    let failed = |reason| WorkflowStartError::EngineFailed { operation, reason };
    match refusal {
        Refusal::AlreadyExists(run) => match run.or(taken_by) {
            Some(run_id) => WorkflowStartError::AlreadyStarted { id: id.clone(), run_id },
            // Asked again, it says which.
            None => failed("the id is taken, and the server does not say by which run".to_owned()),
        },
        Refusal::Invalid(reason) => WorkflowStartError::Refused { id: id.clone(), reason },
        Refusal::NotFound => failed("the server knows no such thing".to_owned()),
        Refusal::Failed(reason) => failed(reason),
        Refusal::Unavailable(reason) => WorkflowStartError::Unavailable { operation, reason },
    }
}

fn request_error(id: &WorkflowId, operation: &'static str, refusal: Refusal) -> WorkflowRequestError {
    let id = id.clone();
    match refusal {
        Refusal::NotFound => WorkflowRequestError::NotRunning { id },
        Refusal::Invalid(reason) => WorkflowRequestError::Refused { id, reason },
        Refusal::AlreadyExists(_) => WorkflowRequestError::Refused {
            id,
            reason: "it was asked already".to_owned(),
        },
        Refusal::Failed(reason) => WorkflowRequestError::EngineFailed { operation, reason },
        Refusal::Unavailable(reason) => WorkflowRequestError::Unavailable { operation, reason },
    }
}
