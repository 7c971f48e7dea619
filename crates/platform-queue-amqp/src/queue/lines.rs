//! The order keys of a partition: of each, one task runs at a time, and those the database holds come first.
//!
//! A key's head that must wait, for its time or for a retry, is held by the database, and so is whatever comes after it until
//! none of the key is left there: other keys go on meanwhile. This decides; the pump carries it out.

use std::collections::{HashMap, VecDeque};

use aftercommit_domain::tasks::HeldKeys;

/// More lines than this are not remembered as held; then every key is asked about.
const MOST_HELD: usize = 10_000;

/// The lines of a partition's keys.
pub(crate) struct Lines<T> {
    lines: HashMap<String, Line<T>>,
    /// A consumer before this one may have left tasks in the database, of any key.
    asks_about_all: bool,
    /// Raised whenever something became held: what was asked before knows nothing of it.
    generation: u64,
    steps: Steps<T>,
}

struct Line<T> {
    waiting: VecDeque<Queued<T>>,
    state: LineState,
}

struct Queued<T> {
    item: T,
    must_be_held: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineState {
    /// Nothing of it runs, and nothing of it is held.
    Free,
    /// One runs.
    Running,
    /// Something of it may be held.
    Held,
    /// It is being asked whether it is.
    Asking,
    /// Some are on their way to be held.
    Holding,
}

/// What is to be done.
pub(crate) struct Steps<T> {
    /// To be handed out.
    pub(crate) run: Vec<(String, T)>,
    /// To be held, in this order.
    pub(crate) hold: Vec<(String, T)>,
    /// To be asked about.
    pub(crate) ask: Vec<String>,
}

/// A question about keys, and when it was asked.
pub(crate) struct Question {
    pub(crate) keys: Vec<String>,
    generation: u64,
}

impl<T> Lines<T> {
    /// No lines yet. Who was before is not known.
    pub(crate) fn new() -> Self {
        Self {
            lines: HashMap::new(),
            asks_about_all: true,
            generation: 0,
            steps: Steps::default(),
        }
    }

    /// A task arrived. `must_be_held` when it cannot run now.
    pub(crate) fn arrived(&mut self, key: &str, item: T, must_be_held: bool) {
        let state = if self.asks_about_all {
            LineState::Held
        } else {
            LineState::Free
        };
        let line = self.lines.entry(key.to_owned()).or_insert_with(|| Line {
            waiting: VecDeque::new(),
            state,
        });
        line.waiting.push_back(Queued { item, must_be_held });
        self.advance(key);
    }

    /// The task that ran is over.
    pub(crate) fn over(&mut self, key: &str) {
        self.becomes(key, LineState::Free);
    }

    /// The task that ran is held now.
    pub(crate) fn held(&mut self, key: &str) {
        self.generation += 1;
        self.becomes(key, LineState::Held);
    }

    /// The task that ran was given back, to its place.
    pub(crate) fn again(&mut self, key: &str, item: T, must_be_held: bool) {
        if let Some(line) = self.lines.get_mut(key) {
            line.waiting.push_front(Queued { item, must_be_held });
        }
        self.becomes(key, LineState::Free);
    }

    /// These are held now.
    pub(crate) fn are_held(&mut self, keys: impl IntoIterator<Item = String>) {
        self.generation += 1;
        for key in keys {
            self.becomes(&key, LineState::Held);
        }
    }

    /// A question about what is to be asked.
    pub(crate) fn question(&self, keys: Vec<String>) -> Question {
        Question {
            keys,
            generation: self.generation,
        }
    }

    /// The database has answered.
    pub(crate) fn answered(&mut self, question: Question, answer: &HeldKeys) {
        let nothing_is_held = !answer.has_any && answer.keys.is_empty() && question.generation == self.generation;
        if nothing_is_held {
            self.asks_about_all = false;
            for line in self.lines.values_mut().filter(|line| line.state == LineState::Held) {
                line.state = LineState::Free;
            }
            self.lines
                .retain(|_, line| line.state != LineState::Free || !line.waiting.is_empty());
        }
        for key in question.keys {
            if !answer.keys.contains(&key) {
                self.becomes(&key, LineState::Free);
                continue;
            }
            let Some(line) = self.lines.get_mut(&key) else { continue };
            // Behind those that are held.
            for queued in &mut line.waiting {
                queued.must_be_held = true;
            }
            self.becomes(&key, LineState::Free);
        }
    }

    /// The question was not answered; it is to be asked again.
    pub(crate) fn unanswered(&mut self, question: Question) {
        for key in question.keys {
            self.becomes(&key, LineState::Held);
        }
    }

    /// What is to be done since this was called last.
    pub(crate) fn steps(&mut self) -> Steps<T> {
        std::mem::take(&mut self.steps)
    }

    fn becomes(&mut self, key: &str, state: LineState) {
        if let Some(line) = self.lines.get_mut(key) {
            line.state = state;
            self.advance(key);
        }
    }

    fn advance(&mut self, key: &str) {
        let Some(line) = self.lines.get_mut(key) else { return };
        match line.state {
            LineState::Running | LineState::Asking | LineState::Holding => {}
            LineState::Held if line.waiting.is_empty() => self.bound(),
            LineState::Held => {
                line.state = LineState::Asking;
                self.steps.ask.push(key.to_owned());
            }
            LineState::Free => match line.waiting.pop_front() {
                None => {
                    self.lines.remove(key);
                }
                Some(head) if head.must_be_held => {
                    line.state = LineState::Holding;
                    // What follows a held one is held behind it.
                    let all = std::iter::once(head).chain(line.waiting.drain(..));
                    self.steps.hold.extend(all.map(|queued| (key.to_owned(), queued.item)));
                }
                Some(head) => {
                    line.state = LineState::Running;
                    self.steps.run.push((key.to_owned(), head.item));
                }
            },
        }
    }

    /// Keys of which nothing is here need not be remembered when all are asked about.
    fn bound(&mut self) {
        if self.lines.len() > MOST_HELD {
            self.asks_about_all = true;
        }
        if self.asks_about_all {
            self.lines
                .retain(|_, line| line.state != LineState::Held || !line.waiting.is_empty());
        }
    }
}

impl<T> Default for Steps<T> {
    fn default() -> Self {
        Self {
            run: Vec::new(),
            hold: Vec::new(),
            ask: Vec::new(),
        }
    }
}

impl<T> Steps<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.run.is_empty() && self.hold.is_empty() && self.ask.is_empty()
    }
}

#[cfg(test)]
mod tests;
