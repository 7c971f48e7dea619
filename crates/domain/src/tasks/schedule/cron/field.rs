//! One field of an expression.

use super::InvalidCron;

/// The fields, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Second,
    Minute,
    Hour,
    DayOfMonth,
    Month,
    DayOfWeek,
}

const MONTHS: &[&str] = &[
    "", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Field {
    pub(super) const ALL: [Self; 6] = [
        Self::Second,
        Self::Minute,
        Self::Hour,
        Self::DayOfMonth,
        Self::Month,
        Self::DayOfWeek,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of the month",
            Self::Month => "month",
            Self::DayOfWeek => "day of the week",
        }
    }

    /// The smallest and the largest number that can be written.
    pub(super) const fn bounds(self) -> (u32, u32) {
        match self {
            Self::Second | Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, 7),
        }
    }

    /// All it can be.
    pub(super) const fn all(self) -> Bits {
        let (min, max) = self.bounds();
        // Sunday has two numbers.
        let max = if matches!(self, Self::DayOfWeek) { max - 1 } else { max };
        Bits(((1 << (max + 1)) - 1) & !((1 << min) - 1))
    }

    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => MONTHS,
            Self::DayOfWeek => WEEKDAYS,
            Self::Second | Self::Minute | Self::Hour | Self::DayOfMonth => &[],
        }
    }
}

/// A set of small numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bits(u64);

impl Bits {
    pub(super) const fn of(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) const fn has(self, number: u32) -> bool {
        number < 64 && self.0 >> number & 1 == 1
    }

    pub(super) const fn add(&mut self, number: u32) {
        self.0 |= 1 << number;
    }

    pub(super) fn len(self) -> u64 {
        u64::from(self.0.count_ones())
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many are smaller than `number`, which is below 64.
    pub(super) fn below(self, number: u32) -> u64 {
        Self(self.0 & ((1 << number) - 1)).len()
    }

    /// The smallest one that is not smaller than `number`.
    pub(super) const fn from(self, number: u32) -> Option<u32> {
        if number >= 64 {
            return None;
        }
        let rest = self.0 >> number;
        if rest == 0 {
            None
        } else {
            Some(number + rest.trailing_zeros())
        }
    }
}

/// A piece of an expression and where it starts, in characters from 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'t> {
    pub(super) text: &'t str,
    pub(super) column: usize,
}

impl Part<'_> {
    /// What stands before and after the first `separator`.
    pub(super) fn split_once(self, separator: char) -> Option<(Self, Self)> {
        let (before, after) = self.text.split_once(separator)?;
        let column = self.column + before.chars().count() + 1;
        Some((Self { text: before, ..self }, Self { text: after, column }))
    }

    /// What stands between the commas.
    pub(super) fn items(self) -> impl Iterator<Item = Self> {
        let mut column = self.column;
        self.text.split(',').map(move |text| {
            let item = Self { text, column };
            column += text.chars().count() + 1;
            item
        })
    }

    pub(super) fn refused(self, field: Field, reason: impl Into<String>) -> InvalidCron {
        InvalidCron::new(Some(field), self.column, reason)
    }
}

/// The words of a text.
pub(super) fn parts_of(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let (mut column, mut rest) = (1, text);
    loop {
        let trimmed = rest.trim_start();
        column += rest.chars().count() - trimmed.chars().count();
        if trimmed.is_empty() {
            return parts;
        }
        let end = trimmed.find(char::is_whitespace).unwrap_or(trimmed.len());
        let (word, after) = trimmed.split_at(end);
        parts.push(Part { text: word, column });
        column += word.chars().count();
        rest = after;
    }
}

/// A field without forms of its own.
pub(super) fn read(field: Field, part: &Part<'_>) -> Result<Bits, InvalidCron> {
    let mut set = Bits::default();
    for item in part.items() {
        read_item(field, item, &mut set)?;
    }
    Ok(set)
}

/// A number, a range or a star, each perhaps with a step.
pub(super) fn read_item(field: Field, item: Part<'_>, set: &mut Bits) -> Result<(), InvalidCron> {
    let (min, max) = field.bounds();
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(step_of(field, step)?)),
        None => (item, None),
    };
    let (first, last) = if matches!(range.text, "*" | "?") {
        // A step over Sunday's second number would count it twice.
        (min, if field == Field::DayOfWeek { max - 1 } else { max })
    } else if let Some((first, last)) = range.split_once('-').filter(|(first, _)| !first.text.is_empty()) {
        (number(field, first)?, number(field, last)?)
    } else {
        let first = number(field, range)?;
        (first, if step.is_some() { max } else { first })
    };
    if last < first {
        return Err(range.refused(field, "the range ends before it begins; write it as two with a comma"));
    }
    let step = usize::try_from(step.unwrap_or(1)).unwrap_or(1);
    for number in (first..=last).step_by(step) {
        set.add(if field == Field::DayOfWeek { number % 7 } else { number });
    }
    Ok(())
}

fn step_of(field: Field, step: Part<'_>) -> Result<u32, InvalidCron> {
    let (_, max) = field.bounds();
    let number = step.text.parse().ok().filter(|number| (1..=max).contains(number));
    let is_plain = step.text.bytes().all(|byte| byte.is_ascii_digit());
    number
        .filter(|_| is_plain)
        .ok_or_else(|| step.refused(field, format!("a step is from 1 to {max}")))
}

/// A number or a name.
pub(super) fn number(field: Field, part: Part<'_>) -> Result<u32, InvalidCron> {
    let (min, max) = field.bounds();
    if !part.text.is_empty() && part.text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = part.text.parse().ok().filter(|number| (min..=max).contains(number));
        return number.ok_or_else(|| part.refused(field, format!("{} is not from {min} to {max}", part.text)));
    }
    let named = field
        .names()
        .iter()
        .position(|name| !name.is_empty() && name.eq_ignore_ascii_case(part.text));
    named.and_then(|place| u32::try_from(place).ok()).ok_or_else(|| {
        let names = if field.names().is_empty() { "" } else { " or a name" };
        part.refused(field, format!("a number from {min} to {max}{names} is expected"))
    })
}
