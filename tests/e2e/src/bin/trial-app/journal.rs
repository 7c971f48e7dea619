//! What the handler notes of its runs: a file that is on the disk before the next step is taken.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use aftercommit::prelude::*;
use aftercommit_e2e::trial::Run;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Journal(Arc<File>);

impl Journal {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self(Arc::new(file)))
    }

    /// Durable when it answers.
    pub(crate) async fn note(&self, run: &Run) -> Result<(), Stop> {
        let mut line = serde_json::to_string(run).retryable()?;
        line.push('\n');
        let file = Arc::clone(&self.0);
        // One write for each line, so that no two processes' lines are mixed.
        let noted = tokio::task::spawn_blocking(move || {
            (&*file).write_all(line.as_bytes())?;
            file.sync_data()
        });
        noted.await.retryable()?.retryable()
    }
}
