//! `aftercommit events`

mod replay;

use aftercommit::domain::contract::Json;
use aftercommit::domain::ids::MessageId;
use aftercommit::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{rendered, tree};
use crate::admin_client::{AdminClient, Answer};
use crate::cli::{EmitEvent, Events, ListEvents, TreeId};
use crate::command_error::CommandError;
use crate::commands::{goes_on, program, shown, with_client};
use crate::indented_json::indented;
use crate::sealed_values::hidden;
use crate::table::{Fields, Table};
use crate::time_arguments::rfc3339;

pub(crate) async fn execute(command: Events) -> Result<String, CommandError> {
    match command {
        Events::Emit(arguments) => {
            // Read before anything is opened: whoever writes the payload may take its time.
            let payload = arguments.payload.read()?;
            with_client(async |client| emit(client, arguments, &payload).await).await
        }
        Events::Replay(arguments) => replay::execute(arguments).await,
        Events::List(arguments) => with_client(async |client| list(client, arguments).await).await,
        Events::Show(arguments) => match arguments.message_id().map_err(CommandError::Usage)? {
            TreeId::Tree(id) => tree::show(id, arguments.output).await,
            TreeId::One(id) => {
                with_client(async |client| {
                    let answer = client.get(&format!("/events/{id}"), &[]).await?;
                    rendered(&answer, arguments.output, describe)
                })
                .await
            }
        },
    }
}

async fn emit(client: &AdminClient, arguments: EmitEvent, payload: &RawValue) -> Result<String, CommandError> {
    #[derive(Serialize)]
    struct Body<'a> {
        name: &'a str,
        payload: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct Emitted {
        event_id: MessageId,
    }
    let answer = client
        .post(
            "/events",
            &Body {
                name: arguments.name.as_str(),
                payload,
            },
        )
        .await?;
    rendered(&answer, arguments.output, |answer| {
        let Emitted { event_id } = answer.read()?;
        let program = program();
        Ok(if client.is_process_running() {
            format!("{event_id}\n\nIt is in the outbox. See what follows:\n  {program} events show --tree {event_id}\n")
        } else {
            format!("{event_id}\n\nIt is in the outbox. {}", goes_on(client))
        })
    })
}

async fn list(client: &AdminClient, arguments: ListEvents) -> Result<String, CommandError> {
    let query = [
        ("name", arguments.name.map(|name| name.to_string())),
        ("since", arguments.since.map(rfc3339)),
        ("until", arguments.until.map(rfc3339)),
        ("organization_id", arguments.organization.map(|id| id.to_string())),
        ("limit", Some(arguments.limit.limit.to_string())),
    ];
    let answer = client.get("/events", &query).await?;
    rendered(&answer, arguments.output, |answer| {
        let List { events } = answer.read()?;
        let mut table = Table::new(["ID", "EVENT", "PUBLISHED", "SUBJECT", "ORGANIZATION"]);
        for Published { published_at, event } in &events {
            table.row([
                &event.id,
                &event.name,
                &shown(*published_at),
                &event.subject,
                event.organizationid.as_deref().unwrap_or("-"),
            ]);
        }
        Ok(table.render("no published events"))
    })
}

fn describe(answer: &Answer) -> Result<String, CommandError> {
    let Published { published_at, event } = answer.read()?;
    let mut fields = Fields::default();
    fields
        .add("id", &event.id)
        .add("event", format!("{} (version {})", event.name, event.schemaversion))
        .add("subject", &event.subject)
        .add("organization", event.organizationid.as_deref().unwrap_or("-"))
        .add("project", event.projectid.as_deref().unwrap_or("-"))
        .add("occurred", shown(event.time))
        .add("published", shown(published_at))
        .add_some("sequence", event.sequence)
        .add_some("correlation", event.correlationid)
        .add_some("caused by", event.causationid);
    Ok(format!(
        "{}\n{}\n",
        fields.render(),
        hidden(&indented(event.data.as_str()))
    ))
}

#[derive(Deserialize)]
struct List {
    events: Vec<Published>,
}

#[derive(Deserialize)]
struct Published {
    published_at: Timestamp,
    event: CloudEvent,
}

/// The attributes of a CloudEvent that are printed.
#[derive(Deserialize)]
struct CloudEvent {
    id: String,
    #[serde(rename = "type")]
    name: String,
    subject: String,
    time: Timestamp,
    schemaversion: u16,
    organizationid: Option<String>,
    projectid: Option<String>,
    sequence: Option<String>,
    correlationid: Option<String>,
    causationid: Option<String>,
    data: Json,
}
