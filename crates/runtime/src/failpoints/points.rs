//! The points of the loops, in the order of a message's way.

use crate::failpoints::Failpoint;

macro_rules! points {
    ($($(#[$says:meta])* $point:ident = $made:ident($($name:literal),+);)*) => {
        $($(#[$says])* pub const $point: Failpoint = Failpoint::$made($($name),+);)*

        /// All of them.
        pub const POINTS: &[Failpoint] = &[$($point),*];
    };
}

points! {
    /// Rows are claimed and nothing was done with them.
    RELAY_AFTER_CLAIM = fallible("relay::after_claim");
    /// A batch is on its topics and out of the outbox, in one transaction.
    RELAY_AFTER_TRANSFER = fallible("relay::after_transfer");
    /// The queue has confirmed a batch whose rows are still claimed.
    RELAY_AFTER_PUBLISH = fallible("relay::after_publish");
    /// The same, with everything ready to be written back.
    RELAY_BEFORE_MARK = fallible("relay::before_mark");
    /// Rows are marked as published.
    RELAY_AFTER_MARK = fallible("relay::after_mark");
    /// Rows that were not published are given back.
    RELAY_AFTER_RELEASE = fallible("relay::after_release");
    /// An event is in the log and nothing follows from it yet.
    DISPATCHER_AFTER_RECORD = fallible("dispatcher::after_record");
    /// It is known what follows, and nothing of it is published.
    DISPATCHER_BEFORE_PUBLISH = new("dispatcher::before_publish");
    /// What follows is published, and the event not settled.
    DISPATCHER_AFTER_PUBLISH = new("dispatcher::after_publish");
    /// What can never be published is a dead letter, and the event not settled.
    DISPATCHER_AFTER_DEAD_LETTER = fallible("dispatcher::after_dead_letter");
    /// A task is taken, and not read.
    WORKER_AFTER_CLAIM = new("worker::after_claim");
    /// It is read, and its handler not begun.
    WORKER_AFTER_DECODE = new("worker::after_decode");
    /// A handler's transaction is about to be committed.
    WORKER_BEFORE_COMMIT = of_attempts("worker::before_commit", "unit_of_work::before_commit");
    /// It is committed, and the handler does not know.
    WORKER_AFTER_COMMIT = of_attempts("worker::after_commit", "unit_of_work::after_commit");
    /// The handler has returned, and nothing is decided.
    WORKER_AFTER_HANDLER = new("worker::after_handler");
    /// A task that ended is about to be settled.
    WORKER_BEFORE_SETTLE = fallible("worker::before_settle");
    /// It is settled.
    WORKER_AFTER_SETTLE = fallible("worker::after_settle");
    /// A task that failed is about to be put back.
    RETRY_BEFORE_SETTLE = fallible("retry::before_settle");
    /// It is put back.
    RETRY_AFTER_SETTLE = fallible("retry::after_settle");
    /// A task that is given up is about to become a dead letter.
    DEAD_LETTER_BEFORE_SETTLE = fallible("dead_letter::before_settle");
    /// It is one.
    DEAD_LETTER_AFTER_SETTLE = fallible("dead_letter::after_settle");
    /// A task that did not run to its end is about to be given back.
    GIVE_BACK_BEFORE_SETTLE = fallible("give_back::before_settle");
    /// It is given back.
    GIVE_BACK_AFTER_SETTLE = fallible("give_back::after_settle");
    /// Rows of lost relays are free again.
    RESCUER_AFTER_OUTBOX = new("rescuer::after_outbox");
    /// Tasks of lost workers are free again.
    RESCUER_AFTER_TASKS = new("rescuer::after_tasks");
    /// What is old is forgotten.
    RESCUER_AFTER_PRUNE = fallible("rescuer::after_prune");
    /// A bulk run has done a step and not noted it.
    BULK_AFTER_STEP = new("bulk::after_step");
    /// No new work is taken.
    SHUTDOWN_AFTER_STOP = new("shutdown::after_stop");
    /// Running handlers were told to end.
    SHUTDOWN_AFTER_CANCEL = new("shutdown::after_cancel");
    /// Running handlers were dropped.
    SHUTDOWN_AFTER_ABORT = new("shutdown::after_abort");
    /// Every loop and every attempt has ended.
    SHUTDOWN_AFTER_LOOPS = new("shutdown::after_loops");
}
