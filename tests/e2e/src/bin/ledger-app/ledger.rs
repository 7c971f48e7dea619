//! What a producer knows of its commits: a file that is on the disk before the next step is taken.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use aftercommit::domain::ids::MessageId;

pub(crate) struct Ledger(File);

impl Ledger {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(OpenOptions::new().create(true).append(true).open(path)?))
    }

    /// `attempt` before a commit, and after it: `ok`, `unknown`, `failed`, or `found` when an earlier one had succeeded.
    pub(crate) fn note(&mut self, word: &str, id: MessageId) -> io::Result<()> {
        self.0.write_all(format!("{word} {id}\n").as_bytes())?;
        self.0.sync_data()
    }
}
