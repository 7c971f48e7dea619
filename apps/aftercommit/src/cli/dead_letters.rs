//! `aftercommit dead-letters`: what may be typed.

use aftercommit::domain::bulk::Rate;
use aftercommit::domain::contract::{OrganizationId, TaskName, TopicName};
use aftercommit::domain::ids::MessageId;
use clap::{Args, Subcommand};

use super::{Limit, Output, Show};
use crate::payload::PayloadSource;
use crate::time_arguments::Since;

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// List dead letters, newest first; or count them by what they have in common.
    #[command(after_help = "\
Examples:
  aftercommit dead-letters list --group
  aftercommit dead-letters list --topic invitation-email --code smtp.refused --since 1d")]
    List(ListDeadLetters),
    /// Print one dead letter, with the whole failure, the envelope, and what was done to it.
    Show(Show),
    /// Put dead letters back on their topics: each runs again from its first attempt.
    #[command(after_help = "\
By id, or by filter: then the oldest come first, at a rate, and it stops by itself when half of the last 20 that ran have
failed again. Who begins the same again goes on where it was. What died after it began is no part of it.

Examples:
  aftercommit dead-letters replay 0192f0c1-7a3b-7c4d-8e5f-0123456789ab
  aftercommit dead-letters replay 0192f0c1-7a3b-7c4d-8e5f-0123456789ab --payload @corrected.json
  aftercommit dead-letters replay --topic invitation-email --code smtp.refused --rate 5/s --yes")]
    Replay(ReplayDeadLetters),
    /// Delete dead letters: they will never run.
    #[command(after_help = "\
Examples:
  aftercommit dead-letters discard 0192f0c1-7a3b-7c4d-8e5f-0123456789ab
  aftercommit dead-letters discard --fingerprint smtp.refused:d70f3dd2 --until 30d --yes")]
    Discard(ActOnDeadLetters),
    /// Print who replayed, corrected and discarded what, newest first.
    Actions(DeadLetterActions),
}

/// Which letters are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct LetterFilter {
    /// Only those of this topic.
    #[arg(long)]
    pub(crate) topic: Option<TopicName>,
    /// Only those of this task.
    #[arg(long)]
    pub(crate) task: Option<TaskName>,
    /// Only those that failed with this code, such as smtp.refused.
    #[arg(long)]
    pub(crate) code: Option<String>,
    /// Only those with this fingerprint, as `list --group` prints it.
    #[arg(long)]
    pub(crate) fingerprint: Option<String>,
    /// Only those of this organization.
    #[arg(long, value_name = "ID")]
    pub(crate) organization: Option<OrganizationId>,
    /// Only those that died since then: a time such as 2026-11-23T10:00:00Z, or how long ago, such as 1h.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Since>,
    /// Only those that died until then, in the same forms.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Since>,
}

#[derive(Debug, Args)]
pub(crate) struct ListDeadLetters {
    #[command(flatten)]
    pub(crate) filter: LetterFilter,
    /// Count them by fingerprint, topic and task, the biggest group first.
    #[arg(long)]
    pub(crate) group: bool,
    #[command(flatten)]
    pub(crate) limit: Limit,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct ActOnDeadLetters {
    /// Their ids, as the list prints them.
    #[arg(value_name = "ID", conflicts_with_all = ["topic", "task", "code", "fingerprint", "organization", "since", "until", "all", "run"])]
    pub(crate) ids: Vec<MessageId>,
    #[command(flatten)]
    pub(crate) filter: LetterFilter,
    /// All there are.
    #[arg(long)]
    pub(crate) all: bool,
    /// Go on with this bulk run.
    #[arg(long, value_name = "ID", conflicts_with_all = ["topic", "task", "code", "fingerprint", "organization", "since", "until", "all"])]
    pub(crate) run: Option<MessageId>,
    /// Do not ask; needed where nobody can answer.
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayDeadLetters {
    #[command(flatten)]
    pub(crate) which: ActOnDeadLetters,
    /// With a filter: at most so many, such as 10/s, 300/m or 20/h.
    #[arg(long, value_name = "RATE", default_value = "10/s", conflicts_with = "ids")]
    pub(crate) rate: Rate,
    /// With one id: another payload in place of its own. JSON, @FILE, or - for standard input. Secrets stand in it in
    /// clear, or sealed as `show --json` prints them.
    #[arg(long, value_name = "JSON", requires = "ids")]
    pub(crate) payload: Option<PayloadSource>,
}

#[derive(Debug, Args)]
pub(crate) struct DeadLetterActions {
    /// Only what was done to this letter.
    #[arg(long, value_name = "ID")]
    pub(crate) letter: Option<MessageId>,
    #[command(flatten)]
    pub(crate) limit: Limit,
    #[command(flatten)]
    pub(crate) output: Output,
}
