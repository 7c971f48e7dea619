//! What the command line of the workers accepts.

use std::collections::BTreeSet;
use std::ffi::OsString;

use aftercommit::config::Role;
use aftercommit::domain::contract::TopicName;
use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser};

/// What `--roles` and `--topics` take for everything.
const ALL: &str = "all";

/// Workers of the reference product: relay, dispatcher, topics, scheduler and maintenance, or some of them.
#[derive(Debug, Parser)]
#[command(
    name = "aftercommit-workers",
    version,
    after_help = "\
Everything else is configured by environment variables or aftercommit.toml; `aftercommit config reference` lists all keys.

Examples:
  aftercommit-workers                                   everything
  aftercommit-workers --roles relay,dispatcher
  aftercommit-workers --roles topics --topics invitation-email,magic-link-email

Exit status: 0 stopped, 1 failed, 2 wrong usage, 78 wrong configuration."
)]
pub(crate) struct Arguments {
    /// What this process does, instead of AFTERCOMMIT_WORKER__ROLES
    #[arg(
        long,
        value_name = "ROLE",
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(std::iter::once(ALL).chain(Role::ALL.map(Role::as_str)))
    )]
    roles: Vec<String>,
    /// The topics that this process runs, instead of AFTERCOMMIT_WORKER__TOPICS; all for all
    #[arg(long, value_name = "TOPIC", value_delimiter = ',')]
    topics: Vec<TopicName>,
}

impl Arguments {
    /// Reads what was typed. `Err` is to be printed as it is: help, the version, or what is wrong and the usage.
    pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let read = Self::try_parse_from(arguments)?;
        let problem = if has_all_beside_others(&read.role_words()) {
            "--roles has all beside others"
        } else if has_all_beside_others(&read.topic_words()) {
            "--topics has all beside others"
        } else if read.runs_no_topics() && !read.topics.is_empty() {
            "--topics needs topics among --roles"
        } else {
            return Ok(read);
        };
        Err(Self::command().error(ErrorKind::ArgumentConflict, problem))
    }

    /// The variables that win over those of the environment.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let roles = joined(&self.role_words()).map(|roles| ("AFTERCOMMIT_WORKER__ROLES", roles));
        // A choice of topics that the environment makes is for processes that run some.
        let no_choice = self.runs_no_topics().then(|| ALL.to_owned());
        let topics = joined(&self.topic_words())
            .or(no_choice)
            .map(|topics| ("AFTERCOMMIT_WORKER__TOPICS", topics));
        roles
            .into_iter()
            .chain(topics)
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    fn role_words(&self) -> BTreeSet<&str> {
        self.roles.iter().map(String::as_str).collect()
    }

    fn topic_words(&self) -> BTreeSet<&str> {
        self.topics.iter().map(TopicName::as_str).collect()
    }

    /// Whether it is said here that no topic is run.
    fn runs_no_topics(&self) -> bool {
        let roles = self.role_words();
        !roles.is_empty() && !roles.contains(ALL) && !roles.contains(Role::Topics.as_str())
    }
}

fn has_all_beside_others(words: &BTreeSet<&str>) -> bool {
    words.contains(ALL) && words.len() > 1
}

fn joined(words: &BTreeSet<&str>) -> Option<String> {
    (!words.is_empty()).then(|| words.iter().copied().collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Arguments, clap::Error> {
        let program = OsString::from("aftercommit-workers");
        Arguments::read(std::iter::once(program).chain(arguments.iter().map(OsString::from)))
    }

    #[test]
    fn the_definitions_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_is_said_wins_over_the_environment_and_what_is_not_said_does_not() {
        const ROLES: &str = "AFTERCOMMIT_WORKER__ROLES";
        const TOPICS: &str = "AFTERCOMMIT_WORKER__TOPICS";
        for (arguments, expected) in [
            (&[][..], &[][..]),
            (&["--roles", "all"], &[(ROLES, "all")]),
            (&["--roles", "topics,relay"], &[(ROLES, "relay,topics")]),
            (&["--roles", "relay"], &[(ROLES, "relay"), (TOPICS, "all")]),
            (&["--topics", "b,a,b"], &[(TOPICS, "a,b")]),
            (&["--topics", "all"], &[(TOPICS, "all")]),
            (
                &["--roles=topics", "--topics=a", "--topics=b"],
                &[(ROLES, "topics"), (TOPICS, "a,b")],
            ),
        ] {
            let variables = read(arguments).unwrap().variables();
            let variables: Vec<_> = variables.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!(variables, expected, "{arguments:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_wrong_usage() {
        for (arguments, text) in [
            (
                &["--roles", "relya"][..],
                "[possible values: all, relay, dispatcher, topics, scheduler, maintenance]",
            ),
            (&["--roles", ""], "[possible values: "),
            (&["--roles"], "a value is required"),
            (&["--roles", "all,relay"], "--roles has all beside others"),
            (&["--topics", "No Topic"], "lower-kebab-case"),
            (&["--topics", "a,,b"], "lower-kebab-case"),
            (&["--topics", "all,a"], "--topics has all beside others"),
            (
                &["--roles", "relay", "--topics", "a"],
                "--topics needs topics among --roles",
            ),
            (&["--role", "relay"], "--roles"),
            (&["run"], "unexpected argument"),
        ] {
            let error = read(arguments).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{arguments:?}");
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
