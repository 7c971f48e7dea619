//! `aftercommit tasks`

use aftercommit::domain::contract::{TaskName, TopicName};
use aftercommit::domain::ids::MessageId;
use aftercommit::domain::tasks::{TaskDetails, TaskState, TaskSummary};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{rendered, tree};
use crate::admin_client::{AdminClient, Answer};
use crate::cli::{CancelTask, ListTasks, PublishTask, ShowTask, Tasks, TreeId};
use crate::command_error::CommandError;
use crate::commands::{goes_on, program, shown, with_client};
use crate::indented_json::indented;
use crate::sealed_values::hidden;
use crate::table::{Fields, Table};

pub(crate) async fn execute(command: Tasks) -> Result<String, CommandError> {
    match command {
        Tasks::Publish(arguments) => {
            // Read before anything is opened: whoever writes the payload may take its time.
            let payload = arguments.payload.read()?;
            with_client(async |client| publish(client, arguments, &payload).await).await
        }
        Tasks::List(arguments) => with_client(async |client| list(client, arguments).await).await,
        Tasks::Show(ShowTask {
            show: arguments,
            explain: explains,
        }) => match arguments.message_id().map_err(CommandError::Usage)? {
            TreeId::Tree(id) => tree::show(id, arguments.output).await,
            TreeId::One(id) if explains => {
                with_client(async |client| {
                    let answer = client.get(&format!("/tasks/{id}/explanation"), &[]).await?;
                    rendered(&answer, arguments.output, explain)
                })
                .await
            }
            TreeId::One(id) => {
                with_client(async |client| {
                    let answer = client.get(&format!("/tasks/{id}"), &[]).await?;
                    rendered(&answer, arguments.output, describe)
                })
                .await
            }
        },
        Tasks::Cancel(arguments) => with_client(async |client| cancel(client, arguments).await).await,
    }
}

async fn cancel(client: &AdminClient, arguments: CancelTask) -> Result<String, CommandError> {
    #[derive(Serialize)]
    struct Body<'a> {
        reason: &'a str,
    }
    #[derive(Deserialize)]
    struct Answered {
        cancelled: String,
        state: Option<TaskState>,
    }
    let CancelTask { id, reason, output } = arguments;
    let answer = client
        .post(&format!("/tasks/{id}/cancel"), &Body { reason: &reason })
        .await?;
    rendered(&answer, output, |answer| {
        let Answered { cancelled, state } = answer.read()?;
        Ok(match (cancelled.as_str(), state) {
            ("ended", _) => format!("{id} is cancelled\n"),
            (_, Some(state)) => format!("{id} is over already: {}\n", word(state)),
            (_, None) => format!(
                "{id} is to be cancelled: it runs, or is on its way; whoever has it ends it. See what becomes of it:\n  {} tasks show \
                 {id} --explain\n",
                program()
            ),
        })
    })
}

fn explain(answer: &Answer) -> Result<String, CommandError> {
    #[derive(Deserialize)]
    struct Explained {
        explanation: String,
    }
    let Explained { explanation } = answer.read()?;
    Ok(format!("{explanation}\n"))
}

async fn publish(client: &AdminClient, arguments: PublishTask, payload: &RawValue) -> Result<String, CommandError> {
    #[derive(Serialize)]
    struct Body<'a> {
        topic: &'a TopicName,
        task: &'a TaskName,
        payload: &'a RawValue,
        delay_ms: u64,
    }
    #[derive(Deserialize)]
    struct Published {
        task_id: MessageId,
    }
    let body = Body {
        topic: &arguments.topic,
        task: &arguments.task,
        payload,
        delay_ms: u64::try_from(arguments.delay.as_millis()).unwrap_or(u64::MAX),
    };
    let answer = client.post("/tasks", &body).await?;
    rendered(&answer, arguments.output, |answer| {
        let Published { task_id } = answer.read()?;
        let program = program();
        Ok(if client.is_process_running() {
            format!("{task_id}\n\nIt is on its topic. See where it is:\n  {program} tasks show {task_id}\n")
        } else {
            format!("{task_id}\n\nIt is on its topic. {}", goes_on(client))
        })
    })
}

async fn list(client: &AdminClient, arguments: ListTasks) -> Result<String, CommandError> {
    let query = [
        ("topic", arguments.topic.map(|topic| topic.to_string())),
        ("state", arguments.state.map(|state| word(state.into()).to_owned())),
        ("organization_id", arguments.organization.map(|id| id.to_string())),
        ("limit", Some(arguments.limit.limit.to_string())),
    ];
    let answer = client.get("/tasks", &query).await?;
    rendered(&answer, arguments.output, |answer| {
        let List { tasks } = answer.read()?;
        let mut table = Table::new(["ID", "TASK", "STATE", "ATTEMPTS", "ENQUEUED", "REASON"]);
        for task in &tasks {
            table.row([
                &task.id.to_string(),
                &name(task),
                word(task.state),
                &task.attempts.to_string(),
                &shown(task.enqueued_at),
                task.reason.as_deref().unwrap_or_default(),
            ]);
        }
        Ok(table.render("no tasks"))
    })
}

fn describe(answer: &Answer) -> Result<String, CommandError> {
    let TaskDetails {
        summary: task,
        code,
        correlation_id,
        causation_id,
        payload,
        place,
    } = answer.read()?;
    let mut fields = Fields::default();
    fields
        .add("id", task.id.to_string())
        .add("task", name(&task))
        .add("state", word(task.state))
        .add("attempts", task.attempts.to_string())
        .add_some("reason", task.reason)
        .add_some("code", code)
        .add("enqueued", shown(task.enqueued_at))
        .add_some("due", task.due_at.map(shown))
        .add_some("behind", place.behind.map(|id| id.to_string()))
        .add_some("key", place.window.map(|window| window.key))
        .add_some("finished", task.finished_at.map(shown))
        .add(
            "organization",
            task.organization_id.map_or_else(|| "-".into(), |id| id.to_string()),
        )
        .add(
            "project",
            task.project_id.map_or_else(|| "-".into(), |id| id.to_string()),
        )
        .add_some("correlation", correlation_id)
        .add_some("caused by", causation_id.map(|id| id.to_string()));
    let mut text = fields.render();
    if let Some(payload) = payload {
        text = format!("{text}\n{}\n", hidden(&indented(payload.as_str())));
    }
    if task.state == TaskState::Dead {
        text = format!(
            "{text}\nAs long as it is among the dead letters, it can be run again:\n  {} dead-letters replay {}\n",
            program(),
            task.id
        );
    }
    Ok(text)
}

fn name(task: &TaskSummary) -> String {
    let name = if task.task.is_empty() {
        "(unreadable)"
    } else {
        &task.task
    };
    format!("{}/{name}", task.topic)
}

const fn word(state: TaskState) -> &'static str {
    match state {
        TaskState::Scheduled => "scheduled",
        TaskState::Available => "available",
        TaskState::Running => "running",
        TaskState::Retryable => "retryable",
        TaskState::Paused => "paused",
        TaskState::Completed => "completed",
        TaskState::Skipped => "skipped",
        TaskState::Cancelled => "cancelled",
        TaskState::Dead => "dead",
    }
}

#[derive(Deserialize)]
struct List {
    tasks: Vec<TaskSummary>,
}
