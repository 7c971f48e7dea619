//! The watch: looks for tasks that this process was not told of, with one statement for all topics.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::randomness::Randomness;
use aftercommit_platform_db_postgres::Bell;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::statement::{Statements, Trouble};
use crate::topics::{Topic, Topics};

/// After a task fell due by this process's reckoning the database is asked this much later: its clock may be behind.
const SECOND_LOOK: Duration = Duration::from_millis(50);
/// The least time between two looks, however often someone asks for one.
const SHORTEST: Duration = Duration::from_millis(1);

/// So many times rarer is a look while other processes are heard.
const RARER: u32 = 5;

/// Wakes the consumers that wait for tasks which came past this process, or are due by now.
pub(crate) struct Watch {
    pub(crate) statements: Statements,
    pub(crate) topics: Arc<Topics>,
    pub(crate) randomness: Arc<dyn Randomness>,
    pub(crate) interval: Duration,
    pub(crate) bell: Arc<Bell>,
}

impl Watch {
    pub(crate) async fn run(self, closing: CancellationToken) {
        closing.run_until_cancelled(self.watch()).await;
    }

    async fn watch(self) {
        let mut next_look = Instant::now() + self.pause();
        loop {
            let (changed, asked) = (self.topics.changed.seen(), self.topics.look.seen());
            let waited_for = self.topics.waited_for();
            if waited_for.is_empty() {
                // Whoever begins to wait has just looked for itself.
                self.topics.changed.changed(changed).await;
                next_look = next_look.max(Instant::now() + self.pause());
                continue;
            }
            let due = waited_for.iter().filter_map(|topic| topic.due()).min();
            tokio::select! {
                () = self.topics.changed.changed(changed) => {}
                () = self.topics.look.changed(asked) => next_look = Instant::now() + SHORTEST,
                () = sleep_until(due.unwrap_or(next_look).min(next_look)) => {}
            }
            let now = Instant::now();
            if wake_due(&waited_for, now) {
                next_look = next_look.min(now + SECOND_LOOK);
            }
            if now >= next_look {
                if let Err(error) = self.look(&waited_for).await {
                    // Whoever claims meets the same, and says so.
                    tracing::debug!(%error, "the queue could not be looked at");
                }
                next_look = Instant::now() + self.pause();
            }
        }
    }

    /// The time to the next look, not the same in every process.
    fn pause(&self) -> Duration {
        let interval = if self.bell.is_listening() {
            self.interval * RARER
        } else {
            self.interval
        };
        interval.mul_f64(0.75 + self.randomness.unit() * 0.25)
    }

    async fn look(&self, waited_for: &[Arc<Topic>]) -> Result<(), Trouble> {
        let names: Vec<String> = waited_for.iter().map(|topic| topic.name.as_str().to_owned()).collect();
        let due: Vec<(String, i64)> = self
            .statements
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_as("SELECT due_topic, due_in FROM aftercommit.tasks_due($1)")
                        .bind(names)
                        .fetch_all(connection)
                        .await
                })
            })
            .await?;
        let now = Instant::now();
        for topic in waited_for {
            let due_in = due
                .iter()
                .find(|(name, _)| name == topic.name.as_str())
                .map(|(_, due_in)| u64::try_from(*due_in).unwrap_or(0));
            match due_in {
                Some(0) => {
                    topic.set_due(None);
                    topic.wake.bump();
                }
                Some(due_in) => topic.set_due(now.checked_add(Duration::from_micros(due_in))),
                // One that was published meanwhile is noted by its publisher; one of another process is seen next time.
                None => {}
            }
        }
        Ok(())
    }
}

/// Wakes the topics whose time has come.
fn wake_due(waited_for: &[Arc<Topic>], now: Instant) -> bool {
    let mut has_any = false;
    for topic in waited_for
        .iter()
        .filter(|topic| topic.due().is_some_and(|due| due <= now))
    {
        topic.set_due(None);
        topic.wake.bump();
        has_any = true;
    }
    has_any
}
