//! `aftercommit dead-letters`

use std::fmt::Write as _;

use aftercommit::domain::contract::Json;
use aftercommit::domain::failure::Failure;
use aftercommit::domain::ids::MessageId;
use aftercommit::domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::rendered;
use crate::admin_client::{AdminClient, Answer};
use crate::cli::{ActOnDeadLetters, DeadLetters, ListDeadLetters};
use crate::command_error::CommandError;
use crate::commands::{goes_on, program, shown, with_client};
use crate::confirmation::confirm;
use crate::indented_json::indented;
use crate::table::{Fields, Table};

/// What is done to dead letters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Replay,
    Discard,
}

pub(crate) async fn execute(command: DeadLetters) -> Result<String, CommandError> {
    match command {
        DeadLetters::List(arguments) => with_client(async |client| list(client, arguments).await).await,
        DeadLetters::Show(arguments) => {
            with_client(async |client| {
                let answer = client.get(&format!("/dead-letters/{}", arguments.id), &[]).await?;
                rendered(&answer, arguments.output, describe)
            })
            .await
        }
        DeadLetters::Replay(arguments) => act(Act::Replay, arguments).await,
        DeadLetters::Discard(arguments) => act(Act::Discard, arguments).await,
    }
}

async fn list(client: &AdminClient, arguments: ListDeadLetters) -> Result<String, CommandError> {
    let query = [
        ("topic", arguments.topic.map(|topic| topic.to_string())),
        ("code", arguments.code),
        ("organization_id", arguments.organization.map(|id| id.to_string())),
        ("limit", Some(arguments.limit.limit.to_string())),
    ];
    let answer = client.get("/dead-letters", &query).await?;
    rendered(&answer, arguments.output, |answer| {
        let List { dead_letters } = answer.read()?;
        let mut table = Table::new(["ID", "TASK", "ATTEMPTS", "DIED", "CODE", "FAILURE"]);
        for letter in &dead_letters {
            table.row([
                &letter.id.to_string(),
                &letter.name(),
                &letter.attempts.to_string(),
                &shown(letter.died_at),
                &letter.failure.code,
                &letter.failure.message,
            ]);
        }
        Ok(table.render("no dead letters"))
    })
}

fn describe(answer: &Answer) -> Result<String, CommandError> {
    let letter: Letter = answer.read()?;
    let mut fields = Fields::default();
    fields
        .add("id", letter.id.to_string())
        .add("task", letter.name())
        .add("attempts", letter.attempts.to_string())
        .add("died", shown(letter.died_at))
        .add("organization", letter.organization_id.as_deref().unwrap_or("-"))
        .add("failure", letter.failure.to_string())
        .add("fingerprint", &letter.fingerprint)
        .add("size", format!("{} bytes", letter.body_bytes));
    let envelope = letter
        .envelope
        .map(|envelope| format!("\n{}\n", indented(envelope.as_str())))
        .unwrap_or_default();
    let (program, id) = (program(), letter.id);
    Ok(format!(
        "{}{envelope}\nRun it again, or delete it:\n  {program} dead-letters replay {id}\n  {program} dead-letters discard {id}\n",
        fields.render()
    ))
}

/// Asks before anything is opened: who says no has touched nothing.
async fn act(act: Act, arguments: ActOnDeadLetters) -> Result<String, CommandError> {
    let ActOnDeadLetters { mut ids, yes, output } = arguments;
    // An id typed twice would fail the second time.
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(*id));
    confirm(&act.question(ids.len()), yes)?;
    with_client(async |client| {
        let done = each(client, act, &ids).await;
        let text = if output.json {
            Answer::of(&ActedOn { ids: done.ids.clone() })?.json()
        } else {
            let mut text = String::new();
            for id in &done.ids {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{} {id}", act.done());
            }
            if act == Act::Replay && !done.ids.is_empty() && !client.is_process_running() {
                text = format!("{text}\n{}", goes_on(client));
            }
            text
        };
        match done.error(ids.len()) {
            None => Ok(text),
            Some(error) => {
                super::print(&text)?;
                Err(error)
            }
        }
    })
    .await
}

/// Goes on after one that fails: the others are just as wanted.
async fn each(client: &AdminClient, act: Act, ids: &[MessageId]) -> Done {
    let mut done = Done {
        ids: Vec::new(),
        errors: Vec::new(),
    };
    for id in ids {
        let answer = match act {
            Act::Replay => {
                client
                    .post(&format!("/dead-letters/{id}/replay"), &serde_json::json!({}))
                    .await
            }
            Act::Discard => client.delete(&format!("/dead-letters/{id}")).await,
        };
        match answer.and_then(|answer| answer.read::<ActedOn>()) {
            Ok(answer) => done.ids.extend(answer.ids),
            Err(error) => done.errors.push(error),
        }
    }
    done
}

struct Done {
    ids: Vec<MessageId>,
    errors: Vec<CommandError>,
}

impl Done {
    /// One error is told as it is; several are told here and counted.
    fn error(mut self, all: usize) -> Option<CommandError> {
        if all == 1 {
            return self.errors.pop();
        }
        for error in &self.errors {
            error.print();
        }
        let usage = self.errors.iter().all(CommandError::is_usage);
        let failed = self.errors.len();
        (failed > 0).then_some(CommandError::Some { failed, all, usage })
    }
}

impl Act {
    fn question(self, count: usize) -> String {
        let letters = if count == 1 {
            "1 dead letter".to_owned()
        } else {
            format!("{count} dead letters")
        };
        match self {
            Self::Replay => format!("Run {letters} again?"),
            Self::Discard => format!("Delete {letters} for ever?"),
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Replay => "replayed",
            Self::Discard => "discarded",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct ActedOn {
    ids: Vec<MessageId>,
}

#[derive(Deserialize)]
struct List {
    dead_letters: Vec<Letter>,
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
    died_at: Timestamp,
    envelope: Option<Json>,
    body_bytes: usize,
}

impl Letter {
    fn name(&self) -> String {
        format!("{}/{}", self.topic, self.task.as_deref().unwrap_or("(unreadable)"))
    }
}
