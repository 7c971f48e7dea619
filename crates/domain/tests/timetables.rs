//! Slots are what somebody sees who looks at the wall's clock every five minutes: eleven zones, three years each, against a walk that
//! knows nothing of how they are computed.

#![expect(clippy::unwrap_used, reason = "tests")]

use aftercommit_domain::tasks::Timetable;
use aftercommit_domain::time::Timestamp;
use chrono::{DateTime, Datelike as _, Days, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _, Timelike as _};
use chrono_tz::Tz;

/// Zones and the first of three years with something odd in them.
const ZONES: [(&str, i32); 11] = [
    ("UTC", 2024),
    ("Europe/Berlin", 2024),
    ("America/New_York", 2025),
    // Sets its clocks by half an hour.
    ("Australia/Lord_Howe", 2024),
    ("Asia/Kathmandu", 2024),
    // Sets them at midnight.
    ("America/Santiago", 2023),
    ("Africa/Cairo", 2023),
    // Left out the 30th of December 2011.
    ("Pacific/Apia", 2010),
    // Three quarters of an hour off the others.
    ("Pacific/Chatham", 2024),
    // Winter time for Ramadan.
    ("Africa/Casablanca", 2024),
    // Sets them by two hours.
    ("Antarctica/Troll", 2024),
];

/// Whether a clock that shows this is at a slot.
type Fits = fn(NaiveDateTime) -> bool;

/// Expressions, and what they mean to somebody with a clock: by real time, or by the wall.
const EXPRESSIONS: [(&str, bool, Fits); 8] = [
    ("*/15 * * * *", true, |at| at.minute() % 15 == 0),
    ("0 * * * *", true, |at| at.minute() == 0),
    ("5 * * 3,4,10 *", true, |at| {
        at.minute() == 5 && [3, 4, 10].contains(&at.month())
    }),
    ("30 2 * * *", false, |at| (at.hour(), at.minute()) == (2, 30)),
    ("*/20 0-3 * * *", false, |at| at.hour() <= 3 && at.minute() % 20 == 0),
    ("0 9 * * 5", false, |at| {
        (at.hour(), at.minute()) == (9, 0) && at.weekday().number_from_monday() == 5
    }),
    ("15 1 L * *", false, |at| {
        (at.hour(), at.minute()) == (1, 15) && (at.date() + Days::new(1)).day() == 1
    }),
    ("0 0 29 2 *", false, |at| {
        (at.hour(), at.minute(), at.day(), at.month()) == (0, 0, 29, 2)
    }),
];

/// What a clock shows at each instant, five minutes at a time. No clock here was ever set between.
fn shown(zone: Tz, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, NaiveDateTime)> {
    let instants = std::iter::successors(Some(from), |at| Some(*at + STEP));
    let shows = |at: Timestamp| at.naive_utc() + zone.offset_from_utc_datetime(&at.naive_utc()).fix();
    instants.take_while(|at| *at <= to).map(|at| (at, shows(at))).collect()
}

const STEP: TimeDelta = TimeDelta::minutes(5);

/// What somebody sees who looks all the time, and who goes by real time or by the highest time that the clock has shown.
fn seen(clock: &[(Timestamp, NaiveDateTime)], by_real_time: bool, fits: Fits) -> Vec<Timestamp> {
    let mut seen = Vec::new();
    let mut highest = clock[0].1 - STEP;
    for (at, now) in clock {
        let mut is_slot = by_real_time && fits(*now);
        while !by_real_time && highest < *now {
            highest += STEP;
            is_slot |= fits(highest);
        }
        seen.extend(is_slot.then_some(*at));
    }
    seen
}

#[test]
fn slots_are_what_somebody_sees_who_looks_at_the_clock_all_the_time() {
    for (name, year) in ZONES {
        let zone: Tz = name.parse().unwrap();
        let from: Timestamp = format!("{year}-01-01T00:00:00Z").parse().unwrap();
        let to: Timestamp = format!("{}-01-01T00:00:00Z", year + 3).parse().unwrap();
        let clock = shown(zone, from, to);
        for (expression, by_real_time, fits) in EXPRESSIONS {
            let timetable = Timetable {
                cron: expression.parse().unwrap(),
                zone: name.parse().unwrap(),
            };
            let what = format!("{expression} in {name}");
            let expected = seen(&clock, by_real_time, fits);
            let just_before = from - TimeDelta::seconds(1);
            let all = timetable.between(just_before, to, usize::MAX);
            assert_eq!(all.count, u64::try_from(all.last.len()).unwrap(), "{what}");
            let difference: Vec<&Timestamp> = expected
                .iter()
                .zip(&all.last)
                .find(|(a, b)| a != b)
                .into_iter()
                .flat_map(|(a, b)| [a, b])
                .collect();
            assert!(difference.is_empty(), "{what}: seen and computed {difference:?}");
            assert_eq!(all.last.len(), expected.len(), "{what}");
            assert!(all.last.is_sorted(), "{what}");
            // One from the other, and from any time between; some of them, for nobody waits for all.
            let step = (all.last.len() / 200).max(1);
            for pair in all.last.windows(2).step_by(step) {
                let [one, next] = pair else { continue };
                assert_eq!(timetable.next_after(*one), Some(*next), "{what} after {one}");
                let between = *one + (*next - *one) / 2;
                assert_eq!(timetable.next_after(between), Some(*next), "{what} after {between}");
                assert_eq!(timetable.between(*one, *next, 1).last, [*next], "{what} after {one}");
            }
            // Counted from anywhere, and the last few.
            for (place, slot) in all.last.iter().enumerate().step_by(step * 50) {
                let rest = timetable.between(*slot, to, 3);
                let left = all.last.len() - place - 1;
                assert_eq!(rest.count, u64::try_from(left).unwrap(), "{what} after {slot}");
                assert_eq!(
                    rest.last,
                    all.last[all.last.len() - left.min(3)..],
                    "{what} after {slot}"
                );
            }
        }
    }
}

fn timetable(cron: &str, zone: &str) -> Timetable {
    Timetable {
        cron: cron.parse().unwrap(),
        zone: zone.parse().unwrap(),
    }
}

fn next(timetable: &Timetable, after: &str, number: usize) -> Vec<String> {
    let slots = timetable.upcoming(after.parse().unwrap(), number).into_iter();
    slots.map(|slot| slot.format("%m-%d %H:%M").to_string()).collect()
}

#[test]
fn a_time_that_the_clock_leaves_out_is_the_first_instant_after_it_and_one_that_comes_twice_is_one_slot() {
    // Berlin goes from 2:00 to 3:00 at 1:00 UTC on the 29th of March 2026, and back at 1:00 UTC on the 25th of October.
    let half_past_two = timetable("30 2 * * *", "Europe/Berlin");
    assert_eq!(
        next(&half_past_two, "2026-03-27T12:00:00Z", 3),
        ["03-28 01:30", "03-29 01:00", "03-30 00:30"]
    );
    assert_eq!(
        next(&half_past_two, "2026-10-24T12:00:00Z", 2),
        ["10-25 00:30", "10-26 01:30"]
    );
    let two_and_three = timetable("0,30 2,3 * * *", "Europe/Berlin");
    assert_eq!(
        next(&two_and_three, "2026-03-28T12:00:00Z", 3),
        ["03-29 01:00", "03-29 01:30", "03-30 00:00"]
    );
    // A day that Apia left out.
    let friday = timetable("0 9 * * 5", "Pacific/Apia");
    assert_eq!(next(&friday, "2011-12-24T00:00:00Z", 2), ["12-30 10:00", "01-05 19:00"]);
}

#[test]
fn a_schedule_of_every_hour_goes_on_by_real_time() {
    let hourly = timetable("0 * * * *", "Europe/Berlin");
    assert_eq!(
        next(&hourly, "2026-03-28T23:30:00Z", 3),
        ["03-29 00:00", "03-29 01:00", "03-29 02:00"]
    );
    assert_eq!(
        next(&hourly, "2026-10-24T23:30:00Z", 4),
        ["10-25 00:00", "10-25 01:00", "10-25 02:00", "10-25 03:00"]
    );
    let quarters = timetable("*/15 * * * *", "America/New_York");
    assert_eq!(
        quarters
            .between(
                "2026-11-01T04:00:00Z".parse().unwrap(),
                "2026-11-02T05:00:00Z".parse().unwrap(),
                0
            )
            .count,
        100
    );
    assert_eq!(
        quarters
            .between(
                "2026-03-08T05:00:00Z".parse().unwrap(),
                "2026-03-09T04:00:00Z".parse().unwrap(),
                0
            )
            .count,
        92
    );
}

#[test]
fn a_century_of_seconds_is_counted_in_no_time_and_only_what_is_asked_for_is_kept() {
    let each_second = timetable("* * * * * *", "Europe/Berlin");
    let from: Timestamp = DateTime::UNIX_EPOCH;
    let to = from + TimeDelta::days(36_525);
    let started = std::time::Instant::now();
    let slots = each_second.between(from, to, 3);
    assert_eq!(slots.count, 36_525 * 86_400);
    assert_eq!(slots.last.len(), 3);
    assert!(started.elapsed().as_secs() < 5);
    let leap = timetable("0 0 29 2 *", "UTC");
    assert_eq!(
        leap.next_after("2096-03-01T00:00:00Z".parse().unwrap()).unwrap().year(),
        2104
    );
}
