//! The run sheet: which tasks are being run at this moment, kept where a killed process leaves it behind.
//!
//! It is written for every run, so it is a plain file and not a table: eight bytes at a place of their own, without a
//! flush. A kill keeps them, because the system has them already. A power cut may lose them, which only means that a run
//! is not counted as lost; it was not the task that cut the power.

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

#[derive(Debug, Default)]
struct Entries {
    /// What the file holds.
    bytes: Vec<u8>,
    free: Vec<usize>,
}

const ENTRY: usize = 8;

impl RunSheet {
    /// Opens the sheet of `database`. Also answers the tasks that were being run when the last process ended.
    pub(crate) fn open(database: &Path) -> io::Result<(Self, Vec<i64>)> {
        let mut file = owner_only().open(beside(database, "runs"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let lost = bytes
            .chunks_exact(ENTRY)
            .filter_map(|entry| entry.try_into().ok().map(i64::from_le_bytes))
            .filter(|seq| *seq > 0)
            .collect();
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

    /// Under the lock, so that the file never falls behind a later change.
    fn write(&self, entries: &Entries, changed: Range<usize>) {
        let offset = u64::try_from(changed.start).unwrap_or(u64::MAX);
        let bytes = entries.bytes.get(changed).unwrap_or_default();
        if let Err(error) = write_at(&self.file, bytes, offset) {
            // The task runs all the same: only the count of lost runs depends on the sheet.
            tracing::warn!(%error, "the run sheet cannot be written; a lost run would not be counted");
        }
    }
}

impl Entries {
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
