//! The writer: takes the engine's own writes, many at a time, and commits them together.
//!
//! One flush of the disk costs as much as hundreds of rows. So whatever waits when the connection is free goes into one
//! transaction, and each caller is answered after that commit: `Ok` means durable, for every one of them. When one write
//! of a group fails, the group is rolled back and each of its writes gets a transaction of its own, so that a bad one
//! spoils nobody else's.

mod group;

use std::fmt;

use aftercommit_domain::unit_of_work::{CommitError, StoreError};
use async_trait::async_trait;
use futures::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use crate::columns::{Trouble, trouble};
use crate::queue::coalescing::CoalesceJob;
use crate::queue::insertion::PublishJob;
use crate::queue::settlement::SettleJob;

pub(crate) use group::{GroupWriter, WriterContext};

/// How many writes may wait; more wait to be taken in.
const WAITING: usize = 4096;

/// Something the engine writes.
pub(crate) enum Job {
    /// Tasks to put on their topics; all of a group become one statement per few dozen.
    Publish(PublishJob),
    /// Tasks that are to be coalesced; all of a group are planned as one.
    Coalesce(CoalesceJob),
    /// A delivery to settle; all of a group become a handful of statements.
    Settle(SettleJob),
    /// Anything else.
    Other(Box<dyn Work>),
}

impl Job {
    /// How many bytes and tasks it adds to a group.
    fn adds(&self) -> (usize, usize) {
        match self {
            Self::Publish(publish) => (publish.bytes(), publish.tasks()),
            Self::Coalesce(coalesce) => (coalesce.bytes(), coalesce.tasks()),
            Self::Settle(_) | Self::Other(_) => (0, 0),
        }
    }
}

/// A write of its own kind. `apply` may be called twice: again alone after its group was rolled back.
#[async_trait]
pub(crate) trait Work: Send {
    async fn apply(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error>;

    /// Called once, after the commit or when it is given up.
    fn finish(self: Box<Self>, result: Result<(), WriteError>);
}

/// A write was not done, or it is not known whether it was.
#[derive(Debug, Clone)]
pub(crate) enum WriteError {
    /// Not done: away, busy, or no room.
    Unavailable(String),
    /// Not done: the statement was refused.
    Refused(String),
    /// Done or not done.
    Unknown(String),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(reason) | Self::Refused(reason) | Self::Unknown(reason) => f.write_str(reason),
        }
    }
}

impl WriteError {
    /// What it means to whoever asked the store for `operation`.
    pub(crate) fn into_store_error(self, operation: &'static str) -> StoreError {
        match self {
            Self::Unavailable(reason) | Self::Unknown(reason) => StoreError::Unavailable { operation, reason },
            Self::Refused(reason) => StoreError::Refused { operation, reason },
        }
    }
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        match trouble(&error) {
            Trouble::Away => Self::Unavailable(error.to_string()),
            Trouble::Refused | Trouble::Duplicate => Self::Refused(error.to_string()),
        }
    }
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable { reason, .. } | StoreError::Conflict { reason, .. } => Self::Unavailable(reason),
            StoreError::Refused { .. } | StoreError::Duplicate { .. } | StoreError::Corrupt { .. } => {
                Self::Refused(error.to_string())
            }
        }
    }
}

impl From<CommitError> for WriteError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::RolledBack { reason } | CommitError::Conflict { reason } => Self::Unavailable(reason),
            CommitError::Refused { reason } => Self::Refused(reason),
            CommitError::Unknown { reason } => Self::Unknown(reason),
        }
    }
}

/// Hands writes to the writer.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// A writer and the queue it takes from.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Job>) {
        let (jobs, waiting) = mpsc::channel(WAITING);
        (Self { jobs }, waiting)
    }

    /// Hands over a write; waits while too many do. `Err` when the database is closed: nothing was written, and the job
    /// is given back.
    pub(crate) async fn submit(&self, job: Job) -> Result<(), Job> {
        self.jobs.send(job).await.map_err(|error| error.0)
    }

    /// Writes with a function of its own and answers what it answered, once that is durable. `run` may be called twice.
    /// `after` is called with the result by the writer itself, whether or not anyone still waits.
    pub(crate) async fn call<T, F, A>(&self, run: F, after: A) -> Result<T, WriteError>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + 'static,
        A: FnOnce(&Result<T, WriteError>) + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let call = Call {
            run,
            value: None,
            after,
            reply,
        };
        if let Err(Job::Other(call)) = self.submit(Job::Other(Box::new(call))).await {
            call.finish(Err(closed()));
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }
}

/// The answer after the writer has ended.
pub(crate) fn closed() -> WriteError {
    WriteError::Unavailable("the database is closed".into())
}

struct Call<T, F, A> {
    run: F,
    value: Option<T>,
    after: A,
    reply: oneshot::Sender<Result<T, WriteError>>,
}

#[async_trait]
impl<T, F, A> Work for Call<T, F, A>
where
    T: Send,
    F: for<'c> Fn(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send,
    A: FnOnce(&Result<T, WriteError>) + Send,
{
    async fn apply(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        self.value = Some((self.run)(connection).await?);
        Ok(())
    }

    fn finish(self: Box<Self>, result: Result<(), WriteError>) {
        let Self {
            value, after, reply, ..
        } = *self;
        let result = result.and_then(|()| value.ok_or_else(closed));
        after(&result);
        // Nobody waits any more; what was written stays written.
        let _ = reply.send(result);
    }
}
