//! `aftercommit events`: what may be typed.

use aftercommit::domain::bulk::Rate;
use aftercommit::domain::contract::{EventName, InvalidName, OrganizationId};
use aftercommit::domain::events::DispatchTarget;
use aftercommit::domain::ids::MessageId;
use clap::{Args, Subcommand};

use super::{Limit, Output, SHOW_EXAMPLES, ShowInTree};
use crate::payload::PayloadSource;
use crate::time_arguments::Since;

#[derive(Debug, Subcommand)]
pub(crate) enum Events {
    /// Write an event into the outbox; everything that follows from it happens.
    #[command(after_help = "\
Values that the event seals are given in clear and sealed before they are stored.

Examples:
  aftercommit events emit OrganizationCreated --payload '{\"organization_id\": \"…\", …}'
  aftercommit events emit OrganizationCreated --payload @created.json
  generate | aftercommit events emit OrganizationCreated --payload -")]
    Emit(EmitEvent),
    /// List published events, newest first.
    #[command(after_help = "\
Examples:
  aftercommit events list --name InvitationEmailRequested --since 1h
  aftercommit events list --since 2026-11-23T10:00:00Z --json")]
    List(ListEvents),
    /// Print one published event, or everything that belongs together.
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ShowInTree),
    /// Publish again what follows from published events: new tasks, which nobody takes for those that are done.
    #[command(after_help = "\
Events that happened after the replay began are no part of it. The same replay asked for twice under its --replay-id
publishes nothing new once it is over, and goes on where it was otherwise.

Examples:
  aftercommit events replay --name InvoicePaid --since 2026-11-27T10:00:00Z --route receipts/send --dry-run
  aftercommit events replay --name InvoicePaid --since 1d --organization 7 --yes
  aftercommit events replay --id 0192f0c1-7a3b-7c4d-8e5f-0123456789ab")]
    Replay(ReplayEvents),
}

#[derive(Debug, Args)]
pub(crate) struct EmitEvent {
    /// The event, such as InvitationEmailRequested.
    pub(crate) name: EventName,
    /// Its payload: JSON, @FILE, or - for standard input.
    #[arg(long, value_name = "JSON")]
    pub(crate) payload: PayloadSource,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct ListEvents {
    /// Only events of this name.
    #[arg(long)]
    pub(crate) name: Option<EventName>,
    /// Only events since then: a time such as 2026-11-23T10:00:00Z, or how long ago, such as 1h.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Since>,
    /// Only events until then, in the same forms.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Since>,
    /// Only events of this organization.
    #[arg(long, value_name = "ID")]
    pub(crate) organization: Option<OrganizationId>,
    #[command(flatten)]
    pub(crate) limit: Limit,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayEvents {
    /// Events of this name.
    #[arg(long, required_unless_present_any = ["id", "replay_id"])]
    pub(crate) name: Option<EventName>,
    /// This event; may be given several times.
    #[arg(long, value_name = "ID")]
    pub(crate) id: Vec<MessageId>,
    /// Only events since then: a time such as 2026-11-23T10:00:00Z, or how long ago, such as 1h.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Since>,
    /// Only events until then, in the same forms.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Since>,
    /// Only events of this organization.
    #[arg(long, value_name = "ID")]
    pub(crate) organization: Option<OrganizationId>,
    /// Only what they lead to here, such as receipts/send; or all.
    #[arg(long, value_name = "TOPIC/TASK", default_value = "all")]
    pub(crate) route: Route,
    /// The id of this replay, to ask for the same one again. Without it a new one is made, and printed.
    #[arg(long, value_name = "ID")]
    pub(crate) replay_id: Option<MessageId>,
    /// At most so many events, such as 50/s, 300/m or 20/h.
    #[arg(long, value_name = "RATE", default_value = "50/s")]
    pub(crate) rate: Rate,
    /// Print what would be published, and publish nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask; needed where nobody can answer.
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// One route of the events, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route(pub(crate) Option<DispatchTarget>);

impl std::str::FromStr for Route {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text == "all" {
            return Ok(Self(None));
        }
        text.parse().map(|target| Self(Some(target)))
    }
}
