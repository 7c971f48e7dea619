//! Lanes: a few loops that take what waits, many at a time, and write it together.
//!
//! One flush of the disk costs as much as hundreds of rows. While one lane waits for its commit, the next gathers.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

/// How many jobs may wait; more wait to be taken in.
const WAITING: usize = 4096;
/// The most of one batch: whoever waits for the same order keys waits for all of it.
const BATCH_JOBS: usize = 1024;
const BATCH_ROWS: usize = 2048;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Something to write.
pub(crate) trait Job: Send + 'static {
    fn rows(&self) -> usize;
    fn bytes(&self) -> usize;
}

/// Where lanes take jobs from. Clones share what waits.
pub(crate) struct Gathering<J> {
    waiting: Arc<Mutex<mpsc::Receiver<J>>>,
    /// The most rows of one batch, unless one job has more.
    most_rows: usize,
    /// Nothing more is taken in; what waits is still written.
    closing: CancellationToken,
}

impl<J> Clone for Gathering<J> {
    fn clone(&self) -> Self {
        Self {
            waiting: Arc::clone(&self.waiting),
            most_rows: self.most_rows,
            closing: self.closing.clone(),
        }
    }
}

/// Where jobs are handed in, and where lanes take them.
pub(crate) fn lanes<J: Job>(closing: CancellationToken) -> (mpsc::Sender<J>, Gathering<J>) {
    let (jobs, waiting) = mpsc::channel(WAITING);
    let gathering = Gathering {
        waiting: Arc::new(Mutex::new(waiting)),
        most_rows: BATCH_ROWS,
        closing,
    };
    (jobs, gathering)
}

impl<J> Gathering<J> {
    /// With smaller batches.
    pub(crate) fn of_rows(self, most_rows: usize) -> Self {
        Self { most_rows, ..self }
    }
}

impl<J: Job> Gathering<J> {
    /// Waits for a job and takes what waits beside it. `None` when nothing comes any more.
    pub(crate) async fn next(&self) -> Option<Vec<J>> {
        let mut waiting = self.waiting.lock().await;
        let first = loop {
            let is_open = !waiting.is_closed();
            tokio::select! {
                biased;
                first = waiting.recv() => break first?,
                () = self.closing.cancelled(), if is_open => {}
            }
            waiting.close();
        };
        let (mut rows, mut bytes) = (first.rows(), first.bytes());
        let mut batch = vec![first];
        while batch.len() < BATCH_JOBS && rows < self.most_rows && bytes < BATCH_BYTES {
            let Ok(job) = waiting.try_recv() else { break };
            rows += job.rows();
            bytes += job.bytes();
            batch.push(job);
        }
        Some(batch)
    }
}
