//! How often claims walk over everything, and how long one that took long and found little is followed by none.
//!
//! While a long transaction keeps the server from removing rows that are gone, a claim that begins at the oldest walks over
//! all of them.

use std::time::Duration;

/// A claim that takes no longer is cheap enough to be made for each row.
const CHEAP: Duration = Duration::from_millis(2);
/// So many times what it took, a dear one is followed by none: of a claimer's time at most a quarter goes into claims.
const TIMES: u32 = 3;
/// But never longer than this.
const LONGEST: Duration = Duration::from_millis(100);

/// Between two walks over everything lies at least this, and
const WALKS_EVERY: Duration = Duration::from_millis(250);
/// at least this many times what the last one took: a tenth of a claimer's time goes into them.
const WALKS_PAUSE: u32 = 10;
/// At the latest after this there is one, so that nothing waits for longer that only such a walk finds.
const WALKS_AT_LATEST: Duration = Duration::from_secs(2);

/// How long claims need not walk over everything again after one that did and `took` so long. `None`: they may as well.
pub fn walks_pause(took: Duration) -> Option<Duration> {
    (took > CHEAP).then(|| (took * WALKS_PAUSE).clamp(WALKS_EVERY, WALKS_AT_LATEST))
}

/// The rest after a claim that `took` so long and found less than it could take: fewer claims take more rows each.
pub fn rest_after(took: Duration) -> Duration {
    if took <= CHEAP {
        Duration::ZERO
    } else {
        (took * TIMES).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cheap_walks_need_no_pause_and_dear_ones_take_a_tenth_of_the_time_and_come_within_two_seconds() {
        let millis = Duration::from_millis;
        assert_eq!(walks_pause(millis(2)), None);
        assert_eq!(walks_pause(millis(3)), Some(millis(250)));
        assert_eq!(walks_pause(millis(60)), Some(millis(600)));
        assert_eq!(walks_pause(Duration::from_secs(9)), Some(millis(2000)));
    }

    #[test]
    fn cheap_claims_follow_each_other_and_dear_ones_take_a_quarter_of_the_time_at_most() {
        let millis = Duration::from_millis;
        assert_eq!(rest_after(millis(2)), Duration::ZERO);
        assert_eq!(rest_after(millis(10)), millis(30));
        assert_eq!(rest_after(millis(60)), millis(100));
        assert_eq!(rest_after(Duration::from_hours(1)), millis(100));
    }
}
