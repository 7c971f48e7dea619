//! The signals to stop, and the stop itself, on a thread of their own: a handler that keeps its thread may keep the runtime
//! from hearing signals and from noticing that time has passed.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long `main` may take to return after a stop that left something behind.
const LAST_GRACE: Duration = Duration::from_secs(1);

/// The first two signals to stop. Its thread ends when this is dropped.
pub(crate) struct StopSignals {
    first: CancellationToken,
    second: CancellationToken,
    thread: Handle,
    _end: DropGuard,
}

impl StopSignals {
    /// Listens from here on.
    pub(crate) fn listen() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = runtime.handle().clone();
        let mut signals = {
            let _in_it = thread.enter();
            Signals {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            }
        };
        let (first, second, end) = <(CancellationToken, CancellationToken, CancellationToken)>::default();
        let (tell_first, tell_second, ended) = (first.clone(), second.clone(), end.clone());
        let listening = async move {
            signals.next().await;
            tell_first.cancel();
            signals.next().await;
            tell_second.cancel();
            std::future::pending::<()>().await;
        };
        std::thread::Builder::new()
            .name("stop".into())
            .spawn(move || runtime.block_on(ended.run_until_cancelled(listening)))?;
        Ok(Self {
            first,
            second,
            thread,
            _end: end.drop_guard(),
        })
    }

    /// Returns when the process is told to stop.
    pub(crate) async fn first(&self) {
        self.first.cancelled().await;
    }

    /// Runs the stop. `None` when the second signal came before it was over; then it was dropped.
    pub(crate) async fn stop<T: Send + 'static>(&self, stop: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let mut stop = self.thread.spawn(stop);
        tokio::select! {
            stopped = &mut stop => stopped.ok(),
            () = self.second.cancelled() => {
                stop.abort();
                // What it had is gone before anybody is answered.
                let _ = stop.await;
                None
            }
        }
    }
}

/// Ends the process, which left something behind, when `main` does not: the runtime waits for who keeps its thread.
pub(crate) fn end_soon() {
    std::thread::spawn(|| {
        std::thread::sleep(LAST_GRACE);
        #[expect(clippy::disallowed_methods, reason = "everything was closed that could be")]
        std::process::exit(1);
    });
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
