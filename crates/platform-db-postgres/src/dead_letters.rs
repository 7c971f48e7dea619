//! Dead letters: tasks that were given up, kept to be understood and replayed.

mod acting;
mod operations;
mod rows;

use std::fmt;
use std::sync::Arc;

use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{DeadLetter, DeadLetterAct, DeadLetterFilter, DeadLetters, DeadLettersError};
use async_trait::async_trait;

use crate::database::{Inner, LIST_CAP, LIST_DEFAULT};
use crate::trouble::told;
use crate::wake::Wake;
use acting::By;
use rows::{FITS, LETTER, LetterRow, bind_filter, insert};

/// The dead letters of a database.
#[derive(Clone)]
pub struct PostgresDeadLetters {
    pub(crate) database: Arc<Inner>,
    pub(crate) replay_into: ReplayInto,
}

/// Where a replayed task goes, in the transaction that removes its letter.
#[derive(Debug, Clone)]
pub enum ReplayInto {
    /// The queue in this database; whoever waits for its tasks is woken.
    Tasks(Arc<Wake>),
    /// The outbox: a relay puts it on its topic, wherever that is.
    Outbox,
}

#[async_trait]
impl DeadLetters for PostgresDeadLetters {
    async fn add(&self, letter: DeadLetter) -> Result<(), DeadLettersError> {
        self.database
            .engine
            .run(move |connection| Box::pin(async move { insert(connection, letter).await }))
            .await
            .map_err(|error| unavailable("add", &error))
    }

    async fn list(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, DeadLettersError> {
        let filter = filter.clone();
        let sql = format!(
            "SELECT {LETTER} FROM aftercommit.dead_letters AS letter WHERE {FITS} ORDER BY entry DESC LIMIT $8"
        );
        let rows = self.database.console.run(move |connection| {
            Box::pin(async move {
                bind_filter!(sqlx::query_as::<_, LetterRow>(sqlx::AssertSqlSafe(sql)), filter)
                    .bind(i64::from(filter.limit.unwrap_or(LIST_DEFAULT).min(LIST_CAP)))
                    .fetch_all(connection)
                    .await
            })
        });
        let rows = rows.await.map_err(|error| unavailable("list", &error))?;
        let limits = &self.database.services.limits;
        rows.into_iter().map(|row| row.into_letter(limits)).collect()
    }

    async fn find(&self, id: MessageId) -> Result<Option<DeadLetter>, DeadLettersError> {
        let sql = format!("SELECT {LETTER} FROM aftercommit.dead_letters AS letter WHERE id = $1");
        let row = self.database.console.run(move |connection| {
            Box::pin(async move {
                sqlx::query_as::<_, LetterRow>(sqlx::AssertSqlSafe(sql))
                    .bind(id.uuid())
                    .fetch_optional(connection)
                    .await
            })
        });
        let row = row.await.map_err(|error| unavailable("find", &error))?;
        row.map(|row| row.into_letter(&self.database.services.limits))
            .transpose()
    }

    async fn replay(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError> {
        self.act(ids, By::one(DeadLetterAct::Replay, actor)).await
    }

    async fn discard(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError> {
        self.act(ids, By::one(DeadLetterAct::Discard, actor)).await
    }
}

impl fmt::Debug for PostgresDeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDeadLetters").finish_non_exhaustive()
    }
}

fn unavailable(operation: &'static str, error: &sqlx::Error) -> DeadLettersError {
    DeadLettersError::Unavailable {
        operation,
        reason: told(error),
    }
}
