//! The run sheet: which tasks are being run at this moment, kept where a killed process leaves it behind.
//!
//! It is written for every run, so it is a plain file and not a table: eight bytes at a place of their own, without a
//! flush. A kill keeps them, because the system has them already. A power cut may lose them, which only means that a run
//! is not counted as lost; it was not the task that cut the power.
//!
//! An entry is the number of a task; of one that runs with nothing beside it, the negative of it.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::lock_file::{beside, owner_only};

/// Where a run is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(usize);

/// The tasks being run.
#[derive(Debug)]
pub(crate) struct RunSheet {
    file: File,
    entries: Mutex<Entries>,
}

/// What was being run when the last process ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LostRuns {
    /// The tasks.
    pub(crate) seqs: Vec<i64>,
    /// Whether nothing ran beside it that may have been the cause.
    pub(crate) were_alone: bool,
}

#[derive(Debug, Default)]
struct Entries {
    /// What the file holds.
    bytes: Vec<u8>,
    free: Vec<usize>,
}

const ENTRY: usize = 8;

impl RunSheet {
    /// Opens the sheet of `database`. Also answers what was being run when the last process ended.
    pub(crate) fn open(database: &Path) -> io::Result<(Self, LostRuns)> {
        let mut file = owner_only().open(beside(database, "runs"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let entries = bytes
            .chunks_exact(ENTRY)
            .filter_map(|entry| entry.try_into().ok().map(i64::from_le_bytes));
        let lost = LostRuns::of(entries);
        let entries = Mutex::default();
        Ok((Self { file, entries }, lost))
    }

    /// Forgets what it held, once that is in the database.
    pub(crate) fn clear(&self) -> io::Result<()> {
        self.file.set_len(0)
    }

    /// Notes that a task is being run from now on.
    pub(crate) fn start(&self, seq: i64) -> Place {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let start = entries.free.pop().unwrap_or(entries.bytes.len());
        if start == entries.bytes.len() {
            entries.bytes.extend([0; ENTRY]);
        }
        entries.set(start, seq);
        self.write(&entries, start..start + ENTRY);
        Place(start)
    }

    /// Notes that from now on nothing else runs until the run of this task is over.
    pub(crate) fn mark_alone(&self, Place(start): Place, seq: i64) -> io::Result<()> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        // Another's by now when the lease was lost a moment ago.
        if entries.get(start) == seq {
            entries.set(start, -seq);
            self.try_to_write(&entries, start..start + ENTRY)?;
        }
        Ok(())
    }

    /// Notes that these runs are over, with one write for all.
    pub(crate) fn end(&self, ended: impl IntoIterator<Item = Place>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed: Option<Range<usize>> = None;
        for Place(start) in ended {
            entries.set(start, 0);
            entries.free.push(start);
            changed = Some(match changed {
                None => start..start + ENTRY,
                Some(changed) => changed.start.min(start)..changed.end.max(start + ENTRY),
            });
        }
        if let Some(changed) = changed {
            self.write(&entries, changed);
        }
    }

    fn write(&self, entries: &Entries, changed: Range<usize>) {
        if let Err(error) = self.try_to_write(entries, changed) {
            // The task runs all the same: only the count of lost runs depends on the sheet.
            tracing::warn!(%error, "the run sheet cannot be written; a lost run would not be counted");
        }
    }

    /// Under the lock, so that the file never falls behind a later change.
    fn try_to_write(&self, entries: &Entries, changed: Range<usize>) -> io::Result<()> {
        let offset = u64::try_from(changed.start).unwrap_or(u64::MAX);
        let bytes = entries.bytes.get(changed).unwrap_or_default();
        write_at(&self.file, bytes, offset)
    }
}

impl LostRuns {
    /// What the entries say. Tasks that were handed out beside one that ran alone waited for its end, and had not begun.
    fn of(entries: impl Iterator<Item = i64>) -> Self {
        let (alone, beside): (Vec<i64>, Vec<i64>) = entries.filter(|entry| *entry != 0).partition(|entry| *entry < 0);
        if alone.is_empty() {
            let were_alone = beside.len() == 1;
            return Self {
                seqs: beside,
                were_alone,
            };
        }
        Self {
            seqs: alone.into_iter().filter_map(i64::checked_neg).collect(),
            were_alone: true,
        }
    }
}

impl Entries {
    fn get(&self, start: usize) -> i64 {
        let entry = self.bytes.get(start..start + ENTRY);
        let entry = entry.and_then(|entry| entry.try_into().ok());
        entry.map_or(0, i64::from_le_bytes)
    }

    fn set(&mut self, start: usize, seq: i64) {
        if let Some(entry) = self.bytes.get_mut(start..start + ENTRY) {
            entry.copy_from_slice(&seq.to_le_bytes());
        }
    }
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, offset).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(entries: &[i64]) -> (Vec<i64>, bool) {
        let LostRuns { seqs, were_alone } = LostRuns::of(entries.iter().copied());
        (seqs, were_alone)
    }

    #[test]
    fn what_ran_beside_others_is_not_blamed_and_what_waited_for_one_that_ran_alone_was_not_lost() {
        assert_eq!(left(&[]), (vec![], false));
        assert_eq!(left(&[0, 7, 0]), (vec![7], true));
        assert_eq!(left(&[7, 0, 9]), (vec![7, 9], false));
        assert_eq!(left(&[7, -8, 9]), (vec![8], true));
        assert_eq!(left(&[i64::MIN]), (vec![], true));
    }
}
