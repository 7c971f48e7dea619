//! `aftercommit topics`

use std::fmt::Write as _;

use aftercommit::domain::tasks::{BrokerPart, BrokerPartKind, PauseTarget, TopicDepth};
use serde::Deserialize;

use super::{pauses, rendered};
use crate::admin_client::{AdminClient, Answer};
use crate::cli::Topics;
use crate::command_error::CommandError;
use crate::table::Table;

pub(crate) async fn execute(client: &AdminClient, command: Topics) -> Result<String, CommandError> {
    match command {
        Topics::List(output) => {
            let answer = client.get("/topics", &[]).await?;
            rendered(&answer, output, describe)
        }
        Topics::Pause(command) => pauses::pause(client, PauseTarget::Topic(command.topic), command.terms).await,
        Topics::Resume(command) => pauses::resume(client, PauseTarget::Topic(command.topic), command.output).await,
    }
}

fn describe(answer: &Answer) -> Result<String, CommandError> {
    let Listed {
        topics,
        broker_trouble,
        broker,
    } = answer.read()?;
    let mut table = Table::new(["TOPIC", "AVAILABLE", "SCHEDULED", "RUNNING", "PAUSED", "CONSUMERS"]);
    for topic in &topics {
        let TopicDepth {
            topic,
            available,
            scheduled,
            running,
            paused,
            consumers,
        } = topic;
        let consumers = match consumers {
            None => "-".to_owned(),
            Some(0) if *available > 0 => "nobody takes them".to_owned(),
            Some(consumers) => consumers.to_string(),
        };
        table.row([
            topic.as_str(),
            &available.to_string(),
            &scheduled.to_string(),
            &running.to_string(),
            &paused.to_string(),
            &consumers,
        ]);
    }
    let mut text = table.render("no topics");
    if let Some(trouble) = broker_trouble {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n{trouble}");
    }
    if !broker.is_empty() {
        let mut table = Table::new(["ON THE BROKER", "MESSAGES", "CONSUMERS", "FOR"]);
        let (delays, broker): (Vec<&BrokerPart>, Vec<&BrokerPart>) =
            broker.iter().partition(|part| is_quiet_delay(part));
        for part in broker {
            let count = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
            let kind = match part.kind {
                BrokerPartKind::Exchange => "exchange",
                BrokerPartKind::Queue => "queue",
            };
            let missing = if part.exists { "" } else { " (missing)" };
            table.row([
                &format!("{kind} {}{missing}", part.name),
                &count(part.messages),
                &count(part.consumers),
                &part.purpose,
            ]);
        }
        text.push('\n');
        text.push_str(&table.render(""));
        if !delays.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "and {} exchanges and queues of delays, in which nothing waits",
                delays.len()
            );
        }
    }
    Ok(text)
}

/// A delay level as it should be, and nothing waits in it.
fn is_quiet_delay(part: &BrokerPart) -> bool {
    part.name.contains(".delay.") && part.exists && part.messages.unwrap_or(0) == 0
}

#[derive(Deserialize)]
struct Listed {
    topics: Vec<TopicDepth>,
    #[serde(default)]
    broker_trouble: Option<String>,
    broker: Vec<BrokerPart>,
}
