//! `aftercommit events replay`

use std::collections::BTreeMap;

use aftercommit::domain::bulk::{BulkRequest, BulkRun};
use aftercommit::domain::events::{EventFilter, EventSelection};
use aftercommit::domain::time::Timestamp;
use aftercommit::runtime::system::SystemClock;
use serde::Deserialize;

use crate::admin_client::{AdminClient, Answer};
use crate::cli::ReplayEvents;
use crate::command_error::CommandError;
use crate::commands::bulk::{self, Order};
use crate::commands::{goes_on, shown, with_client};
use crate::confirmation::{can_be_answered, confirm};
use crate::printable::printable;
use crate::table::Table;

/// What would be published.
#[derive(Deserialize)]
struct Preview {
    events: u64,
    more: bool,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    tasks: BTreeMap<String, u64>,
    without_tasks: u64,
    problems: Vec<String>,
    failed: u64,
}

pub(super) async fn execute(arguments: ReplayEvents) -> Result<String, CommandError> {
    if !arguments.dry_run {
        can_be_answered(arguments.yes)?;
    }
    with_client(async |client| replay(client, &arguments).await).await
}

async fn replay(client: &AdminClient, arguments: &ReplayEvents) -> Result<String, CommandError> {
    let selection = selection(arguments);
    let says_what = selection.filter.name.is_some() || !selection.ids.is_empty();
    if arguments.dry_run {
        if !says_what {
            return Err(CommandError::Usage(
                "--dry-run: say which events, with --name or --id".into(),
            ));
        }
        let answer = preview(client, &selection).await?;
        return super::rendered(&answer, arguments.output, |answer| {
            Ok(format!("{}\nNothing was published.\n", told(&answer.read()?)))
        });
    }
    let run = match arguments.replay_id {
        Some(id) if !says_what => {
            confirm(&format!("Go on with the replay {id}?"), arguments.yes)?;
            bulk::go_on(client, id).await?
        }
        id => {
            if !arguments.yes {
                let preview: Preview = preview(client, &selection).await?.read()?;
                confirm(&format!("{}Publish them again?", told(&preview)), false)?;
            }
            let request = BulkRequest::ReplayEvents { selection };
            let order = Order {
                id,
                request: &request,
                rate: Some(arguments.rate),
            };
            bulk::order(client, &order).await?
        }
    };
    bulk::finish(&run, summary(client, &run), arguments.output.json)
}

fn selection(arguments: &ReplayEvents) -> EventSelection {
    EventSelection {
        filter: EventFilter {
            name: arguments.name.clone(),
            organization_id: arguments.organization.clone(),
            since: arguments.since.map(|since| since.resolve(&SystemClock)),
            until: arguments.until.map(|until| until.resolve(&SystemClock)),
            limit: None,
        },
        ids: arguments.id.clone(),
        route: arguments.route.0.clone(),
    }
}

async fn preview(client: &AdminClient, selection: &EventSelection) -> Result<Answer, CommandError> {
    client.post("/events/replay-preview", selection).await
}

/// What would be published, for people.
fn told(preview: &Preview) -> String {
    let more = if preview.more { "more than " } else { "" };
    let mut text = match (preview.first, preview.last) {
        (Some(first), Some(last)) => format!(
            "{more}{}, published from {} to {}\n",
            number(preview.events, "event"),
            shown(first),
            shown(last)
        ),
        _ => "no events fit\n".to_owned(),
    };
    let mut table = Table::new(["TASK", "TASKS"]);
    for (task, number) in &preview.tasks {
        table.row([task, &number.to_string()]);
    }
    text = format!("{text}\n{}", table.render("no tasks follow from them"));
    if preview.without_tasks > 0 {
        text = format!(
            "{text}{} with nothing to follow\n",
            number(preview.without_tasks, "event")
        );
    }
    with_problems(text, preview.failed, &preview.problems)
}

fn summary(client: &AdminClient, run: &BulkRun) -> String {
    let mut text = format!(
        "replayed {} as {}, by the replay {}\n",
        number(run.done, "event"),
        number(run.tasks, "task"),
        run.id
    );
    text = with_problems(text, run.failed, &run.problems);
    if run.tasks > 0 && !client.is_process_running() {
        text = format!("{text}\n{}", goes_on(client));
    }
    text
}

fn number(of: u64, what: &str) -> String {
    let s = if of == 1 { "" } else { "s" };
    format!("{of} {what}{s}")
}

fn with_problems(mut text: String, failed: u64, problems: &[String]) -> String {
    if failed > 0 {
        text = format!("{text}{failed} could not be replayed, such as:\n");
    }
    for problem in problems {
        text = format!("{text}  {}\n", printable(problem));
    }
    text
}
