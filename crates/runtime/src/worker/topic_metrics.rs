//! The metrics of a topic, with their labels looked up once.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use aftercommit_domain::contract::{TaskName, TopicName};
use aftercommit_domain::tasks::{Outcome, Verdict};
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

/// The metrics of a topic. Label values are the topic, its own tasks and fixed words, so their number is bounded.
pub(crate) struct TopicMetrics {
    pub(crate) running: Gauge,
    pub(crate) wait_seconds: Histogram,
    pub(crate) run_seconds: Histogram,
    pub(crate) settle_failures: Counter,
    topic: TopicName,
    ended: Mutex<HashMap<(Option<TaskName>, &'static str), Counter>>,
}

impl TopicMetrics {
    pub(crate) fn new(topic: &TopicName) -> Self {
        describe_gauge!("aftercommit_tasks_running", "Handlers running now");
        describe_histogram!(
            "aftercommit_task_wait_seconds",
            "From the time a task could run to the start of its attempt"
        );
        describe_histogram!("aftercommit_task_run_seconds", "How long attempts ran");
        describe_counter!("aftercommit_tasks_total", "Attempts by what came of them");
        describe_counter!(
            "aftercommit_settle_failures_total",
            "Settlements that did not happen; the task comes again"
        );
        let label = topic.to_string();
        Self {
            running: gauge!("aftercommit_tasks_running", "topic" => label.clone()),
            wait_seconds: histogram!("aftercommit_task_wait_seconds", "topic" => label.clone()),
            run_seconds: histogram!("aftercommit_task_run_seconds", "topic" => label.clone()),
            settle_failures: counter!("aftercommit_settle_failures_total", "topic" => label),
            topic: topic.clone(),
            ended: Mutex::default(),
        }
    }

    /// Counts an attempt. `task` is `None` for one that no handler here knows, whose name could be anything.
    pub(crate) fn ended(&self, task: Option<&TaskName>, verdict: &Verdict, run: Duration) {
        self.run_seconds.record(run.as_secs_f64());
        let outcome = word(verdict);
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = ended.get(&(task.cloned(), outcome)) {
            counter.increment(1);
            return;
        }
        let name = task.map_or_else(|| "unknown".to_owned(), ToString::to_string);
        let counter = counter!("aftercommit_tasks_total", "topic" => self.topic.to_string(), "task" => name, "outcome" => outcome);
        counter.increment(1);
        ended.insert((task.cloned(), outcome), counter);
    }
}

/// The verdict in one word, for labels and logs.
pub(crate) const fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Finish(Outcome::Completed) => "completed",
        Verdict::Finish(Outcome::Skipped(_)) => "skipped",
        Verdict::Finish(Outcome::Cancelled(_)) => "cancelled",
        Verdict::Finish(Outcome::Snoozed(_)) | Verdict::Retry { failure: None, .. } => "snoozed",
        Verdict::Retry { failure: Some(_), .. } => "retried",
        Verdict::DeadLetter(_) => "dead",
        Verdict::GiveBack => "given_back",
    }
}
