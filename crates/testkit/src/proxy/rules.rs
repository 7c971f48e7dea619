//! What a test wants to happen when something passes.

use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::{PATIENCE, lock};

/// All rules of a proxy. `W` says what one is about.
pub(super) struct RuleBook<W> {
    rules: Arc<Mutex<Entries<W>>>,
}

type Entries<W> = Vec<(W, Arc<Rule>)>;

/// What becomes of what a rule has caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It waits for the test's verdict.
    Hold,
    /// It is thrown away, and its connection is cut.
    Lose,
    /// It is thrown away, and the connection goes on.
    Swallow,
    /// It goes on, and then its connection is cut.
    CutAfterwards,
    /// It goes on with this byte changed.
    Corrupt(usize),
}

#[derive(Debug)]
pub(super) struct Rule {
    /// What it is about, for people.
    about: String,
    effect: Effect,
    plan: Mutex<Plan>,
    progress: watch::Sender<Progress>,
}

#[derive(Debug, Clone, Copy)]
struct Plan {
    /// How many it lets pass first.
    skip: usize,
    /// How many it is still for.
    remaining: usize,
}

#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    caught: usize,
    verdict: Option<Verdict>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Release,
    Cut,
}

impl<W: fmt::Debug> RuleBook<W> {
    fn add(&self, about: W, effect: Effect, from: usize, times: usize) -> Arc<Rule> {
        let rule = Arc::new(Rule {
            about: format!("{about:?}"),
            effect,
            plan: Mutex::new(Plan {
                skip: from.saturating_sub(1),
                remaining: times,
            }),
            progress: watch::Sender::default(),
        });
        lock(&self.rules).push((about, Arc::clone(&rule)));
        rule
    }

    /// Holds the `from`th that comes from now on.
    pub(super) fn hold(&self, about: W, from: usize) -> Hold {
        Hold {
            rule: self.add(about, Effect::Hold, from, 1),
        }
    }

    /// Does something else to the `from`th that comes from now on, and to the following, to as many as `times`.
    pub(super) fn lose(&self, about: W, effect: Effect, from: usize, times: usize) -> Loss {
        Loss {
            rule: self.add(about, effect, from, times),
            times,
        }
    }

    /// Something passes: uses up the first rule that is about it, and lets the others count it.
    pub(super) fn catch(&self, is_about: impl Fn(&W) -> bool) -> Option<Arc<Rule>> {
        let mut rules = lock(&self.rules);
        rules.retain(|(_, rule)| lock(&rule.plan).remaining > 0);
        let mut caught = None;
        for (_, rule) in rules.iter().filter(|(about, _)| is_about(about)) {
            let mut plan = lock(&rule.plan);
            if plan.skip > 0 {
                plan.skip -= 1;
            } else if caught.is_none()
                // Of a rule that was given up meanwhile, nothing remains.
                && let Some(remaining) = plan.remaining.checked_sub(1)
            {
                plan.remaining = remaining;
                caught = Some(Arc::clone(rule));
            }
        }
        caught
    }
}

impl<W> Default for RuleBook<W> {
    fn default() -> Self {
        Self { rules: Arc::default() }
    }
}

impl<W> Clone for RuleBook<W> {
    fn clone(&self) -> Self {
        Self {
            rules: Arc::clone(&self.rules),
        }
    }
}

impl<W> fmt::Debug for RuleBook<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleBook")
            .field("rules", &lock(&self.rules).len())
            .finish()
    }
}

impl Rule {
    pub(super) const fn effect(&self) -> Effect {
        self.effect
    }

    /// What it is about is here. Answers whether the connection goes on.
    pub(super) async fn decide(&self) -> bool {
        self.progress.send_modify(|progress| progress.caught += 1);
        match self.effect {
            Effect::Lose | Effect::CutAfterwards => false,
            Effect::Swallow | Effect::Corrupt(_) => true,
            Effect::Hold => {
                let mut progress = self.progress.subscribe();
                let decided = progress.wait_for(|progress| progress.verdict.is_some()).await;
                !decided.is_ok_and(|progress| progress.verdict == Some(Verdict::Cut))
            }
        }
    }

    fn give_up(&self, verdict: Verdict) {
        lock(&self.plan).remaining = 0;
        self.progress.send_modify(|progress| {
            progress.verdict.get_or_insert(verdict);
        });
    }

    async fn wait_until_caught(&self, times: usize, what: &str) {
        let mut progress = self.progress.subscribe();
        let caught = tokio::time::timeout(PATIENCE, progress.wait_for(|progress| progress.caught >= times)).await;
        assert!(
            matches!(caught, Ok(Ok(_))),
            "after {} s, what is to be {what}, {}, has not come by {times} times",
            PATIENCE.as_secs(),
            self.about
        );
    }
}

/// Catches one statement or frame and keeps it until the test says what becomes of it. Dropping it lets that go.
#[must_use = "a hold that is dropped holds nothing"]
pub struct Hold {
    rule: Arc<Rule>,
}

impl Hold {
    /// Waits until the proxy has caught it: of a request or a frame, the other end knows nothing yet; when it is a reply,
    /// the server has done all it was asked.
    ///
    /// # Panics
    /// That did not happen within 30 s.
    pub async fn arrived(&self) {
        self.rule.wait_until_caught(1, "held").await;
    }

    /// Whether it has caught it.
    pub fn has_arrived(&self) -> bool {
        self.rule.progress.borrow().caught > 0
    }

    /// Passes it on.
    pub fn release(self) {
        self.rule.give_up(Verdict::Release);
    }

    /// Throws it away and cuts its connection on both sides.
    pub fn cut(self) {
        self.rule.give_up(Verdict::Cut);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.rule.give_up(Verdict::Release);
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold")
            .field("about", &self.rule.about)
            .field("has_arrived", &self.has_arrived())
            .finish_non_exhaustive()
    }
}

/// Takes something away from what passes: statements, replies, frames, or the connection. Dropping it ends that.
#[must_use = "a loss that is dropped loses nothing"]
pub struct Loss {
    rule: Arc<Rule>,
    times: usize,
}

impl Loss {
    /// Waits until it has happened as many times as it was asked for.
    ///
    /// # Panics
    /// It has not within 30 s.
    pub async fn happened(&self) {
        self.rule.wait_until_caught(self.times, "lost").await;
    }

    /// How many times it has happened so far.
    pub fn count(&self) -> usize {
        self.rule.progress.borrow().caught
    }
}

impl Drop for Loss {
    fn drop(&mut self) {
        self.rule.give_up(Verdict::Release);
    }
}

impl fmt::Debug for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loss")
            .field("about", &self.rule.about)
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_for_the_nth_and_others_count_what_it_catches() {
        let book = RuleBook::default();
        let _first = book.lose("frame", Effect::Swallow, 2, 1);
        let _second = book.lose("frame", Effect::Lose, 3, 2);
        let effects: Vec<_> = (0..5)
            .map(|_| book.catch(|about| *about == "frame").map(|rule| rule.effect()))
            .collect();
        let lost = Some(Effect::Lose);
        assert_eq!(effects, [None, Some(Effect::Swallow), lost, lost, None]);
        assert!(book.catch(|about| *about == "other").is_none());
    }
}
