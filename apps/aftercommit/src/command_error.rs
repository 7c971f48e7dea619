//! Why a command failed, in words for the person who typed it.

use std::process::ExitCode;

use aftercommit::config::ConfigErrors;
use aftercommit::{RunFileError, StartupError, report};

use crate::printable::printable;

#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// What was typed, or an argument that turned out to be wrong.
    #[error("{0}")]
    Usage(String),
    /// The person at the terminal did not want it.
    #[error("nothing was done")]
    NotConfirmed,
    /// The answer of `/admin/v1`.
    #[error("{detail} ({code})")]
    Problem { status: u16, code: String, detail: String },
    /// Some of several ids; each was reported.
    #[error("{failed} of {all} failed")]
    Some { failed: usize, all: usize, usage: bool },
    /// A bulk run stopped by itself, or cannot go on.
    #[error("{0}")]
    Bulk(String),
    #[error("cannot write the answer: {0}")]
    Output(std::io::Error),
    /// A file that is written on the way.
    #[error("cannot write {0}")]
    Unwritten(String),
    #[error("{0}")]
    RunFile(#[from] RunFileError),
    #[error("{0}")]
    Startup(#[from] StartupError),
    /// Neither the process nor the file can be asked.
    #[error("{file}\nprocess {pid}, which run.json names, cannot be asked at {url}: {reason}")]
    NoAnswer {
        file: StartupError,
        pid: u32,
        url: String,
        reason: String,
    },
    /// It broke off after the question was sent.
    #[error("{url} did not answer: {reason}; what was ordered may have been done all the same")]
    BrokenOff { url: String, reason: String },
    /// It answered with something that is not known here.
    #[error("the answer cannot be read: {0}; is the running process of another version?")]
    Unexpected(String),
}

impl From<ConfigErrors> for CommandError {
    fn from(errors: ConfigErrors) -> Self {
        Self::Startup(errors.into())
    }
}

impl CommandError {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Problem { .. } if self.is_usage() => 2,
            Self::Some { usage, .. } => 1 + u8::from(*usage),
            Self::Startup(error) => error.exit_code(),
            Self::Problem { .. }
            | Self::NotConfirmed
            | Self::Bulk(_)
            | Self::Output(_)
            | Self::Unwritten(_)
            | Self::RunFile(_)
            | Self::NoAnswer { .. }
            | Self::BrokenOff { .. }
            | Self::Unexpected(_) => 1,
        }
    }

    /// Whether the answer says that the question was wrong: an id that does not exist, a payload that is none.
    pub(crate) const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Usage(_)
                | Self::Problem {
                    status: 400 | 404 | 413 | 422,
                    ..
                }
        )
    }

    /// Tells it on standard error, one line for each problem.
    pub(crate) fn print(&self) {
        for line in self.to_string().lines() {
            eprintln!("aftercommit: {}", printable(line));
        }
    }

    /// Tells it, and answers the exit status.
    pub(crate) fn report(&self) -> ExitCode {
        if let Self::Startup(error) = self {
            return report(error);
        }
        self.print();
        ExitCode::from(self.exit_code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_tells_wrong_usage_from_what_may_pass() {
        let problem = |status| {
            CommandError::Problem {
                status,
                code: "x".into(),
                detail: "y".into(),
            }
            .exit_code()
        };
        assert_eq!([400, 404, 422].map(problem), [2; 3]);
        assert_eq!([401, 429, 500, 503].map(problem), [1; 4]);
    }

    #[test]
    fn a_problem_is_told_with_its_code() {
        let problem = CommandError::Problem {
            status: 404,
            code: "not_found".into(),
            detail: "no task".into(),
        };
        assert_eq!(problem.to_string(), "no task (not_found)");
    }
}
