//! Whether a run goes on for longer than its server likes.

use std::cell::Cell;

/// Remembers when the server first said that the history is long.
#[derive(Default)]
pub(super) struct Length {
    long_since: Cell<Option<u32>>,
    is_told: Cell<bool>,
}

impl Length {
    /// `true` once, when the history has grown by another quarter since the server said that it is long: one that is about to
    /// go on as a new run needs a few more steps until it comes to the place where it can.
    pub(super) fn is_overdue(&self, is_long: bool, events: u32) -> bool {
        if !is_long || self.is_told.get() {
            return false;
        }
        let since = self.long_since.get().unwrap_or(events);
        self.long_since.set(Some(since));
        let is_overdue = events.saturating_sub(since) > since / 4;
        self.is_told.set(is_overdue);
        is_overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_goes_on_past_its_length_is_told_of_once() {
        let length = Length::default();
        let told: Vec<u32> = (0..10_000)
            .step_by(5)
            .filter(|events| length.is_overdue(*events >= 4000, *events))
            .collect();
        assert_eq!(told, [5005]);
    }

    #[test]
    fn a_run_that_soon_goes_on_as_a_new_one_is_not_told_of() {
        let length = Length::default();
        assert!((0..5000).all(|events| !length.is_overdue(events >= 4000, events)));
    }
}
