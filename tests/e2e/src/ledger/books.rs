//! What the producers know of their commits.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use uuid::Uuid;

/// What the producers know of their commits, over all their files.
#[derive(Debug, Clone, Default)]
pub struct Books {
    /// A commit was begun at least once.
    pub attempted: BTreeSet<Uuid>,
    /// Known to be committed: answered so, or found when it was tried again.
    pub committed: BTreeSet<Uuid>,
    /// An answer was lost at least once.
    pub unknown: BTreeSet<Uuid>,
    /// Found when it was tried again: a commit without an answer had happened.
    pub found: BTreeSet<Uuid>,
    /// A try is known to have failed at least once.
    pub failed: BTreeSet<Uuid>,
}

impl Books {
    /// Reads every file of the folder. A last line that is being written is left out.
    pub(crate) fn read(folder: &Path) -> Self {
        let mut books = Self::default();
        for file in fs::read_dir(folder).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
            for line in whole.lines() {
                let (word, id) = line.split_once(' ').unwrap();
                let id = id.parse().unwrap();
                match word {
                    "attempt" => books.attempted.insert(id),
                    "ok" => books.committed.insert(id),
                    "found" => books.found.insert(id) && books.committed.insert(id),
                    "unknown" => books.unknown.insert(id),
                    "failed" => books.failed.insert(id),
                    other => panic!("{other}"),
                };
            }
        }
        books
    }
}
