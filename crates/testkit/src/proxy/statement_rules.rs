//! What a test wants to happen when a statement passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Statement;
use super::rules::{Effect, Hold, Loss, Rule, RuleBook};

/// All rules of a proxy in front of PostgreSQL.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    book: RuleBook<(Statement, Point)>,
    statements: Arc<AtomicU64>,
}

/// Where a statement is caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    /// Before the server has it.
    Request,
    /// When the server has answered it whole.
    Reply,
}

/// What is to be done about one statement.
#[derive(Debug, Default)]
pub(super) struct Caught {
    pub(super) request: Option<Arc<Rule>>,
    pub(super) reply: Option<Arc<Rule>>,
}

impl Rules {
    pub(super) fn hold(&self, statement: Statement, point: Point) -> Hold {
        self.book.hold((statement, point), 1)
    }

    pub(super) fn lose(&self, statement: Statement, point: Point, times: usize) -> Loss {
        self.book.lose((statement, point), Effect::Lose, 1, times)
    }

    /// A statement passes: uses up the first rule for each point that is about it.
    pub(super) fn catch(&self, sql: &str) -> Caught {
        self.statements.fetch_add(1, Ordering::Relaxed);
        let first = |at| {
            let is_about = |(statement, point): &(Statement, Point)| *point == at && statement.recognises(sql);
            self.book.catch(is_about)
        };
        Caught {
            request: first(Point::Request),
            reply: first(Point::Reply),
        }
    }

    pub(super) fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }
}
