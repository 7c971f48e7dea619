//! When a schedule fires: from times of a clock on a wall to instants.
//!
//! Clocks are set. A schedule that names hours goes by the wall: a slot is the first instant at which the clock shows its
//! time or, where clocks are set forward over it, a later one; a time that comes twice is one slot, the first. A schedule
//! that fires in every hour goes by real time: it fires whenever the clock shows one of its times, in both of two hours that
//! have one name, and not at times that the clock leaves out.

use chrono::{DateTime, NaiveDate};
use serde::{Deserialize, Serialize};

use super::{CronExpression, Zone};
use crate::time::Timestamp;

const DAY: i64 = 86_400;
/// Clocks are never set back by more than this.
const LOOK_BACK: i64 = 2 * DAY;
/// The longest way from one slot to the next: a fifth Monday in February may be 40 years away.
const LOOK_AHEAD: i64 = 50 * 366 * DAY;

/// The slots of a schedule.
///
/// ```
/// use aftercommit_domain::tasks::Timetable;
///
/// let berlin = Timetable {
///     cron: "30 2 * * *".parse().unwrap(),
///     zone: "Europe/Berlin".parse().unwrap(),
/// };
/// // On the 29th of March 2026 clocks go from 2:00 to 3:00, at 1:00 UTC.
/// let slot = berlin.next_after("2026-03-28T12:00:00Z".parse().unwrap()).unwrap();
/// assert_eq!(slot.to_string(), "2026-03-29 01:00:00 UTC");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timetable {
    /// The times.
    pub cron: CronExpression,
    /// Of which clock.
    pub zone: Zone,
}

/// The slots of a time span: how many there are, and the last of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    /// How many.
    pub count: u64,
    /// The last of them, oldest first; as many as were asked for, if there are.
    pub last: Vec<Timestamp>,
}

/// A stretch of the wall's clock in which time runs as it should, as seconds since 1970 on that clock.
#[derive(Debug, Clone, Copy)]
struct Piece {
    from: i64,
    to: i64,
    /// What the seconds are ahead of UTC; `Err` for one instant at which all of these times come.
    place: Result<i64, i64>,
}

impl Timetable {
    /// The first slot after `time`. `None` when there is none within 50 years.
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        let after = time.timestamp();
        self.pieces(after, after.saturating_add(LOOK_AHEAD))
            .find_map(|piece| instant(self.times_in(piece).next()?))
    }

    /// The next slots after `time`, at most `number`.
    pub fn upcoming(&self, time: Timestamp, number: usize) -> Vec<Timestamp> {
        std::iter::successors(self.next_after(time), |slot| self.next_after(*slot))
            .take(number)
            .collect()
    }

    /// The slots after `after` up to and with `until`, with the last `number` of them. Takes time by the days between the
    /// two, not by the slots.
    pub fn between(&self, after: Timestamp, until: Timestamp, number: usize) -> Slots {
        let (after, until) = (after.timestamp(), until.timestamp());
        let count: u64 = self.pieces(after, until).map(|piece| self.count_in(piece)).sum();
        let mut skipped = count.saturating_sub(u64::try_from(number).unwrap_or(u64::MAX));
        let mut last = Vec::new();
        for piece in self.pieces(after, until) {
            let in_piece = self.count_in(piece);
            if skipped >= in_piece {
                skipped -= in_piece;
                continue;
            }
            let behind = usize::try_from(std::mem::take(&mut skipped)).unwrap_or(usize::MAX);
            last.extend(self.times_in(piece).skip(behind).filter_map(instant));
        }
        Slots { count, last }
    }

    /// The pieces of the clock that show what is after `after` up to and with `until`.
    fn pieces(&self, after: i64, until: i64) -> impl Iterator<Item = Piece> {
        let mut walk = Walk::new(self, after, until);
        std::iter::from_fn(move || walk.next_piece())
    }

    fn count_in(&self, piece: Piece) -> u64 {
        let mut count = 0;
        let mut day = piece.from.div_euclid(DAY);
        while day * DAY < piece.to {
            if self.is_on(day) {
                let until = self.before(day, piece.to);
                count += until - self.before(day, piece.from);
            }
            day += 1;
        }
        if piece.place.is_err() { count.min(1) } else { count }
    }

    /// How many slots `day` has before `second`, which may be before it or after it.
    fn before(&self, day: i64, second: i64) -> u64 {
        match u32::try_from(second - day * DAY) {
            Err(_) => 0,
            Ok(second) if i64::from(second) >= DAY => self.cron.times_a_day(),
            Ok(second) => self.cron.times_before(second),
        }
    }

    /// The slots of a piece, as seconds since 1970.
    fn times_in(&self, piece: Piece) -> impl Iterator<Item = i64> {
        let mut next = self.time_in(piece.from, piece.to);
        std::iter::from_fn(move || {
            let time = next?;
            match piece.place {
                Ok(offset) => {
                    next = self.time_in(time + 1, piece.to);
                    Some(time - offset)
                }
                Err(at_once) => {
                    next = None;
                    Some(at_once)
                }
            }
        })
    }

    /// The first time of the expression from `from` on and before `to`.
    fn time_in(&self, from: i64, to: i64) -> Option<i64> {
        let mut day = from.div_euclid(DAY);
        let mut second = from.rem_euclid(DAY);
        while day * DAY < to {
            if self.is_on(day)
                && let Some(time) = self.cron.time_from(u32::try_from(second).ok()?)
            {
                return Some(day * DAY + i64::from(time)).filter(|time| *time < to);
            }
            (day, second) = (day + 1, 0);
        }
        None
    }

    fn is_on(&self, day: i64) -> bool {
        let days = i32::try_from(day).ok();
        days.and_then(NaiveDate::from_epoch_days)
            .is_some_and(|day| self.cron.is_on(day))
    }
}

fn instant(second: i64) -> Option<Timestamp> {
    DateTime::from_timestamp(second, 0)
}

/// Walks along the instants, a day at a time and from one setting of the clock to the next.
struct Walk<'t> {
    timetable: &'t Timetable,
    after: i64,
    /// The first second that is not looked at.
    end: i64,
    at: i64,
    /// What the clock has shown, up to here; without it, where it begins.
    shown: Option<i64>,
    found: Option<Piece>,
}

impl<'t> Walk<'t> {
    fn new(timetable: &'t Timetable, after: i64, until: i64) -> Self {
        Self {
            timetable,
            after,
            end: until.saturating_add(1),
            at: after.saturating_sub(LOOK_BACK),
            shown: None,
            found: None,
        }
    }

    fn next_piece(&mut self) -> Option<Piece> {
        if let Some(found) = self.found.take() {
            return Some(found);
        }
        while self.at < self.end {
            let (from, offset) = (self.at, self.timetable.zone.offset_at(self.at));
            let to = self.until_set(from, offset);
            self.at = to;
            let first = self.piece(from, to, offset);
            if first.is_some() {
                return first;
            }
        }
        None
    }

    /// What the clock shows from `from` to `to`; two pieces when it was set forward.
    fn piece(&mut self, from: i64, to: i64, offset: i64) -> Option<Piece> {
        let (mut shows, until) = (from + offset, to + offset);
        let mut left_out = None;
        if !self.timetable.cron.is_hourly() {
            let shown = self.shown.unwrap_or(shows);
            self.shown = Some(shown.max(until));
            let gap = Piece {
                from: shown,
                to: shows,
                place: Err(from),
            };
            if self.timetable.time_in(gap.from, gap.to).is_some() {
                left_out = Some(gap).filter(|_| from > self.after);
                // The time it shows then is the same slot.
                shows += 1;
            }
            shows = shows.max(shown);
        }
        let shows = shows.max(self.after.saturating_add(1) + offset);
        let regular = Piece {
            from: shows,
            to: until,
            place: Ok(offset),
        };
        let regular = Some(regular).filter(|piece| piece.from < piece.to);
        if left_out.is_some() {
            self.found = regular;
            return left_out;
        }
        regular
    }

    /// When the clock is set next, at the latest in a day.
    fn until_set(&self, from: i64, offset: i64) -> i64 {
        let zone = &self.timetable.zone;
        let (mut same, mut other) = (from, (from + DAY).min(self.end));
        if zone.offset_at(other - 1) == offset {
            return other;
        }
        // `other − 1` is another; the first that is another is looked for.
        other -= 1;
        while other - same > 1 {
            let middle = same + (other - same) / 2;
            if zone.offset_at(middle) == offset {
                same = middle;
            } else {
                other = middle;
            }
        }
        other
    }
}
