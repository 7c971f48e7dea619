//! Counts what exists.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts in `0` for as long as it exists.
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Counted {
    pub(crate) fn within(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
