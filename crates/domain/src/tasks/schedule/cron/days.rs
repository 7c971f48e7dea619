//! On which days an expression fires: by month, day of the month, day of the week.

use chrono::{Datelike as _, NaiveDate};

use super::InvalidCron;
use super::field::{Bits, Field, Part, number, read_item};

/// The days of an expression.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Days {
    pub(super) months: Bits,
    of_month: Bits,
    /// The last day of the month.
    last_of_month: bool,
    of_week: Bits,
    /// The first to fifth of its weekday in the month.
    nth_of_week: [Bits; 5],
    /// The last of its weekday in the month.
    last_of_week: Bits,
}

impl Days {
    pub(super) fn read_days_of_month(&mut self, part: &Part<'_>) -> Result<(), InvalidCron> {
        for item in part.items() {
            if item.text.eq_ignore_ascii_case("l") {
                self.last_of_month = true;
            } else {
                read_item(Field::DayOfMonth, item, &mut self.of_month)?;
            }
        }
        Ok(())
    }

    pub(super) fn read_days_of_week(&mut self, part: &Part<'_>) -> Result<(), InvalidCron> {
        let field = Field::DayOfWeek;
        for item in part.items() {
            if let Some((day, nth)) = item.split_once('#') {
                let day = number(field, day)? % 7;
                let place: Option<usize> = nth.text.parse().ok().filter(|nth| (1..=5).contains(nth));
                let set = place.and_then(|place| self.nth_of_week.get_mut(place - 1));
                let set = set.ok_or_else(|| nth.refused(field, "after # comes 1 to 5"))?;
                set.add(day);
            } else if let Some(day) = item.text.strip_suffix(['l', 'L']).filter(|day| !day.is_empty()) {
                self.last_of_week.add(number(field, Part { text: day, ..item })? % 7);
            } else {
                read_item(field, item, &mut self.of_week)?;
            }
        }
        Ok(())
    }

    /// Whether it fires on `day`. Where both kinds of days are said, either will do.
    pub(super) fn has(&self, day: NaiveDate) -> bool {
        if !self.months.has(day.month()) {
            return false;
        }
        match (self.says_days_of_month(), self.says_days_of_week()) {
            (false, false) => true,
            (true, false) => self.has_day_of_month(day),
            (false, true) => self.has_day_of_week(day),
            (true, true) => self.has_day_of_month(day) || self.has_day_of_week(day),
        }
    }

    /// Whether there is any such day in any year.
    pub(super) fn ever_come(&self) -> bool {
        if !self.says_days_of_month() || self.says_days_of_week() {
            return true;
        }
        // The longest that each month can be, from January on.
        let lengths = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut months = (1..).zip(lengths).filter(|(month, _)| self.months.has(*month));
        self.last_of_month || months.any(|(_, length)| self.of_month.from(1).is_some_and(|first| first <= length))
    }

    fn says_days_of_month(&self) -> bool {
        self.of_month != Field::DayOfMonth.all()
    }

    fn says_days_of_week(&self) -> bool {
        self.of_week != Field::DayOfWeek.all()
    }

    fn has_day_of_month(&self, day: NaiveDate) -> bool {
        self.of_month.has(day.day()) || self.last_of_month && is_in_last(day, 1)
    }

    fn has_day_of_week(&self, day: NaiveDate) -> bool {
        let weekday = day.weekday().num_days_from_sunday();
        let nth = usize::try_from((day.day() - 1) / 7).unwrap_or_default();
        self.of_week.has(weekday)
            || self.nth_of_week.get(nth).is_some_and(|set| set.has(weekday))
            || !self.last_of_week.is_empty() && self.last_of_week.has(weekday) && is_in_last(day, 7)
    }
}

/// Whether `day` is among the last so many of its month.
fn is_in_last(day: NaiveDate, days: u64) -> bool {
    day.checked_add_days(chrono::Days::new(days))
        .is_none_or(|later| later.month() != day.month())
}
