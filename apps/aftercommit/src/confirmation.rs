//! Asks before something is destroyed.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::command_error::CommandError;

/// `Ok` when it may be done: `yes` was given, or the person at the terminal says so.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<(), CommandError> {
    can_be_answered(yes)?;
    if yes {
        return Ok(());
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    let read = io::stderr()
        .flush()
        .and_then(|()| io::stdin().lock().read_line(&mut answer));
    match read {
        Ok(_) if ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()) => Ok(()),
        Ok(_) | Err(_) => Err(CommandError::NotConfirmed),
    }
}

/// `Ok` when `yes` was given or somebody is there to say it: to be asked before anything is opened.
pub(crate) fn can_be_answered(yes: bool) -> Result<(), CommandError> {
    if yes || (io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Ok(());
    }
    Err(CommandError::Usage(
        "nobody can be asked without a terminal; add --yes to do it".into(),
    ))
}
