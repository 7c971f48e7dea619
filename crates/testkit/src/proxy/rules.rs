//! What a test wants to happen when a statement passes.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::{PATIENCE, Statement, lock};

/// All rules of a proxy.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    rules: Mutex<Vec<Arc<Rule>>>,
    statements: AtomicU64,
}

/// Where a statement is caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    /// Before the server has it.
    Request,
    /// When the server has answered it whole.
    Reply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Hold,
    Lose,
}

#[derive(Debug)]
pub(super) struct Rule {
    statement: Statement,
    point: Point,
    effect: Effect,
    /// How many statements it is still for.
    remaining: Mutex<usize>,
    progress: watch::Sender<Progress>,
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

/// What is to be done about one statement.
#[derive(Debug, Default)]
pub(super) struct Caught {
    pub(super) request: Option<Arc<Rule>>,
    pub(super) reply: Option<Arc<Rule>>,
}

impl Rules {
    fn add(&self, statement: Statement, point: Point, effect: Effect, times: usize) -> Arc<Rule> {
        let rule = Arc::new(Rule {
            statement,
            point,
            effect,
            remaining: Mutex::new(times),
            progress: watch::Sender::default(),
        });
        lock(&self.inner.rules).push(Arc::clone(&rule));
        rule
    }

    pub(super) fn hold(&self, statement: Statement, point: Point) -> Hold {
        Hold {
            rule: self.add(statement, point, Effect::Hold, 1),
        }
    }

    pub(super) fn lose(&self, statement: Statement, point: Point, times: usize) -> Loss {
        Loss {
            rule: self.add(statement, point, Effect::Lose, times),
            times,
        }
    }

    /// A statement passes: uses up the first rule for each point that is about it.
    pub(super) fn catch(&self, sql: &str) -> Caught {
        self.inner.statements.fetch_add(1, Ordering::Relaxed);
        let mut rules = lock(&self.inner.rules);
        rules.retain(|rule| *lock(&rule.remaining) > 0);
        let first = |point| {
            let rule = rules
                .iter()
                .find(|rule| rule.point == point && rule.statement.recognises(sql))?;
            // Of a rule that was given up meanwhile, nothing remains.
            let mut remaining = lock(&rule.remaining);
            *remaining = remaining.checked_sub(1)?;
            Some(Arc::clone(rule))
        };
        Caught {
            request: first(Point::Request),
            reply: first(Point::Reply),
        }
    }

    pub(super) fn statements(&self) -> u64 {
        self.inner.statements.load(Ordering::Relaxed)
    }
}

impl Rule {
    /// The statement, or its reply, is here. Answers whether it may go on.
    pub(super) async fn decide(&self) -> bool {
        self.progress.send_modify(|progress| progress.caught += 1);
        match self.effect {
            Effect::Lose => false,
            Effect::Hold => {
                let mut progress = self.progress.subscribe();
                let decided = progress.wait_for(|progress| progress.verdict.is_some()).await;
                !decided.is_ok_and(|progress| progress.verdict == Some(Verdict::Cut))
            }
        }
    }

    fn give_up(&self, verdict: Verdict) {
        *lock(&self.remaining) = 0;
        self.progress.send_modify(|progress| {
            progress.verdict.get_or_insert(verdict);
        });
    }

    async fn wait_until_caught(&self, times: usize, what: &str) {
        let mut progress = self.progress.subscribe();
        let caught = tokio::time::timeout(PATIENCE, progress.wait_for(|progress| progress.caught >= times)).await;
        assert!(
            matches!(caught, Ok(Ok(_))),
            "after {} s, {what} {:?} has not come by {times} times",
            PATIENCE.as_secs(),
            self.statement
        );
    }
}

/// Catches one statement and keeps it until the test says what becomes of it. Dropping it lets the statement go.
#[must_use = "a hold that is dropped holds nothing"]
pub struct Hold {
    rule: Arc<Rule>,
}

impl Hold {
    /// Waits until the proxy has caught the statement: for a request, the server knows nothing of it yet; for a reply,
    /// the server has done all it was asked.
    ///
    /// # Panics
    /// That did not happen within 30 s.
    pub async fn arrived(&self) {
        self.rule.wait_until_caught(1, "the held statement").await;
    }

    /// Whether it has caught the statement.
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
            .field("statement", &self.rule.statement)
            .field("has_arrived", &self.has_arrived())
            .finish_non_exhaustive()
    }
}

/// Throws statements or their replies away, and cuts their connections on both sides. Dropping it ends that.
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
        self.rule.wait_until_caught(self.times, "the statement to lose").await;
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
            .field("statement", &self.rule.statement)
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}
