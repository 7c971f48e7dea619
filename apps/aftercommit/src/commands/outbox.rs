//! `aftercommit outbox`

use aftercommit::domain::events::OutboxStats;
use aftercommit::domain::tasks::TopicDepth;
use aftercommit::domain::time::Timestamp;
use serde::Deserialize;

use super::rendered;
use crate::admin_client::{AdminClient, Answer};
use crate::cli::Outbox;
use crate::command_error::CommandError;
use crate::commands::shown;
use crate::table::{Fields, Table};

pub(crate) async fn execute(client: &AdminClient, command: Outbox) -> Result<String, CommandError> {
    let Outbox::Status(output) = command;
    let answer = client.get("/outbox", &[]).await?;
    rendered(&answer, output, describe)
}

fn describe(answer: &Answer) -> Result<String, CommandError> {
    let Status {
        outbox,
        oldest_age_seconds,
        set_aside,
        topics,
    } = answer.read()?;
    let mut fields = Fields::default();
    fields
        .add("waiting", outbox.waiting.to_string())
        .add("claimed", outbox.claimed.to_string())
        .add("quarantined", outbox.quarantined.to_string())
        .add("oldest", oldest(&outbox, oldest_age_seconds));
    let mut table = Table::new(["TOPIC", "AVAILABLE", "SCHEDULED", "RUNNING"]);
    for topic in &topics {
        table.row([
            topic.topic.as_str(),
            &topic.available.to_string(),
            &topic.scheduled.to_string(),
            &topic.running.to_string(),
        ]);
    }
    let mut text = format!("{}\n{}", fields.render(), table.render("no tasks on any topic"));
    if !set_aside.is_empty() {
        let mut table = Table::new(["QUARANTINED", "WRITTEN", "REASON"]);
        for row in &set_aside {
            table.row([row.what.as_str(), &shown(row.written_at), &row.reason]);
        }
        text.push('\n');
        text.push_str(&table.render(""));
    }
    Ok(text)
}

fn oldest(outbox: &OutboxStats, age: Option<f64>) -> String {
    match (outbox.oldest, age) {
        (Some(oldest), Some(age)) => format!("{age:.1} s old, written {}", shown(oldest)),
        (Some(oldest), None) => format!("written {}", shown(oldest)),
        (None, _) => "nothing waits".into(),
    }
}

#[derive(Deserialize)]
struct Status {
    #[serde(flatten)]
    outbox: OutboxStats,
    oldest_age_seconds: Option<f64>,
    // A process of an older version does not tell.
    #[serde(default)]
    set_aside: Vec<SetAside>,
    topics: Vec<TopicDepth>,
}

#[derive(Deserialize)]
struct SetAside {
    what: String,
    written_at: Timestamp,
    reason: String,
}
