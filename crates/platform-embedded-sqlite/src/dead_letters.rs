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
use acting::By;
pub(crate) use rows::{AGAIN, died_before};
use rows::{FITS, LETTER, LetterRow, bind_filter, insert};

/// The dead letters of a database.
#[derive(Clone)]
pub struct SqliteDeadLetters {
    pub(crate) database: Arc<Inner>,
}

#[async_trait]
impl DeadLetters for SqliteDeadLetters {
    async fn add(&self, letter: DeadLetter) -> Result<(), DeadLettersError> {
        let letter = Arc::new(letter);
        self.database
            .writer
            .call(
                move |connection| {
                    let letter = Arc::clone(&letter);
                    Box::pin(async move { insert(connection, &letter).await })
                },
                |_| {},
            )
            .await
            .map_err(|error| unavailable("add", &error))
    }

    async fn list(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, DeadLettersError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {LETTER} FROM aftercommit_dead_letters AS letter WHERE {FITS} ORDER BY entry DESC LIMIT ?8"
        ));
        let query = bind_filter!(sqlx::query_as::<_, LetterRow>(sql), filter)
            .bind(i64::from(filter.limit.unwrap_or(LIST_DEFAULT).min(LIST_CAP)));
        let rows = self
            .database
            .bounded(query.fetch_all(&self.database.readers))
            .await
            .map_err(|error| unavailable("list", &error))?;
        rows.into_iter()
            .map(|row| row.into_letter(&self.database.services.limits))
            .collect()
    }

    async fn find(&self, id: MessageId) -> Result<Option<DeadLetter>, DeadLettersError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {LETTER} FROM aftercommit_dead_letters AS letter WHERE id = ?1"
        ));
        let query = sqlx::query_as::<_, LetterRow>(sql).bind(id.uuid());
        let row = self
            .database
            .bounded(query.fetch_optional(&self.database.readers))
            .await
            .map_err(|error| unavailable("find", &error))?;
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

impl fmt::Debug for SqliteDeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteDeadLetters").finish_non_exhaustive()
    }
}

fn unavailable(operation: &'static str, reason: &dyn std::fmt::Display) -> DeadLettersError {
    DeadLettersError::Unavailable {
        operation,
        reason: reason.to_string(),
    }
}
