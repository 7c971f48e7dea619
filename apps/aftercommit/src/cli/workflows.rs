//! `aftercommit workflows`: what may be typed.

use aftercommit::domain::contract::{OrganizationId, ProjectId, SignalName, WorkflowKey, WorkflowName};
use aftercommit::workflows::{WorkflowId, WorkflowStatus};
use clap::{Args, Subcommand, ValueEnum};

use super::{Limit, Output};
use crate::payload::PayloadSource;

#[derive(Debug, Subcommand)]
pub(crate) enum Workflows {
    /// List workflows by their newest runs, the ones started last in front.
    #[command(after_help = "\
Examples:
  aftercommit workflows list --status running
  aftercommit workflows list --organization 7 --project 8 --workflow collect-payment --json")]
    List(ListWorkflows),
    /// Ask for a workflow through the outbox: it waits as long as its engine is away.
    #[command(after_help = "\
Examples:
  aftercommit workflows start collect-payment 9 --payload '{\"organization_id\": \"7\", \"project_id\": \"8\", \"invoice_id\": 9}'
  aftercommit workflows start collect-payment 9 --payload @input.json")]
    Start(StartWorkflow),
    /// Print how a workflow stands: the steps it waits for, and since when.
    #[command(after_help = "\
Examples:
  aftercommit workflows describe 7/8/collect-payment/9")]
    Describe(NamedWorkflow),
    /// Tell a running workflow something.
    #[command(after_help = "\
Examples:
  aftercommit workflows signal 7/8/collect-payment/9 payment-received --payload '{\"amount\": 12}'")]
    Signal(SignalWorkflow),
    /// Print what a workflow has published last under a key.
    #[command(after_help = "\
Examples:
  aftercommit workflows query 7/8/collect-payment/9 progress")]
    Query(QueryWorkflow),
    /// Ask a running workflow to clean up and end.
    #[command(after_help = "\
Examples:
  aftercommit workflows cancel 7/8/collect-payment/9 --reason 'paid by hand'")]
    Cancel(StopWorkflow),
    /// End a running workflow where it stands, without asking its code.
    #[command(after_help = "\
Examples:
  aftercommit workflows terminate 7/8/collect-payment/9 --reason 'stuck' --yes")]
    Terminate(TerminateWorkflow),
}

#[derive(Debug, Args)]
pub(crate) struct ListWorkflows {
    /// Only of this organization; without a project, those of the organization itself.
    #[arg(long, value_name = "ID")]
    pub(crate) organization: Option<OrganizationId>,
    /// Only of this project.
    #[arg(long, value_name = "ID", requires = "organization")]
    pub(crate) project: Option<ProjectId>,
    /// Only of this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<WorkflowName>,
    /// Only those that stand so.
    #[arg(long)]
    pub(crate) status: Option<Status>,
    /// The page after the one that ended with this.
    #[arg(long, value_name = "PAGE")]
    pub(crate) after: Option<String>,
    #[command(flatten)]
    pub(crate) limit: Limit,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct StartWorkflow {
    /// The workflow, such as collect-payment.
    pub(crate) workflow: WorkflowName,
    /// What tells it from the others of its tenant, such as 9.
    pub(crate) key: WorkflowKey,
    /// Its input: JSON, @FILE, or - for standard input.
    #[arg(long, value_name = "JSON")]
    pub(crate) payload: PayloadSource,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Which workflow.
#[derive(Debug, Args)]
pub(crate) struct NamedWorkflow {
    /// Its id, as a list prints it: organization/project/name/key.
    pub(crate) id: WorkflowId,
    /// Refuse an id of another organization than this.
    #[arg(long, value_name = "ID")]
    pub(crate) organization: Option<OrganizationId>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct SignalWorkflow {
    #[command(flatten)]
    pub(crate) workflow: NamedWorkflow,
    /// The signal, such as payment-received.
    pub(crate) signal: SignalName,
    /// What it says: JSON, @FILE, or - for standard input.
    #[arg(long, value_name = "JSON", default_value = "null")]
    pub(crate) payload: PayloadSource,
}

#[derive(Debug, Args)]
pub(crate) struct QueryWorkflow {
    #[command(flatten)]
    pub(crate) workflow: NamedWorkflow,
    /// The key it publishes under.
    pub(crate) key: String,
}

#[derive(Debug, Args)]
pub(crate) struct StopWorkflow {
    #[command(flatten)]
    pub(crate) workflow: NamedWorkflow,
    /// Why, for whoever asks.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct TerminateWorkflow {
    #[command(flatten)]
    pub(crate) stop: StopWorkflow,
    /// Do it without asking.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// [`WorkflowStatus`] as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Status {
    /// Open
    Running,
    /// It answered
    Completed,
    /// It failed
    Failed,
    /// It was cancelled, and ended so
    Cancelled,
    /// It was ended from outside
    Terminated,
    /// Its engine ended it because its time was over
    TimedOut,
    /// It goes on as a newer run
    ContinuedAsNew,
}

impl From<Status> for WorkflowStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Running => Self::Running,
            Status::Completed => Self::Completed,
            Status::Failed => Self::Failed,
            Status::Cancelled => Self::Cancelled,
            Status::Terminated => Self::Terminated,
            Status::TimedOut => Self::TimedOut,
            Status::ContinuedAsNew => Self::ContinuedAsNew,
        }
    }
}
