//! Cron expressions: five fields, or six with seconds first.

mod days;
mod field;

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use self::days::Days;
use self::field::{Bits, Field, Part, parts_of};

/// Longer ones are refused.
const MAX_EXPRESSION: usize = 500;

/// When a schedule fires, as times of a clock on a wall: `minute hour day-of-month month day-of-week`, with seconds in front
/// when there are six.
///
/// A field is `*`, a number, a range `1-5`, any of them with a step `*/15`, or several with commas. Months and days of the
/// week also have names (`JAN`, `mon`); Sunday is 0 and 7. `?` is `*`. A day of the month may be `L`, the last one; a day of
/// the week `5L`, the last Friday, or `5#2`, the second one. Where both days are said, either will do. `@hourly`, `@daily`,
/// `@weekly`, `@monthly` and `@yearly` stand for what they say.
///
/// ```
/// use aftercommit_domain::tasks::CronExpression;
///
/// let fridays: CronExpression = "0 9 * * FRI".parse().unwrap();
/// assert_eq!(fridays.to_string(), "0 9 * * FRI");
/// let refused = "0 24 * * *".parse::<CronExpression>().unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "the cron expression is invalid at column 3, in the hour: 24 is not from 0 to 23"
/// );
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CronExpression {
    text: String,
    seconds: Bits,
    minutes: Bits,
    hours: Bits,
    days: Days,
}

/// The text is no cron expression, or there is no such zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {subject} is invalid at column {column}{}: {reason}", in_field(*.field))]
pub struct InvalidCron {
    /// `cron expression` or `zone`.
    pub subject: &'static str,
    /// Which field, in words; `None` when it is the whole.
    pub field: Option<&'static str>,
    /// Where it starts, in characters from 1.
    pub column: usize,
    /// What is wrong, and what was expected.
    pub reason: String,
}

fn in_field(field: Option<&'static str>) -> String {
    field.map_or_else(String::new, |field| format!(", in the {field}"))
}

impl InvalidCron {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        "cron.invalid"
    }

    fn new(field: Option<Field>, column: usize, reason: impl Into<String>) -> Self {
        Self {
            subject: "cron expression",
            field: field.map(Field::name),
            column,
            reason: reason.into(),
        }
    }
}

impl CronExpression {
    /// The text, with one space between its fields.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it fires in each hour of its days. Such a schedule goes on by real time where clocks are set; one that names
    /// hours goes by the clock on the wall.
    pub fn is_hourly(&self) -> bool {
        self.hours == Field::Hour.all()
    }

    /// Whether it fires on this day.
    pub(super) fn is_on(&self, day: NaiveDate) -> bool {
        self.days.has(day)
    }

    /// How often it fires on a day of its own.
    pub(super) fn times_a_day(&self) -> u64 {
        self.hours.len() * self.minutes.len() * self.seconds.len()
    }

    /// How often it fires on a day of its own before this second of it.
    pub(super) fn times_before(&self, second_of_day: u32) -> u64 {
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        let mut times = self.hours.below(hour) * self.minutes.len() * self.seconds.len();
        if self.hours.has(hour) {
            times += self.minutes.below(minute) * self.seconds.len();
            if self.minutes.has(minute) {
                times += self.seconds.below(second);
            }
        }
        times
    }

    /// The first time on a day of its own at or after this second of it.
    pub(super) fn time_from(&self, second_of_day: u32) -> Option<u32> {
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        let first_of_minute = || self.seconds.from(0);
        if self.hours.has(hour) {
            if self.minutes.has(minute)
                && let Some(second) = self.seconds.from(second)
            {
                return Some(hour * 3600 + minute * 60 + second);
            }
            if let Some(minute) = self.minutes.from(minute + 1) {
                return Some(hour * 3600 + minute * 60 + first_of_minute()?);
            }
        }
        let hour = self.hours.from(hour + 1)?;
        Some(hour * 3600 + self.minutes.from(0)? * 60 + first_of_minute()?)
    }
}

impl FromStr for CronExpression {
    type Err = InvalidCron;

    fn from_str(text: &str) -> Result<Self, InvalidCron> {
        if text.len() > MAX_EXPRESSION {
            let reason = format!("it has {} bytes; at most {MAX_EXPRESSION} are allowed", text.len());
            return Err(InvalidCron::new(None, 1, reason));
        }
        if let Some(nickname) = text.trim().strip_prefix('@') {
            return of_nickname(nickname, text);
        }
        let parts = parts_of(text);
        let fields = match parts.len() {
            5 => &Field::ALL[1..],
            6 => &Field::ALL[..],
            number => return Err(wrong_number(&parts, number)),
        };
        // Without a field for it, the second 0.
        let mut sets = [Bits::of(1); 4];
        let mut days = Days::default();
        for (field, part) in fields.iter().zip(&parts) {
            match field {
                Field::Second => sets[0] = field::read(*field, part)?,
                Field::Minute => sets[1] = field::read(*field, part)?,
                Field::Hour => sets[2] = field::read(*field, part)?,
                Field::DayOfMonth => days.read_days_of_month(part)?,
                Field::Month => sets[3] = field::read(*field, part)?,
                Field::DayOfWeek => days.read_days_of_week(part)?,
            }
        }
        days.months = sets[3];
        if !days.ever_come() {
            let day = parts.len() - 3;
            let reason = "no such day is in these months, so that it would never fire";
            return Err(InvalidCron::new(Some(Field::DayOfMonth), parts[day].column, reason));
        }
        let words: Vec<&str> = parts.iter().map(|part| part.text).collect();
        Ok(Self {
            text: words.join(" "),
            seconds: sets[0],
            minutes: sets[1],
            hours: sets[2],
            days,
        })
    }
}

fn of_nickname(nickname: &str, text: &str) -> Result<CronExpression, InvalidCron> {
    let expression = match nickname {
        "hourly" => "0 * * * *",
        "daily" | "midnight" => "0 0 * * *",
        "weekly" => "0 0 * * 0",
        "monthly" => "0 0 1 * *",
        "yearly" | "annually" => "0 0 1 1 *",
        _ => {
            let column = text.chars().take_while(|c| c.is_whitespace()).count() + 1;
            let reason = "of these there are @hourly, @daily, @weekly, @monthly and @yearly";
            return Err(InvalidCron::new(None, column, reason));
        }
    };
    expression.parse()
}

fn wrong_number(parts: &[Part<'_>], number: usize) -> InvalidCron {
    const EXPECTED: &str =
        "5 fields are expected, minute hour day-of-month month day-of-week, or 6 with seconds in front";
    let column = match parts.get(6) {
        Some(surplus) => surplus.column,
        None => parts.last().map_or(1, |last| last.column + last.text.chars().count()),
    };
    InvalidCron::new(None, column, format!("{EXPECTED}; it has {number}"))
}

impl TryFrom<String> for CronExpression {
    type Error = InvalidCron;

    fn try_from(text: String) -> Result<Self, InvalidCron> {
        text.parse()
    }
}

impl From<CronExpression> for String {
    fn from(cron: CronExpression) -> Self {
        cron.text
    }
}

impl fmt::Display for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let refused = text.parse::<CronExpression>().unwrap_err();
        assert_eq!(refused.code(), "cron.invalid");
        refused.to_string()
    }

    #[test]
    fn what_is_no_expression_is_refused_with_its_field_and_column() {
        let at = "the cron expression is invalid at column ";
        for (text, expected) in [
            ("", "1: 5 fields are expected"),
            ("   ", "1: 5 fields are expected"),
            ("* * * *", "8: 5 fields are expected"),
            ("0 0 * * * * 2026", "13: 5 fields are expected"),
            ("60 * * * *", "1, in the minute: 60 is not from 0 to 59"),
            ("0 24 * * *", "3, in the hour: 24 is not from 0 to 23"),
            ("0 0 0 * *", "5, in the day of the month: 0 is not from 1 to 31"),
            ("0 0 32 * *", "5, in the day of the month: 32 is not from 1 to 31"),
            ("0 0 * 13 *", "7, in the month: 13 is not from 1 to 12"),
            ("0 0 * * 8", "9, in the day of the week: 8 is not from 0 to 7"),
            ("0 60 * * * *", "3, in the minute: 60 is not from 0 to 59"),
            ("*/0 * * * *", "3, in the minute: a step is from 1 to 59"),
            ("*/60 * * * *", "3, in the minute: a step is from 1 to 59"),
            ("5-1 * * * *", "1, in the minute: the range ends before it begins"),
            ("1-60 * * * *", "3, in the minute: 60 is not from 0 to 59"),
            ("1,,2 * * * *", "3, in the minute: a number"),
            ("1, * * * *", "3, in the minute: a number"),
            ("a * * * *", "1, in the minute: a number"),
            ("-1 * * * *", "1, in the minute: a number"),
            ("1/2/3 * * * *", "3, in the minute: a step is from 1 to 59"),
            ("0 0 * foo *", "7, in the month: a number from 1 to 12 or a name"),
            ("0 0 * * fri#6", "13, in the day of the week: after # comes 1 to 5"),
            ("0 0 * * mon,tue#x", "17, in the day of the week: after # comes 1 to 5"),
            (
                "0 0 30 2 *",
                "5, in the day of the month: no such day is in these months",
            ),
            ("0 0 31 2,4,6 *", "5, in the day of the month: no such day"),
            ("é * * * *", "1, in the minute: a number"),
            (
                "99999999999999999999 * * * *",
                "1, in the minute: 99999999999999999999 is not from 0 to 59",
            ),
            ("@reboot", "1: of these there are"),
        ] {
            let refused = refusal(text);
            assert!(refused.starts_with(&format!("{at}{expected}")), "{text:?}: {refused}");
        }
        let long = "0 ".repeat(5 * 1024);
        assert!(refusal(&long).ends_with("it has 10240 bytes; at most 500 are allowed"));
    }

    #[test]
    fn every_form_is_read_and_written_as_it_was() {
        for text in [
            "* * * * *",
            "0 9 * * 5",
            "*/15 * * * *",
            "10-50/20 8-18 * * MON-FRI",
            "5/10 * * * *",
            "0 0 29 2 *",
            "0 0 L * *",
            "0 0 1,15,L * ?",
            "0 0 * jan,DEC sun#1",
            "0 0 * * 5L,1#3",
            "0 0 * * 5-7",
            "30 0 0 * * *",
        ] {
            let cron: CronExpression = text.parse().unwrap();
            assert_eq!(cron.as_str(), text);
            let json = serde_json::to_string(&cron).unwrap();
            assert_eq!(serde_json::from_str::<CronExpression>(&json).unwrap(), cron);
        }
        assert_eq!(
            "  0\t9  * * 5 ".parse::<CronExpression>().unwrap().as_str(),
            "0 9 * * 5"
        );
        assert_eq!("@daily".parse::<CronExpression>().unwrap().as_str(), "0 0 * * *");
    }

    #[test]
    fn either_of_two_days_will_do_and_one_that_is_not_said_does_not_count() {
        let on = |text: &str| {
            let cron: CronExpression = text.parse().unwrap();
            let days = NaiveDate::from_ymd_opt(2026, 11, 1).unwrap().iter_days().take(30);
            let days = days.filter(|day| cron.is_on(*day));
            days.map(|day| chrono::Datelike::day(&day)).collect::<Vec<_>>()
        };
        // The first of November 2026 is a Sunday.
        assert_eq!(on("0 0 10 * *"), [10]);
        assert_eq!(on("0 0 * * fri"), [6, 13, 20, 27]);
        assert_eq!(on("0 0 10 * fri"), [6, 10, 13, 20, 27]);
        assert_eq!(on("0 0 1-31 * fri"), [6, 13, 20, 27]);
        assert_eq!(on("0 0 L * *"), [30]);
        assert_eq!(on("0 0 * * 0#2,1L"), [8, 30]);
        assert_eq!(on("0 0 * * 7"), [1, 8, 15, 22, 29]);
        assert_eq!(on("0 0 * 12 *"), Vec::<u32>::new());
    }
}
