//! Where claims begin.

use std::time::Duration;

use aftercommit_domain::time::Timestamp;
use aftercommit_platform_db_postgres::walks_pause;
use tokio::time::Instant;

/// A task may be committed this long after the time it is due by.
const MARGIN: Duration = Duration::from_secs(1);

/// Where the claims of one consumer begin: at the oldest task, or, while that takes long because the server cannot remove
/// tasks that are gone, shortly before the last one that was taken. What is older and comes back (given back, rescued) is
/// found by the next claim that begins at the oldest.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    newest: Option<Timestamp>,
    whole_from: Option<Instant>,
    /// The last claim did not begin at the oldest.
    is_partial: bool,
}

impl Walk {
    /// `None`: at the oldest.
    pub(crate) fn start(&self, now: Instant) -> Option<Timestamp> {
        self.newest
            .filter(|_| self.whole_from.is_some_and(|from| now < from))
            .map(|newest| newest - MARGIN)
    }

    /// What a claim that began at `start` and `took` so long has found; `newest` is the latest time among it.
    pub(crate) fn note(&mut self, start: Option<Timestamp>, now: Instant, took: Duration, newest: Option<Timestamp>) {
        if start.is_none() {
            self.whole_from = walks_pause(took).map(|pause| now + pause);
        }
        self.newest = self.newest.max(newest);
        self.is_partial = start.is_some();
    }

    /// When everything is to be looked at again, because the last claim may have left something out.
    pub(crate) fn again(&self) -> Option<Instant> {
        self.whole_from.filter(|_| self.is_partial)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;

    use super::*;

    #[test]
    fn claims_begin_at_the_oldest_unless_that_took_long_a_moment_ago() {
        let due = |second| chrono::Utc.timestamp_opt(second, 0).single();
        let (mut walk, now) = (Walk::default(), Instant::now());
        walk.note(None, now, Duration::from_millis(1), due(100));
        assert_eq!(walk.start(now), None, "it is cheap");
        walk.note(None, now, Duration::from_millis(30), due(101));
        assert_eq!(walk.start(now), due(100), "a little before the last one");
        assert_eq!(walk.again(), None, "nothing was left out yet");
        walk.note(due(100), now, Duration::from_millis(1), None);
        let again = walk.again().into_iter().next().unwrap_or(now);
        assert_eq!(again - now, Duration::from_millis(300));
        assert_eq!(walk.start(again), None, "now and then everything is looked at");
    }
}
