//! How long a message waits that this build does not know.

use std::time::Duration;

/// How long a message waits that this build does not know: while builds are exchanged one process after the other, another
/// process may know it. Waiting is no attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From the first look at it to its dead letter. Defaults to 5 min; zero gives it up at the first look.
    pub whole: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            whole: Duration::from_mins(5),
        }
    }
}

impl Patience {
    /// When to look again at a message that has `waited` since the first look: a twentieth of the whole, between one
    /// second and 15, and never past its end. `None` when the patience is over.
    pub fn again(&self, waited: Duration) -> Option<Duration> {
        let left = self.whole.checked_sub(waited).filter(|left| !left.is_zero())?;
        let pause = (self.whole / 20).clamp(Duration::from_secs(1), Duration::from_secs(15));
        Some(pause.min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_again_until_the_patience_is_over_and_not_once_more() {
        let patience = Patience::default();
        let mut waited = Duration::ZERO;
        let mut looks = 1;
        while let Some(pause) = patience.again(waited) {
            waited += pause;
            looks += 1;
        }
        assert_eq!((waited, looks), (patience.whole, 21));
        assert_eq!(patience.again(Duration::MAX), None);
        let none = Patience { whole: Duration::ZERO };
        assert_eq!(none.again(Duration::ZERO), None);
        let little = Patience {
            whole: Duration::from_millis(1500),
        };
        assert_eq!(little.again(Duration::from_secs(1)), Some(Duration::from_millis(500)));
    }
}
