//! What was decided and what came of it, kept outside of every process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aftercommit_domain::ids::MessageId;

use crate::contracts::{Change, Work};
use crate::plan::Plan;

/// What was decided and what came of it.
#[derive(Default)]
pub(crate) struct Ledger {
    books: Mutex<Books>,
}

#[derive(Default, Clone)]
pub(crate) struct Books {
    /// What someone began to commit.
    pub(crate) intents: BTreeMap<Change, Intent>,
    /// What was done through the inbox, in the order of the commits.
    pub(crate) effects: Vec<(Work, Change)>,
    /// How many of them were there when dead letters began to be replayed, which keeps no order.
    pub(crate) in_order: Option<usize>,
    /// How often something was done beside the inbox.
    pub(crate) outside: BTreeMap<(Work, Change), u32>,
    /// The ids each work came under.
    pub(crate) ids: BTreeMap<(Work, Change), BTreeSet<MessageId>>,
    /// How often a plan that counts for itself was carried out.
    counted: BTreeMap<(Work, Change), u8>,
    /// What must never be and was seen as it happened.
    pub(crate) seen: BTreeSet<String>,
    pub(crate) runs: u64,
}

/// What someone wanted to commit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intent {
    pub(crate) record: Plan,
    pub(crate) mail: Plan,
    pub(crate) job: Option<Plan>,
    pub(crate) note: Option<Plan>,
    /// What its writer heard.
    pub(crate) answer: Answer,
    /// The event's id, once the store has committed it.
    pub(crate) committed: Option<MessageId>,
}

/// What the writer heard of its commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing, or that it is not known.
    Unknown,
    /// It is committed.
    Committed,
    /// It is not.
    RolledBack,
}

impl Intent {
    /// How the runs of this work go; `None` where there is no such work.
    pub(crate) const fn plan(&self, work: Work) -> Option<Plan> {
        match work {
            Work::Record => Some(self.record),
            Work::Mail => Some(self.mail),
            Work::Job => self.job,
            Work::Note => self.note,
        }
    }
}

impl Ledger {
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What must never be.
    pub(crate) fn must_not(&self, what: String) {
        self.books().seen.insert(what);
    }

    /// A run began.
    pub(crate) fn ran(&self, work: Work, change: Change, id: MessageId) {
        let mut books = self.books();
        books.runs += 1;
        books.ids.entry((work, change)).or_default().insert(id);
    }

    /// Something was done beside the inbox.
    pub(crate) fn did_outside(&self, work: Work, change: Change) {
        *self.books().outside.entry((work, change)).or_default() += 1;
    }

    /// Whether this is still to be done at most `times`; counts it if so.
    pub(crate) fn once_more(&self, work: Work, change: Change, times: u8) -> bool {
        let mut books = self.books();
        let count = books.counted.entry((work, change)).or_default();
        let more = *count < times;
        *count += u8::from(more);
        more
    }
}
