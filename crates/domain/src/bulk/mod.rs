//! Bulk runs: what an operator orders for many dead letters or events, done in bounded steps at a rate.

mod pace;
mod rate;
mod run;
mod runs;

pub use pace::{FAILED_SHARE, MOST_AT_ONCE, MOST_OPEN, Pace, WINDOW, WaitsFor, fates_looked_at, next_after, pace};
pub use rate::{InvalidRate, Rate};
pub use run::{BulkCursor, BulkRequest, BulkRun, BulkState};
pub use runs::{BEGIN_AGAIN_WITHIN, BegunBulkRun, BulkRuns, BulkRunsError, TakenBulkRun};
