//! The line of those who want to begin while every connection is in use.
//!
//! Whoever commits begins for the first in the line in the same round trip, and hands the connection over: it does not go
//! back to the pool and is not asked whether it still lives, because it has just answered.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::transaction::PostgresTransaction;

/// Those who wait, in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Line {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next_number: u64,
    places: BTreeMap<u64, (String, oneshot::Sender<Taken>)>,
}

/// Gets the begun transaction, or nothing when whoever called could not begin.
type Taken = oneshot::Receiver<PostgresTransaction>;

/// Somebody was called: whoever holds this begins for them, or drops it, and they wait for the pool.
#[derive(Debug)]
pub(crate) struct Turn {
    /// How their transaction begins.
    pub(crate) begin: String,
    /// Takes the begun transaction. One that nobody takes any more is rolled back.
    pub(crate) taker: oneshot::Sender<PostgresTransaction>,
}

/// A place in the line, given up when it is dropped.
pub(crate) struct Place<'l> {
    line: &'l Line,
    number: u64,
    call: oneshot::Receiver<Taken>,
}

impl Line {
    /// Joins it, with the statement that begins.
    pub(crate) fn join(&self, begin: String) -> Place<'_> {
        let (caller, call) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let number = waiting.next_number;
        waiting.next_number += 1;
        waiting.places.insert(number, (begin, caller));
        Place {
            line: self,
            number,
            call,
        }
    }

    /// Calls the first who still waits.
    pub(crate) fn call(&self) -> Option<Turn> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((_, (begin, caller))) = waiting.places.pop_first() {
            let (taker, taken) = oneshot::channel();
            if caller.send(taken).is_ok() {
                return Some(Turn { begin, taker });
            }
        }
        None
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.places.len()
    }
}

impl Place<'_> {
    /// Takes the same place again, after a call that came to nothing.
    pub(crate) fn wait_again(&mut self, begin: String) {
        let (caller, call) = oneshot::channel();
        self.call = call;
        let mut waiting = self.line.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.places.insert(self.number, (begin, caller));
    }

    /// Waits to be called. Cancelling loses nothing.
    pub(crate) async fn called(&mut self) -> Option<Taken> {
        (&mut self.call).await.ok()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.line.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.places.remove(&self.number);
    }
}
