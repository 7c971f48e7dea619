//! Who holds what, as the store handed it out: to see that a write-back of somebody else changes nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aftercommit_domain::events::{Claim, Claimed, LeaseToken, Marked};
use aftercommit_domain::ids::MessageId;

/// Who was handed what last.
#[derive(Default)]
pub(crate) struct Fences {
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    rows: BTreeMap<i64, LeaseToken>,
    tasks: BTreeMap<MessageId, u64>,
    handed_out: u64,
}

impl Fences {
    /// Rows were claimed.
    pub(crate) fn claimed(&self, rows: &[Claimed]) {
        let mut last = self.lock();
        last.rows
            .extend(rows.iter().map(|row| (row.claim.position, row.claim.token)));
    }

    /// How many of these rows were claimed again since.
    pub(crate) fn lost<'a>(&self, claims: impl IntoIterator<Item = &'a Claim>) -> u64 {
        let last = self.lock();
        let is_lost = |claim: &&Claim| last.rows.get(&claim.position) != Some(&claim.token);
        claims.into_iter().filter(is_lost).count() as u64
    }

    /// A task was handed out. Answers the number of that.
    pub(crate) fn handed_out(&self, task: MessageId) -> u64 {
        let mut last = self.lock();
        last.handed_out += 1;
        let number = last.handed_out;
        last.tasks.insert(task, number);
        number
    }

    /// Whether this handing-out of the task is the last one.
    pub(crate) fn is_last(&self, task: MessageId, number: u64) -> bool {
        self.lock().tasks.get(&task) == Some(&number)
    }

    fn lock(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a write-back did that it must not have: it changed rows of others.
pub(crate) fn broken(marked: Marked, all: usize, lost: u64) -> Option<String> {
    let own = (all as u64).saturating_sub(lost);
    let changed = marked.changed;
    (changed > own).then(|| format!("fence: a write-back changed {changed} rows and held {own} of them"))
}
