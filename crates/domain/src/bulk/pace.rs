//! How many a bulk run may do now, and when it had better stop.

use std::time::Duration;

use crate::bulk::{BulkRun, Rate};
use crate::tasks::Fate;
use crate::time::{Timestamp, after, before, seconds};

/// The most of one step.
pub const MOST_AT_ONCE: u32 = 100;
/// Replayed letters that may be waiting for their first run, so that what would fail is not all on its topic before the
/// first has failed.
pub const MOST_OPEN: usize = 500;
/// How many of the last replayed letters that ran are looked at.
pub const WINDOW: usize = 20;
/// The share of them, one in so many, that stops the run when it failed again.
pub const FAILED_SHARE: usize = 2;

/// After a pause, at most what fits into this time follows at once.
const CATCH_UP: Duration = seconds(1);
/// How soon to look again while replayed letters wait for their first run.
const LOOK_AGAIN: Duration = seconds(1);

/// What a run may do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pace {
    /// Up to this many, at least 1.
    Go(u32),
    /// Nothing yet.
    Wait {
        /// How long at least.
        at_least: Duration,
        /// What for.
        waits_for: WaitsFor,
    },
    /// Most of what was replayed failed again.
    Stop {
        /// How many.
        failed: usize,
        /// Of so many.
        of: usize,
    },
}

/// What a run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitsFor {
    /// Its rate.
    Rate,
    /// Somebody to run what was replayed.
    Workers,
}

/// How many fates [`pace`] needs: those that may be open, and the window.
pub const fn fates_looked_at() -> u32 {
    // Both are small constants.
    #[expect(clippy::cast_possible_truncation, reason = "520")]
    let number = (MOST_OPEN + WINDOW) as u32;
    number
}

/// What `run` may do at `now`, when `fates` became of what it did, the last first.
///
/// It stops when at least one in [`FAILED_SHARE`] of the last [`WINDOW`] letters that have run failed again; before so many
/// have run it does not. It waits while [`MOST_OPEN`] have not run.
pub fn pace(run: &BulkRun, now: Timestamp, fates: &[Fate]) -> Pace {
    let judged = || fates.iter().filter(|fate| **fate != Fate::Open).take(WINDOW);
    let (of, failed) = (judged().count(), judged().filter(|fate| **fate == Fate::Failed).count());
    if of == WINDOW && failed * FAILED_SHARE >= of {
        return Pace::Stop { failed, of };
    }
    let open = fates.iter().filter(|fate| **fate == Fate::Open).count();
    let Some(room) = MOST_OPEN.checked_sub(open).filter(|room| *room > 0) else {
        return Pace::Wait {
            at_least: LOOK_AGAIN,
            waits_for: WaitsFor::Workers,
        };
    };
    let next = run.next_at.max(before(now, CATCH_UP));
    match (next - now).to_std() {
        Ok(at_least) if !at_least.is_zero() => Pace::Wait {
            at_least,
            waits_for: WaitsFor::Rate,
        },
        Ok(_) | Err(_) => Pace::Go(due(run.rate, next, now).min(u32::try_from(room).unwrap_or(u32::MAX))),
    }
}

/// When the one after `done` more may go.
pub fn next_after(run: &BulkRun, now: Timestamp, done: u32) -> Timestamp {
    let next = run.next_at.max(before(now, CATCH_UP));
    after(next, run.rate.interval().saturating_mul(done))
}

/// How many are due from `next` to `now`, both included.
fn due(rate: Rate, next: Timestamp, now: Timestamp) -> u32 {
    let late = (now - next).to_std().unwrap_or_default();
    let intervals = late.as_nanos() / rate.interval().as_nanos().max(1);
    u32::try_from(intervals)
        .unwrap_or(u32::MAX)
        .saturating_add(1)
        .min(MOST_AT_ONCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::BulkRequest;
    use crate::ids::MessageId;
    use crate::tasks::DeadLetterFilter;
    use crate::time::minutes;

    fn start() -> Timestamp {
        "2026-11-28T10:00:00Z".parse().unwrap()
    }

    fn run(rate: &str) -> BulkRun {
        let request = BulkRequest::ReplayDeadLetters {
            filter: DeadLetterFilter::default(),
        };
        let id = MessageId::from(uuid::Uuid::from_u128(1));
        BulkRun::new(id, request, "ada".into(), rate.parse().unwrap(), start())
    }

    /// Drives a run for `seconds` and answers how many it did.
    fn done_in(run: &mut BulkRun, from: Timestamp, whole: Duration) -> u32 {
        let (mut now, mut done) = (from, 0);
        while now < after(from, whole) {
            match pace(run, now, &[]) {
                Pace::Go(most) => {
                    run.next_at = next_after(run, now, most);
                    done += most;
                }
                Pace::Wait { at_least, .. } => now = after(now, at_least),
                Pace::Stop { .. } => panic!("nothing failed"),
            }
        }
        done
    }

    #[test]
    fn a_run_keeps_its_rate_whoever_drives_it_and_however_often() {
        assert_eq!(done_in(&mut run("10/s"), start(), seconds(10)), 100);
        assert_eq!(done_in(&mut run("5000/s"), start(), seconds(2)), 10_000);
        assert_eq!(done_in(&mut run("30/m"), start(), minutes(2)), 60);
    }

    #[test]
    fn after_a_pause_at_most_a_seconds_worth_follows_at_once() {
        let mut run = run("10/s");
        let later = after(start(), minutes(60));
        assert_eq!(pace(&run, later, &[]), Pace::Go(11));
        run.next_at = next_after(&run, later, 11);
        assert!(matches!(
            pace(&run, later, &[]),
            Pace::Wait {
                waits_for: WaitsFor::Rate,
                ..
            }
        ));
    }

    #[test]
    fn it_stops_when_half_of_the_last_twenty_that_ran_failed_again_and_not_before() {
        let run = run("10/s");
        let of = |failed: usize, ended: usize, open: usize| {
            let mut fates = vec![Fate::Open; open];
            fates.extend(vec![Fate::Failed; failed]);
            fates.extend(vec![Fate::Ended; ended]);
            fates
        };
        let stop = Pace::Stop { failed: 10, of: WINDOW };
        assert_eq!(pace(&run, start(), &of(10, 10, 0)), stop);
        assert_eq!(
            pace(&run, start(), &of(10, 10, 100)),
            stop,
            "those that have not run do not count"
        );
        assert_eq!(pace(&run, start(), &of(10, 400, 0)), stop, "only the last ones count");
        for fine in [of(9, 11, 0), of(19, 0, 0), of(0, 0, 0)] {
            assert_eq!(pace(&run, start(), &fine), Pace::Go(1));
        }
    }

    #[test]
    fn it_waits_while_five_hundred_have_not_run() {
        let mut late = run("1000/s");
        late.next_at = before(start(), seconds(1));
        assert_eq!(pace(&late, start(), &[Fate::Open; MOST_OPEN - 1]), Pace::Go(1));
        assert_eq!(pace(&late, start(), &[Fate::Open; 100]), Pace::Go(MOST_AT_ONCE));
        assert!(matches!(
            pace(&late, start(), &[Fate::Open; MOST_OPEN]),
            Pace::Wait {
                waits_for: WaitsFor::Workers,
                ..
            }
        ));
    }
}
