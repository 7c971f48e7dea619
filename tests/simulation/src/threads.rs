//! What a process does at once: it can stand still, and it can die with everything it has in memory.

use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use aftercommit_runtime::lifecycle::Spawner;
use futures::future::BoxFuture;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// Everything a process does at once.
#[derive(Default)]
pub(crate) struct Threads {
    inner: Mutex<Inner>,
    death: CancellationToken,
}

#[derive(Default)]
struct Inner {
    condition: Condition,
    /// Those that wanted to go on while the process stood still.
    waiting: Vec<Waker>,
    threads: Vec<(Weak<Thread>, AbortHandle)>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Condition {
    #[default]
    Running,
    StandingStill,
    Dead,
}

/// `None` once it has ended.
type Thread = Mutex<Option<BoxFuture<'static, ()>>>;

impl Threads {
    /// Nothing of it goes on until [`go_on`](Self::go_on).
    pub(crate) fn stand_still(&self) {
        let mut inner = self.lock();
        if inner.condition == Condition::Running {
            inner.condition = Condition::StandingStill;
        }
    }

    pub(crate) fn go_on(&self) {
        let waiting = {
            let mut inner = self.lock();
            if inner.condition == Condition::StandingStill {
                inner.condition = Condition::Running;
            }
            std::mem::take(&mut inner.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// All of it is gone, wherever it was. What calls this from within is gone at its next await.
    pub(crate) fn die(&self) {
        let threads = {
            let mut inner = self.lock();
            inner.condition = Condition::Dead;
            inner.waiting.clear();
            std::mem::take(&mut inner.threads)
        };
        for (thread, task) in threads {
            if let Some(thread) = thread.upgrade() {
                // The one that is at work right now, and calls this, sees it when it next waits.
                let gone = thread.try_lock().ok().and_then(|mut future| future.take());
                drop(gone);
            }
            task.abort();
        }
        self.death.cancel();
    }

    /// The same, from within.
    pub(crate) async fn die_here(&self) -> ! {
        self.die();
        pending().await
    }

    /// Returns once it is dead.
    pub(crate) async fn dead(&self) {
        self.death.cancelled().await;
    }

    /// Whether it neither stands still nor is dead.
    pub(crate) fn are_running(&self) -> bool {
        self.lock().condition == Condition::Running
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads of a process, to start more of them.
pub(crate) struct ThreadSpawner(pub(crate) Arc<Threads>);

impl Spawner for ThreadSpawner {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is what everything of a simulated process is started by"
    )]
    fn spawn(&self, future: BoxFuture<'static, ()>) {
        let threads = Arc::clone(&self.0);
        if threads.lock().condition == Condition::Dead {
            return;
        }
        let thread: Arc<Thread> = Arc::new(Mutex::new(Some(future)));
        let weak = Arc::downgrade(&thread);
        let task = tokio::spawn(Running {
            thread,
            threads: Arc::clone(&threads),
        });
        let mut inner = threads.lock();
        // Those that ended are forgotten now and then, so that a long life does not add them up.
        if inner.threads.len() >= 64 {
            inner.threads.retain(|(thread, _)| thread.strong_count() > 0);
        }
        inner.threads.push((weak, task.abort_handle()));
    }
}

struct Running {
    thread: Arc<Thread>,
    threads: Arc<Threads>,
}

impl Future for Running {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        {
            let mut inner = self.threads.lock();
            match inner.condition {
                Condition::Running => {}
                Condition::StandingStill => {
                    inner.waiting.push(context.waker().clone());
                    return Poll::Pending;
                }
                Condition::Dead => return Poll::Ready(()),
            }
        }
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(future) = thread.as_mut() else {
            return Poll::Ready(());
        };
        let polled = future.as_mut().poll(context);
        if polled.is_ready() || self.threads.lock().condition == Condition::Dead {
            *thread = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
