//! The run sheet: which tasks are being run at this moment, kept where a killed process leaves it behind.
//!
//! It is written for every run, so it is a plain file and not a table: eight bytes at a place of their own, without a
//! flush. A kill keeps them, because the system has them already. A power cut may lose them, which only means that a run
//! is not counted as lost; it was not the task that cut the power.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::lock_file::{beside, owner_only};

/// Where a run is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u32);

/// The tasks being run.
#[derive(Debug)]
pub(crate) struct RunSheet {
    file: File,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    free: Vec<u32>,
    used: u32,
}

const ENTRY: u32 = 8;

impl RunSheet {
    /// Opens the sheet of `database`. Also answers the tasks that were being run when the last process ended.
    pub(crate) fn open(database: &Path) -> io::Result<(Self, Vec<i64>)> {
        let mut file = owner_only().open(beside(database, "runs"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let lost = bytes
            .chunks_exact(ENTRY as usize)
            .filter_map(|entry| entry.try_into().ok().map(i64::from_le_bytes))
            .filter(|seq| *seq > 0)
            .collect();
        let places = Mutex::default();
        Ok((Self { file, places }, lost))
    }

    /// Forgets what it held, once that is in the database.
    pub(crate) fn clear(&self) -> io::Result<()> {
        self.file.set_len(0)
    }

    /// Notes that a task is being run from now on.
    pub(crate) fn start(&self, seq: i64) -> Place {
        let place = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.free.pop().unwrap_or_else(|| {
                places.used += 1;
                places.used - 1
            })
        };
        self.write(place, seq);
        Place(place)
    }

    /// Notes that these runs are over.
    pub(crate) fn end(&self, ended: impl IntoIterator<Item = Place>) {
        for Place(place) in ended {
            self.write(place, 0);
            self.places
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .free
                .push(place);
        }
    }

    fn write(&self, place: u32, seq: i64) {
        if let Err(error) = write_at(&self.file, &seq.to_le_bytes(), u64::from(place) * u64::from(ENTRY)) {
            // The task runs all the same: only the count of lost runs depends on the sheet.
            tracing::warn!(%error, "the run sheet cannot be written; a lost run would not be counted");
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
