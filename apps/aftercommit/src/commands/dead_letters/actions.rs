//! `aftercommit dead-letters actions`: who did what.

use aftercommit::domain::bulk::{BulkRequest, BulkRun};
use aftercommit::domain::contract::Json;
use serde::{Deserialize, Serialize};

use super::{Action, table_of};
use crate::admin_client::{AdminClient, Answer};
use crate::cli::DeadLetterActions;
use crate::command_error::CommandError;
use crate::commands::shown;
use crate::table::Table;

#[derive(Deserialize)]
struct Actions {
    actions: Vec<Action>,
}

#[derive(Deserialize)]
struct Runs {
    bulk_runs: Vec<BulkRun>,
}

/// Both as they came.
#[derive(Serialize, Deserialize)]
struct Whole {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bulk_runs: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actions: Option<Json>,
}

pub(super) async fn list(client: &AdminClient, arguments: &DeadLetterActions) -> Result<String, CommandError> {
    let limit = Some(arguments.limit.limit.to_string());
    let letter = arguments.letter.map(|letter| letter.to_string());
    let actions = client
        .get(
            "/dead-letters/actions",
            &[("letter", letter.clone()), ("limit", limit.clone())],
        )
        .await?;
    // Of one letter, the actions name their runs.
    let runs = match letter {
        None => Some(client.get("/bulk-runs", &[("limit", limit)]).await?),
        Some(_) => None,
    };
    if arguments.output.json {
        let mut whole: Whole = actions.read()?;
        if let Some(runs) = &runs {
            whole.bulk_runs = runs.read::<Whole>()?.bulk_runs;
        }
        return Ok(Answer::of(&whole)?.json());
    }
    let Actions { actions } = actions.read()?;
    let mut text = String::new();
    if let Some(runs) = runs {
        let Runs { bulk_runs } = runs.read()?;
        text = format!("{}\n", table_of_runs(&bulk_runs));
    }
    Ok(format!(
        "{text}{}",
        table_of(&actions).render("nothing was done to dead letters")
    ))
}

fn table_of_runs(runs: &[BulkRun]) -> String {
    let mut table = Table::new(["BULK RUN", "BEGAN", "ORDER", "DONE", "STATE", "BY"]);
    for run in runs {
        let of = run.matched.map(|matched| format!(" of {matched}")).unwrap_or_default();
        table.row([
            &run.id.to_string(),
            &shown(run.begun_at),
            &order(&run.request),
            &format!("{}{of}", run.done),
            run.state.as_str(),
            &run.actor,
        ]);
    }
    table.render("no bulk runs")
}

/// What was ordered: the words of the command line.
fn order(request: &BulkRequest) -> String {
    let (what, filter) = match request {
        BulkRequest::ReplayDeadLetters { filter } => ("replay", serde_json::to_value(filter)),
        BulkRequest::DiscardDeadLetters { filter } => ("discard", serde_json::to_value(filter)),
        BulkRequest::ReplayEvents { selection } => {
            let route = selection
                .route
                .as_ref()
                .map_or_else(|| "all".to_owned(), ToString::to_string);
            let ids = selection.ids.len();
            let ids = if ids == 0 { String::new() } else { format!(" {ids} ids") };
            return format!(
                "events to {route}{ids}{}",
                parts(serde_json::to_value(&selection.filter).ok().as_ref())
            );
        }
    };
    let parts = parts(filter.ok().as_ref());
    format!("{what}{}", if parts.is_empty() { " all" } else { &parts })
}

fn parts(filter: Option<&serde_json::Value>) -> String {
    let parts = filter.and_then(serde_json::Value::as_object).into_iter().flatten();
    let parts = parts.map(|(name, value)| match value.as_str() {
        Some(text) => format!(" {name}={text}"),
        None => format!(" {name}={value}"),
    });
    parts.collect()
}
