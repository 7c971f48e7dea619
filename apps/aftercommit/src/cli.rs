//! What the command line accepts.

mod dead_letters;
mod demo;
mod events;
mod migrate;
mod no_command;
mod orders;
mod schedules;
mod show;
mod workflows;

use std::ffi::OsString;
use std::time::Duration;

use aftercommit::domain::contract::{OrganizationId, TaskName, TopicName};
use aftercommit::domain::tasks::TaskState;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::payload::PayloadSource;
use crate::time_arguments::delay;

pub(crate) use dead_letters::{
    ActOnDeadLetters, DeadLetterActions, DeadLetters, LetterFilter, ListDeadLetters, ReplayDeadLetters,
};
pub(crate) use demo::Demo;
pub(crate) use events::{EmitEvent, Events, ListEvents, ReplayEvents};
pub(crate) use migrate::{Migrate, MigrateQuestion};
pub(crate) use no_command::NoCommand;
pub(crate) use orders::{CancelTask, PauseTasks, PauseTerms, PauseTopic, ResumeTasks, ResumeTopic};
pub(crate) use schedules::{ListSchedules, PauseSchedule, ScheduleHistory, ScheduleName, Schedules};
pub(crate) use show::{Show, ShowInTree, ShowTask, TreeId};
pub(crate) use workflows::{
    ListWorkflows, NamedWorkflow, QueryWorkflow, SignalWorkflow, StartWorkflow, StopWorkflow, TerminateWorkflow,
    Workflows,
};

/// The asynchronous backbone of a multi-tenant SaaS. Commit. The rest follows.
#[derive(Debug, Parser)]
#[command(name = "aftercommit", version, after_help = EXAMPLES, arg_required_else_help = false)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Cli {
    /// Reads what was typed. `Err` is to be printed: help, the version, or what is wrong and the usage.
    pub(crate) fn read(arguments: &[OsString]) -> Result<Self, NoCommand> {
        let read = Self::try_parse_from(arguments).map_err(|mut error| {
            // Of a value that is refused, clap says only to ask for help.
            if error.use_stderr() && error.get(ContextKind::Usage).is_none() {
                error.insert(ContextKind::Usage, ContextValue::StyledStr(usage(arguments)));
            }
            NoCommand(error)
        })?;
        read.check(arguments).map_err(NoCommand)?;
        Ok(read)
    }

    /// Checks what only the whole command line tells.
    fn check(&self, arguments: &[OsString]) -> Result<(), clap::Error> {
        let Some(Command::Events(Events::Show(show)) | Command::Tasks(Tasks::Show(ShowTask { show, .. }))) =
            &self.command
        else {
            return Ok(());
        };
        show.message_id().map(drop).map_err(|problem| {
            let mut error = Self::command().error(clap::error::ErrorKind::ValueValidation, problem);
            error.insert(ContextKind::Usage, ContextValue::StyledStr(usage(arguments)));
            error
        })
    }
}

/// The usage of the command that was meant.
fn usage(arguments: &[OsString]) -> StyledStr {
    let mut command = Cli::command();
    command.build();
    for argument in arguments.iter().skip(1) {
        match command.find_subcommand(argument) {
            Some(next) => command = next.clone(),
            None => break,
        }
    }
    command.render_usage()
}

const EXAMPLES: &str = "\
Examples:
  aftercommit demo                               see it at work for half a minute
  aftercommit                                    run everything in one process
  aftercommit tasks list --state dead            what was given up
  aftercommit dead-letters list --group          which trouble there is most of
  aftercommit events list --since 1h --json      for scripts
  DATABASE_URL=sqlite:///srv/app.db aftercommit outbox status

The commands talk to the running process of the data directory; when none runs, they open the database themselves.
Exit status: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process; this is what happens without a command.
    #[command(after_help = "\
Configure it by environment variables or aftercommit.toml; `aftercommit config reference` lists all keys.

Examples:
  aftercommit run
  HTTP_ADDR=127.0.0.1:8080 AFTERCOMMIT_DATA_DIR=/srv/aftercommit aftercommit run")]
    Run,
    /// See it at work: drive the reference product with lifelike traffic, and see what becomes of everything.
    #[command(after_help = demo::EXAMPLES)]
    Demo(Demo),
    /// Emit events through the outbox, and look at those that were published.
    #[command(subcommand)]
    Events(Events),
    /// Publish tasks, and look at where they are.
    #[command(subcommand)]
    Tasks(Tasks),
    /// Look at tasks that were given up; run them again, or discard them.
    #[command(subcommand, visible_alias = "dead-letter")]
    DeadLetters(DeadLetters),
    /// Look at what waits to be published.
    #[command(subcommand)]
    Outbox(Outbox),
    /// See schedules and what became of their slots; run, pause and resume them.
    #[command(subcommand)]
    Schedules(Schedules),
    /// Start durable workflows, see where each waits, tell them something, end them.
    #[command(subcommand)]
    Workflows(Workflows),
    /// Look at topics: what each holds, who takes it, and what the broker keeps for it.
    #[command(subcommand)]
    Topics(Topics),
    /// Stop running what belongs to a topic, a task, an organization or a project, until it is resumed.
    #[command(after_help = orders::PAUSE_EXAMPLES)]
    Pause(PauseTasks),
    /// Let go on what was paused.
    Resume(ResumeTasks),
    /// List what is paused, by whom and why.
    Pauses(Output),
    /// Print what follows from which event.
    #[command(after_help = "\
Examples:
  aftercommit routes
  aftercommit routes --format mermaid > routes.mmd")]
    Routes(Routes),
    /// Bring the tables of a PostgreSQL database to this version. The embedded database does it by itself.
    #[command(after_help = "\
Uses AFTERCOMMIT_POSTGRES__MIGRATE_URL if it is set: a role that may create tables, past every pooler.

Examples:
  aftercommit migrate status
  aftercommit migrate --dry-run > migrations.sql
  aftercommit migrate --grant-to shop_app")]
    Migrate(Migrate),
    /// Try the database, the broker, the e-mail server and the workflow engine, and say what is wrong with them. Changes nothing.
    #[command(after_help = "\
Exit status: 0 everything works, 1 something does not, 78 the configuration is wrong.")]
    Doctor(Output),
    /// Check the configuration, or list all its keys.
    #[command(subcommand)]
    Config(Config),
}

const SHOW_EXAMPLES: &str = "\
With --tree the id may be that of an event, a task or a request (X-Request-Id), or any other correlation id.

Examples:
  aftercommit events show 0192f0c1-7a3b-7c4d-8e5f-0123456789ab
  aftercommit events show --tree 0192f0c1-7a3b-7c4d-8e5f-0123456789ab
  aftercommit tasks show --tree --json checkout-7731
  aftercommit tasks show --explain 0192f0c1-7a3b-7c4d-8e5f-0123456789ab";

/// How an answer is printed.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Output {
    /// Print one JSON document instead of text for people.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How much is listed.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Limit {
    /// At most this many, newest first.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tasks {
    /// Put a task on its topic.
    #[command(after_help = "\
Examples:
  aftercommit tasks publish invitation-email send --payload '{\"organization_id\": \"…\", \"invitation_id\": \"…\"}'
  aftercommit tasks publish invitation-email send --payload @task.json --delay 30s")]
    Publish(PublishTask),
    /// List tasks, newest first.
    #[command(after_help = "\
Examples:
  aftercommit tasks list
  aftercommit tasks list --topic invitation-email --state skipped")]
    List(ListTasks),
    /// Print everything that is kept of one task: state, attempts, reason, times, tenant and cause.
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ShowTask),
    /// Let a task not be run any more: one that waits is gone, one that runs is told to end.
    #[command(after_help = orders::CANCEL_EXAMPLES)]
    Cancel(CancelTask),
}

#[derive(Debug, Args)]
pub(crate) struct PublishTask {
    /// The topic, such as invitation-email.
    pub(crate) topic: TopicName,
    /// The task, such as send.
    pub(crate) task: TaskName,
    /// Its payload: JSON, @FILE, or - for standard input.
    #[arg(long, value_name = "JSON")]
    pub(crate) payload: PayloadSource,
    /// Not to run before this long from now, such as 30s or 1h 30m.
    #[arg(long, value_name = "DURATION", value_parser = delay, default_value = "0s", hide_default_value = true)]
    pub(crate) delay: Duration,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct ListTasks {
    /// Only tasks of this topic.
    #[arg(long)]
    pub(crate) topic: Option<TopicName>,
    /// Only tasks in this state.
    #[arg(long)]
    pub(crate) state: Option<State>,
    /// Only tasks of this organization.
    #[arg(long, value_name = "ID")]
    pub(crate) organization: Option<OrganizationId>,
    #[command(flatten)]
    pub(crate) limit: Limit,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// [`TaskState`] as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    /// Waits for its time
    Scheduled,
    /// Waits for a worker
    Available,
    /// A worker has it
    Running,
    /// Failed and waits for its next attempt
    Retryable,
    /// Held by a pause
    Paused,
    /// Done
    Completed,
    /// Ended without doing anything, with its reason
    Skipped,
    /// Must not run any more
    Cancelled,
    /// Given up; a dead letter
    Dead,
}

impl From<State> for TaskState {
    fn from(state: State) -> Self {
        match state {
            State::Scheduled => Self::Scheduled,
            State::Available => Self::Available,
            State::Running => Self::Running,
            State::Retryable => Self::Retryable,
            State::Paused => Self::Paused,
            State::Completed => Self::Completed,
            State::Skipped => Self::Skipped,
            State::Cancelled => Self::Cancelled,
            State::Dead => Self::Dead,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Outbox {
    /// Print how much waits, how old the oldest is, and how much each topic holds.
    Status(Output),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Topics {
    /// List them; with a broker also its queues and exchanges.
    List(Output),
    /// Stop running its tasks; the same as `aftercommit pause topic:NAME`.
    Pause(PauseTopic),
    /// Let it go on; the same as `aftercommit resume topic:NAME`.
    Resume(ResumeTopic),
}

#[derive(Debug, Args)]
pub(crate) struct Routes {
    /// How to print them.
    #[arg(long, value_enum, default_value_t = RoutesFormat::Table)]
    pub(crate) format: RoutesFormat,
    /// The same as --format json.
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoutesFormat {
    /// A table for people
    Table,
    /// A flow chart, for Markdown that draws Mermaid
    Mermaid,
    /// One JSON document, with the events and tasks as well
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check the configuration and print what holds, and where it comes from. Exit status 78 if it is wrong.
    Check(Output),
    /// List all keys with their defaults and accepted forms.
    Reference(Output),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_is_run() {
        assert!(Cli::try_parse_from(["aftercommit"]).unwrap().command.is_none());
    }

    #[test]
    fn a_tree_is_asked_for_by_any_correlation_id() {
        let arguments = ["aftercommit", "tasks", "show", "--tree", "order 7731"].map(OsString::from);
        Cli::read(&arguments).unwrap();
    }

    #[test]
    fn an_id_that_is_none_is_wrong_usage() {
        for arguments in [
            &["aftercommit", "tasks", "show", "1"][..],
            &["aftercommit", "tasks", "show", "--tree", ""],
            &["aftercommit", "events", "show", "0192F0C1-7A3B-7C4D-8E5F-0123456789AB"],
            &["aftercommit", "demo", "--rate", "0"],
            &["aftercommit", "demo", "--for", "0s"],
            &["aftercommit", "dead-letters", "replay", "x"],
            &["aftercommit", "dead-letters", "replay", "--rate", "fast"],
            &["aftercommit", "dead-letters", "replay", "--rate", "0/s", "--all"],
            &["aftercommit", "dead-letters", "actions", "--letter", "x"],
            &["aftercommit", "events", "replay", "--id", "x"],
            &["aftercommit", "pause", "topic:letters"],
            &["aftercommit", "pause", "letters", "--reason", "x"],
            &["aftercommit", "pause", "topic:letters", "--reason", "x", "--for", "0s"],
            &["aftercommit", "resume", "queue:letters"],
            &["aftercommit", "tasks", "cancel", "x", "--reason", "x"],
            &[
                "aftercommit",
                "events",
                "replay",
                "--name",
                "InvoicePaid",
                "--route",
                "receipts",
            ],
            &["aftercommit", "tasks", "list", "--limit", "0"],
            &["aftercommit", "workflows", "describe", "7/8"],
            &["aftercommit", "workflows", "start", "No Name", "9", "--payload", "{}"],
            &["aftercommit", "workflows", "cancel", "7/8/x/9"],
            &["aftercommit", "tasks", "list", "--topic", "No Topic"],
            &["aftercommit", "tasks", "list", "--nope"],
        ] {
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            assert_eq!(Cli::read(&arguments).unwrap_err().exit_code(), 2, "{arguments:?}");
        }
    }
}
