//! `aftercommit dead-letters replay` and `discard`: by id one by one, by filter as a bulk run.

use std::collections::HashSet;
use std::fmt::Write as _;

use aftercommit::domain::bulk::{BulkRequest, BulkRun, Rate};
use aftercommit::domain::ids::MessageId;
use aftercommit::domain::tasks::DeadLetterFilter;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::letters::{Groups, name};
use super::query;
use crate::admin_client::{AdminClient, Answer};
use crate::cli::{ActOnDeadLetters, LetterFilter, ReplayDeadLetters};
use crate::command_error::CommandError;
use crate::commands::bulk::{self, Order};
use crate::commands::{goes_on, shown, with_client};
use crate::confirmation::{can_be_answered, confirm};
use crate::printable::printable;

/// How many groups a question names.
const NAMED_GROUPS: u32 = 5;

/// What is done to dead letters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Replay,
    Discard,
}

pub(super) async fn replay(arguments: ReplayDeadLetters) -> Result<String, CommandError> {
    let ReplayDeadLetters { which, rate, payload } = arguments;
    let Some(payload) = payload else {
        return act(Act::Replay, which, Some(rate)).await;
    };
    let [id] = *which.ids.as_slice() else {
        return Err(CommandError::Usage(
            "--payload: it corrects one letter; give one id".into(),
        ));
    };
    // Read before anything is opened: whoever writes the payload may take its time.
    let payload = payload.read()?;
    confirm("Run 1 dead letter again, with this payload?", which.yes)?;
    with_client(async |client| {
        let answer = correct(client, id, &payload).await?;
        if which.output.json {
            return Ok(answer.json());
        }
        Ok(with_what_comes(client, format!("corrected and replayed {id}\n")))
    })
    .await
}

pub(super) async fn discard(arguments: ActOnDeadLetters) -> Result<String, CommandError> {
    act(Act::Discard, arguments, None).await
}

async fn correct(client: &AdminClient, id: MessageId, payload: &RawValue) -> Result<Answer, CommandError> {
    #[derive(Serialize)]
    struct Body<'a> {
        payload: &'a RawValue,
    }
    client
        .post(&format!("/dead-letters/{id}/replay"), &Body { payload })
        .await
}

async fn act(act: Act, arguments: ActOnDeadLetters, rate: Option<Rate>) -> Result<String, CommandError> {
    let is_filtered = arguments.filter != LetterFilter::default() || arguments.all;
    if !arguments.ids.is_empty() {
        return by_id(act, arguments).await;
    }
    if !is_filtered && arguments.run.is_none() {
        let detail = "give ids, a filter such as --topic, or --all";
        return Err(CommandError::Usage(detail.into()));
    }
    can_be_answered(arguments.yes)?;
    with_client(async |client| in_bulk(client, act, &arguments, rate).await).await
}

/// As a bulk run, after the letters were counted and somebody agreed.
async fn in_bulk(
    client: &AdminClient,
    act: Act,
    arguments: &ActOnDeadLetters,
    rate: Option<Rate>,
) -> Result<String, CommandError> {
    let run = if let Some(id) = arguments.run {
        let run = bulk::find(client, id).await?;
        if !act.is(&run.request) {
            let detail = format!("the bulk run {id} does something else");
            return Err(CommandError::Usage(detail));
        }
        confirm(&format!("Go on with the bulk run {id}?"), arguments.yes)?;
        bulk::go_on(client, id).await?
    } else {
        let filter = arguments.filter.resolved();
        if !arguments.yes {
            let Some(question) = question(client, act, &filter, rate).await? else {
                return Ok("no dead letters fit\n".into());
            };
            confirm(&question, false)?;
        }
        let request = act.request(filter);
        let order = Order {
            id: None,
            request: &request,
            rate,
        };
        bulk::order(client, &order).await?
    };
    let text = with_what_comes(client, summary(act, &run));
    bulk::finish(&run, text, arguments.output.json)
}

fn summary(act: Act, run: &BulkRun) -> String {
    match run.done {
        0 => "no dead letters fit\n".into(),
        done => format!(
            "{} {done} that died until {}, by the bulk run {}\n",
            act.done(),
            shown(run.begun_at),
            run.id
        ),
    }
}

/// What is asked; `None` when there is nothing to do.
async fn question(
    client: &AdminClient,
    act: Act,
    filter: &DeadLetterFilter,
    rate: Option<Rate>,
) -> Result<Option<String>, CommandError> {
    let answer = client
        .get("/dead-letters/groups", &query(filter, Some(NAMED_GROUPS)))
        .await?;
    let Groups { letters, groups } = answer.read()?;
    if letters == 0 {
        return Ok(None);
    }
    let mut text = String::new();
    for group in &groups {
        let task = name(group.topic.as_str(), Some(&group.task));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} × {} on {}",
            group.letters,
            printable(&group.code),
            printable(&task)
        );
    }
    let rate = rate.map(|rate| format!(" at {rate}")).unwrap_or_default();
    Ok(Some(format!("{text}{}{rate}?", act.question(letters))))
}

/// Asks before anything is opened: who says no has touched nothing.
async fn by_id(act: Act, arguments: ActOnDeadLetters) -> Result<String, CommandError> {
    let ActOnDeadLetters {
        mut ids, yes, output, ..
    } = arguments;
    // An id typed twice would fail the second time.
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(*id));
    confirm(&format!("{}?", act.question(ids.len() as u64)), yes)?;
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
            if act == Act::Replay && !done.ids.is_empty() {
                text = with_what_comes(client, text);
            }
            text
        };
        match done.error(ids.len()) {
            None => Ok(text),
            Some(error) => {
                super::super::print(&text)?;
                Err(error)
            }
        }
    })
    .await
}

fn with_what_comes(client: &AdminClient, text: String) -> String {
    if client.is_process_running() {
        text
    } else {
        format!("{text}\n{}", goes_on(client))
    }
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
    fn question(self, count: u64) -> String {
        let letters = if count == 1 {
            "1 dead letter".to_owned()
        } else {
            format!("{count} dead letters")
        };
        match self {
            Self::Replay => format!("Run {letters} again"),
            Self::Discard => format!("Delete {letters} for ever"),
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Replay => "replayed",
            Self::Discard => "discarded",
        }
    }

    const fn request(self, filter: DeadLetterFilter) -> BulkRequest {
        match self {
            Self::Replay => BulkRequest::ReplayDeadLetters { filter },
            Self::Discard => BulkRequest::DiscardDeadLetters { filter },
        }
    }

    const fn is(self, request: &BulkRequest) -> bool {
        match request {
            BulkRequest::ReplayDeadLetters { .. } => matches!(self, Self::Replay),
            BulkRequest::DiscardDeadLetters { .. } => matches!(self, Self::Discard),
            BulkRequest::ReplayEvents { .. } => false,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct ActedOn {
    ids: Vec<MessageId>,
}
