//! Whether what was committed and what followed from it are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::ledger::Books;

/// What the comparison found. Everything but the first line of fields is 0 when every promise was kept.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Events that a producer began to commit.
    pub attempted: usize,
    /// Of these, known to be committed.
    pub ok: usize,
    /// Of these, an answer was lost at least once.
    pub unknown: usize,
    /// Of the unknown, those whose effect is there.
    pub recovered: usize,
    /// Effects.
    pub effects: usize,
    /// Runs of a handler beyond one for each event.
    pub raw_duplicates: usize,

    /// Known to be committed, without an effect.
    pub lost: usize,
    /// Effects of what nobody committed.
    pub ghosts: usize,
    /// Effects beyond one for each event.
    pub duplicated_effects: usize,
    /// Effects after a later one of the same aggregate.
    pub order_violations: usize,
    /// Known to be committed, and not in the producer's table: the database's own fault.
    pub vanished: usize,
    /// Rows of the outbox and of the queue.
    pub stuck: i64,
    /// Dead letters.
    pub dead: i64,
    /// Committed and not in the event log.
    pub unlogged: usize,
    /// In the event log more than once.
    pub logged_twice: usize,
}

impl Verdict {
    pub(crate) async fn of(books: &Books, superuser_url: &str) -> Self {
        let mut connection = PgConnection::connect(superuser_url).await.unwrap();
        let intents: Vec<Uuid> = sqlx::query_scalar("SELECT event_id FROM ledger_intent")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let intents: BTreeSet<Uuid> = intents.into_iter().collect();
        let effects: Vec<(Uuid, i64, i64)> =
            sqlx::query_as("SELECT event_id, aggregate, seq FROM effects ORDER BY entry")
                .fetch_all(&mut connection)
                .await
                .unwrap();
        let logged: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM aftercommit.event_log")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let mut number =
            async |sql: &'static str| -> i64 { sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap() };
        let raw_duplicates = number("SELECT count(*) - count(DISTINCT event_id) FROM deliveries").await;
        let stuck =
            number("SELECT (SELECT count(*) FROM aftercommit.outbox) + (SELECT count(*) FROM aftercommit.tasks)").await;
        let dead = number("SELECT count(*) FROM aftercommit.dead_letters").await;
        connection.close().await.unwrap();

        let affected: BTreeSet<Uuid> = effects.iter().map(|(event, ..)| *event).collect();
        let logged_once: BTreeSet<Uuid> = logged.iter().copied().collect();
        Self {
            attempted: books.attempted.len(),
            ok: books.committed.len(),
            unknown: books.unknown.len(),
            recovered: books.unknown.intersection(&affected).count(),
            effects: effects.len(),
            raw_duplicates: usize::try_from(raw_duplicates).unwrap(),
            lost: books.committed.difference(&affected).count(),
            ghosts: affected.difference(&intents).count(),
            duplicated_effects: effects.len() - affected.len(),
            order_violations: order_violations(&effects),
            vanished: books.committed.difference(&intents).count(),
            stuck,
            dead,
            unlogged: intents.difference(&logged_once).count(),
            logged_twice: logged.len() - logged_once.len(),
        }
    }

    /// Whether nothing is left to do.
    pub fn is_drained(&self) -> bool {
        self.stuck == 0 && self.lost == 0
    }

    /// # Panics
    /// A promise was broken.
    pub fn assert_clean(&self) {
        let Self {
            lost,
            ghosts,
            duplicated_effects,
            order_violations,
            vanished,
            stuck,
            dead,
            unlogged,
            logged_twice,
            ..
        } = *self;
        let broken = [
            lost,
            ghosts,
            duplicated_effects,
            order_violations,
            vanished,
            unlogged,
            logged_twice,
        ];
        assert!(broken == [0; 7] && (stuck, dead) == (0, 0), "{self}");
        assert_eq!(self.recovered, self.unknown, "every producer tried until it knew");
    }
}

fn order_violations(effects: &[(Uuid, i64, i64)]) -> usize {
    let mut last: BTreeMap<i64, i64> = BTreeMap::new();
    let mut violations = 0;
    for (_, aggregate, seq) in effects {
        let last = last.entry(*aggregate).or_default();
        if seq <= last {
            violations += 1;
        }
        *last = (*last).max(*seq);
    }
    violations
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ledger: attempted {}, ok {}, unknown {}, recovered {}, effects {}, lost {}, ghosts {}, duplicated effects \
             {}, order violations {}, raw duplicate deliveries {}, stuck {}, dead letters {}, vanished {}, not in the \
             event log {}, twice in the event log {}",
            self.attempted,
            self.ok,
            self.unknown,
            self.recovered,
            self.effects,
            self.lost,
            self.ghosts,
            self.duplicated_effects,
            self.order_violations,
            self.raw_duplicates,
            self.stuck,
            self.dead,
            self.vanished,
            self.unlogged,
            self.logged_twice,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_after_a_later_one_of_its_aggregate_is_a_violation() {
        let effect = |aggregate, seq| (Uuid::nil(), aggregate, seq);
        assert_eq!(order_violations(&[effect(1, 1), effect(2, 1), effect(1, 2)]), 0);
        assert_eq!(order_violations(&[effect(1, 2), effect(2, 1), effect(1, 1)]), 1);
    }
}
