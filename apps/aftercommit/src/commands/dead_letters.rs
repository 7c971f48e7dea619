//! `aftercommit dead-letters`

mod act;
mod actions;
mod letters;

use aftercommit::domain::ids::MessageId;
use aftercommit::domain::tasks::{DeadLetterAct, DeadLetterFilter};
use aftercommit::domain::time::Timestamp;
use aftercommit::runtime::system::SystemClock;
use serde::Deserialize;

use super::rendered;
use crate::cli::{DeadLetters, LetterFilter};
use crate::command_error::CommandError;
use crate::commands::{shown, with_client};
use crate::table::Table;

pub(crate) async fn execute(command: DeadLetters) -> Result<String, CommandError> {
    match command {
        DeadLetters::List(arguments) => with_client(async |client| letters::list(client, arguments).await).await,
        DeadLetters::Show(arguments) => {
            with_client(async |client| {
                let answer = client.get(&format!("/dead-letters/{}", arguments.id), &[]).await?;
                rendered(&answer, arguments.output, letters::describe)
            })
            .await
        }
        DeadLetters::Replay(arguments) => act::replay(arguments).await,
        DeadLetters::Discard(arguments) => act::discard(arguments).await,
        DeadLetters::Actions(arguments) => with_client(async |client| actions::list(client, &arguments).await).await,
    }
}

impl LetterFilter {
    /// Which letters are meant, now.
    fn resolved(&self) -> DeadLetterFilter {
        DeadLetterFilter {
            topic: self.topic.clone(),
            task: self.task.clone(),
            organization_id: self.organization.clone(),
            code: self.code.clone(),
            fingerprint: self.fingerprint.clone(),
            since: self.since.map(|since| since.resolve(&SystemClock)),
            until: self.until.map(|until| until.resolve(&SystemClock)),
            limit: None,
        }
    }
}

/// The filter as query parameters.
fn query(filter: &DeadLetterFilter, limit: Option<u32>) -> Vec<(&'static str, Option<String>)> {
    let time = |time: Timestamp| time.to_rfc3339();
    vec![
        ("topic", filter.topic.as_ref().map(ToString::to_string)),
        ("task", filter.task.as_ref().map(ToString::to_string)),
        (
            "organization_id",
            filter.organization_id.as_ref().map(ToString::to_string),
        ),
        ("code", filter.code.clone()),
        ("fingerprint", filter.fingerprint.clone()),
        ("since", filter.since.map(time)),
        ("until", filter.until.map(time)),
        ("limit", limit.map(|limit| limit.to_string())),
    ]
}

/// What was done to a letter.
#[derive(Deserialize)]
struct Action {
    action: DeadLetterAct,
    actor: String,
    at: Timestamp,
    letter: MessageId,
    topic: Option<String>,
    fingerprint: Option<String>,
    bulk_run: Option<MessageId>,
}

const fn word(act: DeadLetterAct) -> &'static str {
    match act {
        DeadLetterAct::Replay => "replayed",
        DeadLetterAct::Correct => "corrected",
        DeadLetterAct::Discard => "discarded",
    }
}

fn table_of(actions: &[Action]) -> Table<6> {
    let mut table = Table::new(["AT", "ACTION", "LETTER", "FINGERPRINT", "BULK RUN", "BY"]);
    for action in actions {
        let topic = action.topic.as_deref().unwrap_or("-");
        table.row([
            &shown(action.at),
            word(action.action),
            &format!("{topic} {}", action.letter),
            action.fingerprint.as_deref().unwrap_or("-"),
            &action.bulk_run.map_or_else(|| "-".into(), |run| run.to_string()),
            &action.actor,
        ]);
    }
    table
}
