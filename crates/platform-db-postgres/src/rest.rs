//! How long a claim is followed by none when it took long and found little.

use std::time::Duration;

/// A claim that takes no longer is cheap enough to be made for each row.
const CHEAP: Duration = Duration::from_millis(2);
/// So many times what it took, a dear one is followed by none: of a claimer's time at most a quarter goes into claims.
const TIMES: u32 = 3;
/// But never longer than this.
const LONGEST: Duration = Duration::from_millis(100);

/// The rest after a claim that `took` so long and found less than it could take. While a long transaction keeps the server
/// from removing rows that are gone, a claim walks over all of them: then fewer claims take more rows each.
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
    fn cheap_claims_follow_each_other_and_dear_ones_take_a_quarter_of_the_time_at_most() {
        let millis = Duration::from_millis;
        assert_eq!(rest_after(millis(2)), Duration::ZERO);
        assert_eq!(rest_after(millis(10)), millis(30));
        assert_eq!(rest_after(millis(60)), millis(100));
        assert_eq!(rest_after(Duration::from_secs(3600)), millis(100));
    }
}
