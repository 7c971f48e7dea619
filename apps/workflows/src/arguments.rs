//! What the command line of the workflows accepts.

use std::ffi::OsString;

use clap::Parser;

/// Workflows of the reference product and their activities, on one task queue of a Temporal server.
#[derive(Debug, Parser)]
#[command(
    name = "aftercommit-workflows",
    version,
    after_help = "\
Everything else is configured by environment variables or aftercommit.toml; `aftercommit config reference` lists all keys.

Examples:
  TEMPORAL_ADDRESS=127.0.0.1:7233 aftercommit-workflows
  aftercommit-workflows --task-queue exports

Exit status: 0 stopped, 1 failed, 2 wrong usage, 78 wrong configuration."
)]
pub(crate) struct Arguments {
    /// The task queue that this process takes from, instead of AFTERCOMMIT_TEMPORAL__TASK_QUEUE
    #[arg(long, value_name = "NAME")]
    task_queue: Option<String>,
}

impl Arguments {
    /// Reads what was typed. `Err` is to be printed as it is: help, the version, or what is wrong and the usage.
    pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(arguments)
    }

    /// The variables that win over those of the environment.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let queue = self.task_queue.iter();
        queue
            .map(|queue| ("AFTERCOMMIT_TEMPORAL__TASK_QUEUE".to_owned(), queue.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definitions_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_task_queue_wins_over_the_environment() {
        let read = Arguments::read(["aftercommit-workflows", "--task-queue", "exports"].map(OsString::from));
        let variables = read.expect("that may be typed").variables();
        assert_eq!(
            variables,
            [("AFTERCOMMIT_TEMPORAL__TASK_QUEUE".to_owned(), "exports".to_owned())]
        );
    }
}
