//! `aftercommit dead-letters list` and `show`.

use aftercommit::domain::contract::Json;
use aftercommit::domain::failure::Failure;
use aftercommit::domain::ids::MessageId;
use aftercommit::domain::tasks::DeadLetterGroup;
use aftercommit::domain::time::Timestamp;
use serde::Deserialize;

use super::{Action, query, table_of};
use crate::admin_client::{AdminClient, Answer};
use crate::cli::ListDeadLetters;
use crate::command_error::CommandError;
use crate::commands::{program, rendered, shown};
use crate::indented_json::indented;
use crate::printable::printable;
use crate::sealed_values::hidden;
use crate::table::{Fields, Table};

#[derive(Deserialize)]
struct List {
    dead_letters: Vec<Letter>,
}

#[derive(Deserialize)]
pub(super) struct Groups {
    pub(super) letters: u64,
    pub(super) groups: Vec<DeadLetterGroup>,
}

#[derive(Deserialize)]
struct Letter {
    id: MessageId,
    topic: String,
    task: Option<String>,
    organization_id: Option<String>,
    attempts: u32,
    failure: Failure,
    fingerprint: String,
    enqueued_at: Timestamp,
    died_at: Timestamp,
    first_died_at: Timestamp,
    deaths: u32,
    body_bytes: usize,
    envelope: Option<Json>,
    excerpt: Option<String>,
    #[serde(default)]
    actions: Vec<Action>,
}

pub(super) async fn list(client: &AdminClient, arguments: ListDeadLetters) -> Result<String, CommandError> {
    let query = query(&arguments.filter.resolved(), Some(arguments.limit.limit));
    if arguments.group {
        let answer = client.get("/dead-letters/groups", &query).await?;
        return rendered(&answer, arguments.output, |answer| Ok(table_of_groups(&answer.read()?)));
    }
    let answer = client.get("/dead-letters", &query).await?;
    rendered(&answer, arguments.output, |answer| {
        let List { dead_letters } = answer.read()?;
        let mut table = Table::new(["ID", "TASK", "ATTEMPTS", "DIED", "TIMES", "CODE", "FAILURE"]);
        for letter in &dead_letters {
            table.row([
                &letter.id.to_string(),
                &letter.name(),
                &letter.attempts.to_string(),
                &shown(letter.died_at),
                &letter.deaths.to_string(),
                &letter.failure.code,
                &letter.failure.message,
            ]);
        }
        Ok(table.render("no dead letters"))
    })
}

fn table_of_groups(groups: &Groups) -> String {
    let mut table = Table::new(["LETTERS", "CODE", "TASK", "FINGERPRINT", "FIRST", "LAST", "FAILURE"]);
    for group in &groups.groups {
        table.row([
            &group.letters.to_string(),
            &group.code,
            &name(group.topic.as_str(), Some(&group.task)),
            &group.fingerprint,
            &shown(group.first_died_at),
            &shown(group.last_died_at),
            &group.message,
        ]);
    }
    table.render("no dead letters")
}

pub(super) fn describe(answer: &Answer) -> Result<String, CommandError> {
    let letter: Letter = answer.read()?;
    let mut fields = Fields::default();
    fields
        .add("id", letter.id.to_string())
        .add("task", letter.name())
        .add("organization", letter.organization_id.as_deref().unwrap_or("-"))
        .add("attempts", letter.attempts.to_string())
        .add("enqueued", shown(letter.enqueued_at))
        .add("died", shown(letter.died_at))
        .add("died before", died_before(&letter))
        .add("fingerprint", &letter.fingerprint)
        .add("code", &letter.failure.code)
        .add("failure", &letter.failure.message);
    for source in &letter.failure.chain {
        fields.add("because", source);
    }
    fields.add("size", format!("{} bytes", letter.body_bytes));
    let body = match (&letter.envelope, &letter.excerpt) {
        (Some(envelope), _) => hidden(&indented(envelope.as_str())),
        (None, Some(excerpt)) => format!("no JSON; it begins with:\n{}", printable(excerpt)),
        (None, None) => "nothing".to_owned(),
    };
    let done = if letter.actions.is_empty() {
        String::new()
    } else {
        format!("\n{}", table_of(&letter.actions).render(""))
    };
    let (program, id) = (program(), letter.id);
    Ok(format!(
        "{}\n{body}\n{done}\nRun it again, correct it, or delete it:\n  {program} dead-letters replay {id}\n  {program} dead-letters replay {id} --payload @corrected.json\n  {program} dead-letters discard {id}\n",
        fields.render()
    ))
}

fn died_before(letter: &Letter) -> String {
    match letter.deaths {
        0 | 1 => "never".into(),
        2 => format!("once, at {}", shown(letter.first_died_at)),
        deaths => format!("{} times since {}", deaths - 1, shown(letter.first_died_at)),
    }
}

impl Letter {
    fn name(&self) -> String {
        name(&self.topic, self.task.as_deref())
    }
}

pub(super) fn name(topic: &str, task: Option<&str>) -> String {
    let task = task.filter(|task| !task.is_empty());
    format!("{topic}/{}", task.unwrap_or("(unreadable)"))
}
