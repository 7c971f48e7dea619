//! Whose turn it is to run a suspect: one of a process at a time.

use std::sync::{Arc, Mutex};

use crate::topics::lock;

/// The turn, and who came while another had it.
#[derive(Debug)]
pub(crate) struct Suspects<T> {
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    is_taken: bool,
    /// Who did not get the turn since a suspect ended: the next one may be theirs. `None` when there seem to be no more, so
    /// that claims that only meet each other do not wake each other for ever.
    refused: Option<Vec<Arc<T>>>,
}

impl<T> Default for Suspects<T> {
    fn default() -> Self {
        let state = State {
            is_taken: false,
            refused: None,
        };
        Self {
            state: Mutex::new(state),
        }
    }
}

impl<T> Suspects<T> {
    /// Whether `who` has the turn now.
    pub(crate) fn take_turn(&self, who: &Arc<T>) -> bool {
        let mut state = lock(&self.state);
        if !state.is_taken {
            state.is_taken = true;
            return true;
        }
        if let Some(refused) = &mut state.refused
            && !refused.iter().any(|other| Arc::ptr_eq(other, who))
        {
            refused.push(Arc::clone(who));
        }
        false
    }

    /// There may be suspects now: who does not get the turn from here on is remembered.
    pub(crate) fn expect(&self) {
        lock(&self.state).refused.get_or_insert_default();
    }

    /// Ends the turn, in which there was a suspect or none. Answers who is to look again because this turn was in their way;
    /// after one with a suspect everyone is.
    pub(crate) fn end_turn(&self, had_suspect: bool) -> Vec<Arc<T>> {
        let mut state = lock(&self.state);
        state.is_taken = false;
        let refused = state.refused.take().unwrap_or_default();
        if had_suspect || !refused.is_empty() {
            state.refused = Some(Vec::new());
        }
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_did_not_get_the_turn_looks_again_while_there_are_suspects_and_not_for_ever() {
        let suspects = Suspects::default();
        let [a, b, c] = ["a", "b", "c"].map(Arc::new);
        // Nobody has seen a suspect: claims that meet each other are nobody's business.
        assert!(suspects.take_turn(&a));
        assert!(!suspects.take_turn(&b));
        assert!(suspects.end_turn(false).is_empty());

        // Until somebody has lost a run.
        suspects.expect();
        assert!(suspects.take_turn(&a));
        assert!(!suspects.take_turn(&b));
        assert_eq!(suspects.end_turn(false), [Arc::clone(&b)]);
        assert!(suspects.take_turn(&b));
        assert!(suspects.end_turn(false).is_empty());

        // One has ended, and the next may be anybody's. Whoever looks first may have none.
        assert!(suspects.take_turn(&a));
        suspects.end_turn(true);
        assert!(suspects.take_turn(&a));
        assert!(!suspects.take_turn(&b));
        assert!(!suspects.take_turn(&c));
        assert!(!suspects.take_turn(&b));
        assert_eq!(suspects.end_turn(false), [Arc::clone(&b), Arc::clone(&c)]);
        assert!(suspects.take_turn(&b));
        assert!(!suspects.take_turn(&c));
        assert_eq!(suspects.end_turn(false), [Arc::clone(&c)]);

        // The last one has looked too, and nobody had one.
        assert!(suspects.take_turn(&c));
        assert!(suspects.end_turn(false).is_empty());
        assert!(suspects.take_turn(&a));
        assert!(!suspects.take_turn(&b));
        assert!(suspects.end_turn(false).is_empty());
    }
}
