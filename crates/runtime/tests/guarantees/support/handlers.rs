//! Handlers written in a test.

use std::sync::{Arc, Mutex};

use aftercommit_domain::tasks::{Task, TaskContext, TaskHandler, TaskResult, completed};
use async_trait::async_trait;

/// A function as a handler.
pub(crate) struct Handler<F>(pub(crate) F);

#[async_trait]
impl<T, F, Fut> TaskHandler<T> for Handler<F>
where
    T: Task,
    F: Fn(T, TaskContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = TaskResult> + Send,
{
    async fn handle(&self, task: T, ctx: &TaskContext) -> TaskResult {
        (self.0)(task, ctx.clone()).await
    }
}

/// Completes everything.
pub(crate) struct Completes;

#[async_trait]
impl<T: Task> TaskHandler<T> for Completes {
    async fn handle(&self, _task: T, _ctx: &TaskContext) -> TaskResult {
        completed()
    }
}

/// What a test saw, in order. Clones share it.
pub(crate) struct Seen<T>(Arc<Mutex<Vec<T>>>);

impl<T: Clone> Seen<T> {
    pub(crate) fn nothing() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn add(&self, value: T) {
        self.0.lock().unwrap().push(value);
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
