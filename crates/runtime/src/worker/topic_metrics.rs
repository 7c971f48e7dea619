//! The metrics of a topic, registered once, so that counting an attempt takes no lock and no look-up.

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::tasks::{Outcome, Verdict};
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

/// The metrics of a topic. Label values are the topic, its own tasks and fixed words, so their number is bounded.
pub(super) struct TopicMetrics {
    pub(super) wait_seconds: Histogram,
    pub(super) run_seconds: Histogram,
    pub(super) settle_failures: Counter,
    /// Attempts at tasks that no handler here knows, whose names could be anything.
    pub(super) unknown: OutcomeCounters,
    running: Gauge,
}

/// How attempts at one task ended.
pub(super) struct OutcomeCounters {
    completed: Counter,
    skipped: Counter,
    cancelled: Counter,
    snoozed: Counter,
    retried: Counter,
    dead: Counter,
    given_back: Counter,
    set_aside: Counter,
}

/// Counts an attempt as running for as long as it exists, however it ends.
pub(super) struct Running<'a>(&'a Gauge);

impl TopicMetrics {
    pub(super) fn new(topic: &TopicName) -> Self {
        describe_gauge!("aftercommit_tasks_running", "Handlers running now");
        describe_histogram!(
            "aftercommit_task_wait_seconds",
            "From the time a task could run to the start of its first attempt"
        );
        describe_histogram!("aftercommit_task_run_seconds", "How long attempts ran");
        describe_counter!("aftercommit_tasks_total", "Attempts by what came of them");
        describe_counter!(
            "aftercommit_settle_failures_total",
            "Settlements that did not happen; the task comes again"
        );
        let label = topic.to_string();
        Self {
            wait_seconds: histogram!("aftercommit_task_wait_seconds", "topic" => label.clone()),
            run_seconds: histogram!("aftercommit_task_run_seconds", "topic" => label.clone()),
            settle_failures: counter!("aftercommit_settle_failures_total", "topic" => label.clone()),
            unknown: OutcomeCounters::new(topic, "unknown"),
            running: gauge!("aftercommit_tasks_running", "topic" => label),
        }
    }

    pub(super) fn running(&self) -> Running<'_> {
        self.running.increment(1.0);
        Running(&self.running)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl OutcomeCounters {
    pub(super) fn new(topic: &TopicName, task: &str) -> Self {
        let counter = |outcome: &'static str| {
            counter!(
                "aftercommit_tasks_total",
                "topic" => topic.to_string(),
                "task" => task.to_owned(),
                "outcome" => outcome
            )
        };
        Self {
            completed: counter("completed"),
            skipped: counter("skipped"),
            cancelled: counter("cancelled"),
            snoozed: counter("snoozed"),
            retried: counter("retried"),
            dead: counter("dead"),
            given_back: counter("given_back"),
            set_aside: counter("set_aside"),
        }
    }

    pub(super) fn count(&self, verdict: &Verdict) {
        let counter = match verdict {
            Verdict::Finish(Outcome::Completed) => &self.completed,
            Verdict::Finish(Outcome::Skipped(_)) => &self.skipped,
            Verdict::Finish(Outcome::Cancelled(_)) => &self.cancelled,
            Verdict::Finish(Outcome::Snoozed(_)) | Verdict::Retry { failure: None, .. } => &self.snoozed,
            Verdict::Retry { failure: Some(_), .. } => &self.retried,
            Verdict::DeadLetter(_) => &self.dead,
            Verdict::GiveBack => &self.given_back,
            Verdict::SetAside => &self.set_aside,
        };
        counter.increment(1);
    }
}

/// The verdict in one word, for logs.
pub(super) const fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Finish(Outcome::Completed) => "completed",
        Verdict::Finish(Outcome::Skipped(_)) => "skipped",
        Verdict::Finish(Outcome::Cancelled(_)) => "cancelled",
        Verdict::Finish(Outcome::Snoozed(_)) | Verdict::Retry { failure: None, .. } => "snoozed",
        Verdict::Retry { failure: Some(_), .. } => "retried",
        Verdict::DeadLetter(_) => "dead",
        Verdict::GiveBack => "given_back",
        Verdict::SetAside => "set_aside",
    }
}
