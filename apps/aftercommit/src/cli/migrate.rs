//! `aftercommit migrate`

use clap::{Args, Subcommand};

use crate::cli::Output;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Migrate {
    #[command(subcommand)]
    pub(crate) question: Option<MigrateQuestion>,
    /// Print the SQL that would be applied, for `psql` or a tool of your own, and apply nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Only this schema: `aftercommit`, or `reference` of the reference product. In the database of an application of your
    /// own it is `aftercommit`.
    #[arg(long, value_name = "NAME", value_parser = ["aftercommit", "reference"])]
    pub(crate) schema: Option<String>,
    /// Afterwards let this role use the tables, each tenant's rows for itself: the role of the application.
    #[arg(long, value_name = "ROLE", conflicts_with = "dry_run")]
    pub(crate) grant_to: Option<String>,
}

impl Migrate {
    /// Whether it is about this schema.
    pub(crate) fn is_chosen(&self, name: &str) -> bool {
        self.schema.as_deref().is_none_or(|schema| schema == name)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum MigrateQuestion {
    /// List every migration and whether it is applied.
    Status(Output),
}
