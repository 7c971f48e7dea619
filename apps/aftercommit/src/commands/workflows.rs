//! `aftercommit workflows`

use aftercommit::domain::contract::{SignalName, WorkflowKey, WorkflowName};
use aftercommit::domain::ids::MessageId;
use aftercommit::workflows::{WorkflowDescription, WorkflowEnd, WorkflowPage, WorkflowStatus};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{goes_on, program, rendered, shown, with_client};
use crate::admin_client::{AdminClient, Answer};
use crate::cli::{
    ListWorkflows, NamedWorkflow, QueryWorkflow, SignalWorkflow, StartWorkflow, StopWorkflow, TerminateWorkflow,
    Workflows,
};
use crate::command_error::CommandError;
use crate::confirmation::confirm;
use crate::indented_json::indented;
use crate::table::{Fields, Table};

pub(crate) async fn execute(command: Workflows) -> Result<String, CommandError> {
    match command {
        Workflows::List(arguments) => with_client(async |client| list(client, arguments).await).await,
        Workflows::Start(arguments) => {
            // Read before anything is opened: whoever writes the payload may take its time.
            let payload = arguments.payload.read()?;
            with_client(async |client| start(client, arguments, &payload).await).await
        }
        Workflows::Describe(name) => {
            with_client(async |client| {
                let answer = client.get("/workflows/description", &which(&name)).await?;
                rendered(&answer, name.output, describe)
            })
            .await
        }
        Workflows::Signal(arguments) => {
            let payload = arguments.payload.read()?;
            with_client(async |client| signal(client, arguments, &payload).await).await
        }
        Workflows::Query(arguments) => with_client(async |client| query(client, arguments).await).await,
        Workflows::Cancel(arguments) => {
            with_client(async |client| stop(client, "cancel", "is to clean up and end", arguments).await).await
        }
        Workflows::Terminate(TerminateWorkflow { stop: arguments, yes }) => {
            confirm(&format!("End {} where it stands?", arguments.workflow.id), yes)?;
            with_client(async |client| stop(client, "terminate", "is ended", arguments).await).await
        }
    }
}

fn which(name: &NamedWorkflow) -> Vec<(&'static str, Option<String>)> {
    vec![
        ("id", Some(name.id.to_string())),
        ("organization_id", name.organization.as_ref().map(ToString::to_string)),
    ]
}

async fn list(client: &AdminClient, arguments: ListWorkflows) -> Result<String, CommandError> {
    let query = [
        ("organization_id", arguments.organization.map(|id| id.to_string())),
        ("project_id", arguments.project.map(|id| id.to_string())),
        ("workflow", arguments.workflow.map(|name| name.to_string())),
        ("status", arguments.status.map(|status| word(status.into()).to_owned())),
        ("after", arguments.after),
        ("limit", Some(arguments.limit.limit.to_string())),
    ];
    let answer = client.get("/workflows", &query).await?;
    rendered(&answer, arguments.output, |answer| {
        let WorkflowPage { workflows, next } = answer.read()?;
        let mut table = Table::new(["STATUS", "STARTED", "CLOSED", "RUN", "ID"]).ending_in_ids();
        for workflow in &workflows {
            table.row([
                word(workflow.status),
                &shown(workflow.started_at),
                &workflow.closed_at.map_or_else(|| "-".to_owned(), shown),
                &workflow.run_id.to_string(),
                &workflow.id.to_string(),
            ]);
        }
        let text = table.render("no workflows");
        Ok(match next {
            Some(next) => format!(
                "{text}\nThere are more:\n  {} workflows list --after '{next}'\n",
                program()
            ),
            None => text,
        })
    })
}

async fn start(client: &AdminClient, arguments: StartWorkflow, payload: &RawValue) -> Result<String, CommandError> {
    #[derive(Serialize)]
    struct Body<'a> {
        workflow: &'a WorkflowName,
        key: &'a WorkflowKey,
        payload: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct Asked {
        request_id: MessageId,
        id: String,
    }
    let body = Body {
        workflow: &arguments.workflow,
        key: &arguments.key,
        payload,
    };
    let answer = client.post("/workflows", &body).await?;
    rendered(&answer, arguments.output, |answer| {
        let Asked { request_id, id } = answer.read()?;
        let program = program();
        let next = if client.is_process_running() {
            format!(
                "See whether it was carried out, and how it stands:\n  {program} tasks show {request_id} --explain\n  {program} workflows describe '{id}'\n"
            )
        } else {
            goes_on(client)
        };
        Ok(format!("{request_id}\n\n{id} is asked for. {next}"))
    })
}

fn describe(answer: &Answer) -> Result<String, CommandError> {
    let WorkflowDescription {
        summary,
        attempt,
        waiting,
        problem,
        end,
    } = answer.read()?;
    let mut fields = Fields::default();
    fields
        .add("workflow", summary.id.to_string())
        .add("run", summary.run_id.to_string())
        .add("status", word(summary.status))
        .add_some("run number", attempt.map(|attempt| attempt.to_string()))
        .add("started", shown(summary.started_at))
        .add_some("closed", summary.closed_at.map(shown));
    for (place, step) in waiting.iter().enumerate() {
        let line = format!("{} since {}", step.label, shown(step.since));
        fields.add(if place == 0 { "waits for" } else { "" }, line);
    }
    fields.add_some("cannot go on", problem.map(|problem| problem.to_string()));
    let mut text = fields.render();
    match end {
        Some(WorkflowEnd::Completed(value)) => {
            text = format!("{text}\n{}\n", indented(&value.to_string()));
        }
        Some(WorkflowEnd::Failed(failure)) => text = format!("{text}\nfailed: {failure}\n"),
        Some(WorkflowEnd::Terminated { reason }) => text = format!("{text}\nterminated: {reason}\n"),
        Some(WorkflowEnd::Cancelled | WorkflowEnd::TimedOut) | None => {}
    }
    Ok(text)
}

async fn signal(client: &AdminClient, arguments: SignalWorkflow, payload: &RawValue) -> Result<String, CommandError> {
    #[derive(Serialize)]
    struct Body<'a> {
        id: String,
        organization_id: Option<String>,
        signal: &'a SignalName,
        payload: Value,
    }
    let SignalWorkflow { workflow, signal, .. } = arguments;
    let body = Body {
        id: workflow.id.to_string(),
        organization_id: workflow.organization.as_ref().map(ToString::to_string),
        signal: &signal,
        payload: serde_json::from_str(payload.get()).map_err(|error| CommandError::Unexpected(error.to_string()))?,
    };
    let answer = client.post("/workflows/signal", &body).await?;
    rendered(&answer, workflow.output, |_| {
        Ok(format!("{} is told {signal}\n", workflow.id))
    })
}

async fn query(client: &AdminClient, arguments: QueryWorkflow) -> Result<String, CommandError> {
    #[derive(Deserialize)]
    struct Answered {
        value: Value,
    }
    let QueryWorkflow { workflow, key } = arguments;
    let mut query = which(&workflow);
    query.push(("key", Some(key)));
    let answer = client.get("/workflows/value", &query).await?;
    rendered(&answer, workflow.output, |answer| {
        let Answered { value } = answer.read()?;
        Ok(format!("{}\n", indented(&value.to_string())))
    })
}

async fn stop(client: &AdminClient, how: &str, becomes: &str, arguments: StopWorkflow) -> Result<String, CommandError> {
    #[derive(Serialize)]
    struct Body<'a> {
        id: String,
        organization_id: Option<String>,
        reason: &'a str,
    }
    let StopWorkflow { workflow, reason } = arguments;
    let body = Body {
        id: workflow.id.to_string(),
        organization_id: workflow.organization.as_ref().map(ToString::to_string),
        reason: &reason,
    };
    let answer = client.post(&format!("/workflows/{how}"), &body).await?;
    rendered(&answer, workflow.output, |_| Ok(format!("{} {becomes}\n", workflow.id)))
}

const fn word(status: WorkflowStatus) -> &'static str {
    match status {
        WorkflowStatus::Running => "running",
        WorkflowStatus::Completed => "completed",
        WorkflowStatus::Failed => "failed",
        WorkflowStatus::Cancelled => "cancelled",
        WorkflowStatus::Terminated => "terminated",
        WorkflowStatus::TimedOut => "timed-out",
        WorkflowStatus::ContinuedAsNew => "continued-as-new",
    }
}
