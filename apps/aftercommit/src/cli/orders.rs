//! What is typed to cancel and to pause.

use std::time::Duration;

use aftercommit::domain::contract::TopicName;
use aftercommit::domain::ids::MessageId;
use aftercommit::domain::tasks::PauseTarget;
use aftercommit::domain::time::Timestamp;
use clap::Args;

use super::Output;
use crate::time_arguments::some_time;

pub(super) const CANCEL_EXAMPLES: &str = "\
Examples:
  aftercommit tasks cancel 0192f0c1-7a3b-7c4d-8e5f-0123456789ab --reason 'the customer left'";

pub(super) const PAUSE_EXAMPLES: &str = "\
What is paused: topic:NAME, task:TOPIC/NAME, organization:ID or project:ORGANIZATION/ID. Workers keep to it within a second; what
runs already runs to its end, and nothing is lost. Schedules have a pause of their own: `aftercommit schedules pause`.

Examples:
  aftercommit pause topic:invitation-email --reason 'the mail provider is down' --for 1h
  aftercommit pause organization:acme --reason 'they asked for it'
  aftercommit resume organization:acme";

#[derive(Debug, Args)]
pub(crate) struct CancelTask {
    /// Its id.
    pub(crate) id: MessageId,
    /// Why, for those who look at it later; without personal data.
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Why, and until when.
#[derive(Debug, Args)]
pub(crate) struct PauseTerms {
    /// Why, for those who look at it later.
    #[arg(long)]
    pub(crate) reason: String,
    /// For how long, such as 30m or 1h. Until it is resumed when neither this nor --until is given.
    #[arg(long = "for", value_name = "DURATION", value_parser = some_time, conflicts_with = "until")]
    pub(crate) lasts: Option<Duration>,
    /// Until when, such as 2026-11-23T10:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct PauseTasks {
    /// What: topic:NAME, task:TOPIC/NAME, organization:ID or project:ORGANIZATION/ID.
    pub(crate) target: PauseTarget,
    #[command(flatten)]
    pub(crate) terms: PauseTerms,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeTasks {
    /// What: topic:NAME, task:TOPIC/NAME, organization:ID or project:ORGANIZATION/ID.
    pub(crate) target: PauseTarget,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct PauseTopic {
    /// The topic, such as invitation-email.
    pub(crate) topic: TopicName,
    #[command(flatten)]
    pub(crate) terms: PauseTerms,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeTopic {
    /// The topic, such as invitation-email.
    pub(crate) topic: TopicName,
    #[command(flatten)]
    pub(crate) output: Output,
}
