//! `aftercommit schedules`: what may be typed.

use std::time::Duration;

use aftercommit::domain::contract::{OrganizationId, ProjectId, ScheduleKey};
use aftercommit::domain::time::Timestamp;
use clap::{Args, Subcommand};

use super::{Limit, Output};
use crate::time_arguments::delay;

#[derive(Debug, Subcommand)]
pub(crate) enum Schedules {
    /// List schedules: when each fires next, and what became of its last slot.
    #[command(after_help = "\
Examples:
  aftercommit schedules list
  aftercommit schedules list --organization 7 --json")]
    List(ListSchedules),
    /// Print everything about one schedule, with its next five slots.
    #[command(after_help = "\
Examples:
  aftercommit schedules show weekly-digest
  aftercommit schedules show nightly-report --organization 7 --project 8")]
    Show(ScheduleName),
    /// Publish its task at once, besides its slots; also while it is paused.
    #[command(after_help = "\
Where it must not overlap and its last task is not over, it is skipped.

Examples:
  aftercommit schedules run weekly-digest")]
    Run(ScheduleName),
    /// Let it not fire until it is resumed; its slots are recorded as skipped.
    #[command(after_help = "\
Examples:
  aftercommit schedules pause weekly-digest --reason 'the mail server moves'
  aftercommit schedules pause weekly-digest --reason 'holidays' --for 14d
  aftercommit schedules pause weekly-digest --reason 'holidays' --until 2027-01-07T00:00:00Z")]
    Pause(PauseSchedule),
    /// Let it fire again.
    #[command(after_help = "\
Examples:
  aftercommit schedules resume weekly-digest")]
    Resume(ScheduleName),
    /// List what became of its slots, newest first: fired, skipped and why, missed.
    #[command(after_help = "\
Examples:
  aftercommit schedules history weekly-digest
  aftercommit schedules history weekly-digest --limit 200 --json")]
    History(ScheduleHistory),
}

#[derive(Debug, Args)]
pub(crate) struct ListSchedules {
    /// Only schedules of this organization and its projects.
    #[arg(long, value_name = "ID")]
    pub(crate) organization: Option<OrganizationId>,
    /// At most this many, by tenant and key.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Which schedule.
#[derive(Debug, Args)]
pub(crate) struct ScheduleName {
    /// Its key, such as weekly-digest.
    pub(crate) key: ScheduleKey,
    /// The organization it belongs to. Defaults to none: the system's own.
    #[arg(long, value_name = "ID")]
    pub(crate) organization: Option<OrganizationId>,
    /// The project it belongs to.
    #[arg(long, value_name = "ID", requires = "organization")]
    pub(crate) project: Option<ProjectId>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct PauseSchedule {
    #[command(flatten)]
    pub(crate) name: ScheduleName,
    /// Why, for whoever asks.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Until this time, such as 2027-01-07T00:00:00Z.
    #[arg(long, value_name = "TIME", conflicts_with = "for_long")]
    pub(crate) until: Option<Timestamp>,
    /// For this long, such as 30m or 14d.
    #[arg(long = "for", value_name = "DURATION", value_parser = delay)]
    pub(crate) for_long: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct ScheduleHistory {
    #[command(flatten)]
    pub(crate) name: ScheduleName,
    #[command(flatten)]
    pub(crate) limit: Limit,
}
