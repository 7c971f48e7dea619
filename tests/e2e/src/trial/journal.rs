//! What the handlers of all processes noted of their runs.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// One run of a handler, noted before it did anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The task's id.
    pub task: String,
    /// The trial it is about.
    pub trial: u32,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// When it began, in milliseconds since 1970.
    pub at: i64,
    /// The id of the process.
    pub process: u32,
}

/// All of them in the order they began.
pub(crate) fn read(path: &Path) -> Vec<Run> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => panic!("{error}"),
    };
    // A line that is being written has no end yet.
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Those of one trial.
pub fn runs_of(runs: &[Run], trial: u32) -> Vec<Run> {
    runs.iter().filter(|run| run.trial == trial).cloned().collect()
}
