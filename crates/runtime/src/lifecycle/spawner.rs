//! What runs the loops and attempts of a process.

use futures::future::BoxFuture;

/// Runs the loops and attempts of a process. Without one, the runtime does that an engine is started in.
///
/// A simulation has its own: it drops everything a process does at once, as a crash would, or leaves it standing for a
/// while, as a stopped machine would.
pub trait Spawner: Send + Sync {
    /// Runs `future` to its end, beside everything else. Must not block.
    fn spawn(&self, future: BoxFuture<'static, ()>);
}
