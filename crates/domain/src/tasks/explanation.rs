//! Why a task is where it is, in one sentence. Pure.

use crate::tasks::{CancelOrder, Pause, PauseTarget, TaskDetails, TaskState, TaskSummary, TopicDepth};
use crate::time::Timestamp;

/// What is known around a task.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The pauses in force.
    pub pauses: Vec<Pause>,
    /// The order to cancel it, if there is one.
    pub order: Option<CancelOrder>,
    /// What its topic holds; `None` when nothing.
    pub depth: Option<TopicDepth>,
    /// Whether the process that was asked has a handler for it.
    pub is_declared_here: bool,
    /// After how many attempts it is given up, where that is known.
    pub max_attempts: Option<u32>,
}

/// Why the task is not running, or what became of it.
pub fn explain(task: &TaskDetails, around: &Surroundings) -> String {
    let summary = &task.summary;
    match summary.state {
        TaskState::Completed => "It is done.".into(),
        TaskState::Skipped => format!("It ended without doing anything: {}.", reason(summary)),
        TaskState::Cancelled => format!("It was cancelled: {}.", reason(summary)),
        TaskState::Dead => format!(
            "It was given up after {} and is a dead letter: {}.",
            attempts(summary.attempts),
            reason(summary)
        ),
        TaskState::Running => match &around.order {
            Some(CancelOrder { actor, reason, .. }) => {
                format!("It runs, and was told to end, because {actor} cancelled it: {reason}.")
            }
            None => format!("It runs: attempt {}.", summary.attempts),
        },
        TaskState::Paused | TaskState::Scheduled | TaskState::Available | TaskState::Retryable => waiting(task, around),
    }
}

fn waiting(task: &TaskDetails, around: &Surroundings) -> String {
    let summary = &task.summary;
    if let Some(pause) = around.pauses.iter().find(|pause| holds(pause, summary)) {
        let until = pause.until.map_or_else(
            || "until somebody resumes it".into(),
            |until| format!("until {}", at(until)),
        );
        return format!(
            "It waits because {} was paused by {} at {}, {until}: {}.",
            pause.target,
            pause.actor,
            at(pause.since),
            pause.reason
        );
    }
    if summary.state == TaskState::Paused {
        return "It was set aside for a pause that is over; it goes on within a second.".into();
    }
    if let Some(before) = task.place.behind {
        return format!("It waits for task {before}, the one before it of its order key.");
    }
    match (summary.state, summary.due_at) {
        (TaskState::Retryable, Some(due_at)) => {
            let next = summary.attempts.saturating_add(1);
            let most = around
                .max_attempts
                .map_or_else(String::new, |most| format!(" of {most}"));
            format!(
                "It failed ({}) and waits for attempt {next}{most} at {}.",
                reason(summary),
                at(due_at)
            )
        }
        (TaskState::Scheduled, Some(due_at)) => match &task.place.window {
            Some(window) if window.is_open => format!(
                "It waits in the window of the key {} until {}; what is published under the key before then is one task with it.",
                window.key,
                at(due_at)
            ),
            Some(_) | None => format!("It waits for its time, {}.", at(due_at)),
        },
        _ => available(summary, around),
    }
}

fn available(summary: &TaskSummary, around: &Surroundings) -> String {
    let (running, available) = around
        .depth
        .as_ref()
        .map_or((0, 0), |depth| (depth.running, depth.available));
    let consumers = around.depth.as_ref().and_then(|depth| depth.consumers);
    let has_worker = consumers.map_or(around.is_declared_here, |consumers| consumers > 0);
    if !has_worker {
        return format!(
            "It waits for a worker: no process takes tasks of the topic {}.",
            summary.topic
        );
    }
    if running > 0 {
        return format!("It waits for a free worker: {running} of its topic run now, and {available} wait.");
    }
    "It waits for a worker, which should take it at once.".into()
}

fn holds(pause: &Pause, task: &TaskSummary) -> bool {
    match &pause.target {
        PauseTarget::Topic(topic) => task.topic == *topic,
        PauseTarget::Task { topic, task: name } => task.topic == *topic && task.task == name.as_str(),
        PauseTarget::Organization(organization) => task.organization_id.as_ref() == Some(organization),
        PauseTarget::Project { organization, project } => {
            task.organization_id.as_ref() == Some(organization) && task.project_id.as_ref() == Some(project)
        }
    }
}

fn reason(task: &TaskSummary) -> &str {
    task.reason.as_deref().unwrap_or("no reason is kept")
}

fn attempts(number: u32) -> String {
    if number == 1 {
        "1 attempt".into()
    } else {
        format!("{number} attempts")
    }
}

fn at(time: Timestamp) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use crate::contract::{OrganizationId, TaskName, TopicName};
    use crate::ids::MessageId;
    use crate::tasks::{Reason, TaskPlace, TaskWindow};

    use super::*;

    const TOPIC: TopicName = TopicName::constant("letters");

    fn time(second: i64) -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    fn task(state: TaskState) -> TaskDetails {
        TaskDetails {
            summary: TaskSummary {
                id: "0192f0c1-7a3b-7c4d-8e5f-0123456789ab".parse().unwrap(),
                topic: TOPIC,
                task: "send".into(),
                organization_id: Some(OrganizationId::from(1_i64)),
                project_id: None,
                state,
                attempts: 3,
                enqueued_at: time(0),
                due_at: Some(time(60)),
                finished_at: None,
                reason: Some("smtp.refused: no".into()),
            },
            code: None,
            correlation_id: None,
            causation_id: None,
            payload: None,
            place: TaskPlace::default(),
        }
    }

    fn pause(target: PauseTarget, until: Option<Timestamp>) -> Surroundings {
        let (reason, actor) = (Reason::new("the provider is down"), "ada".into());
        let since = time(0);
        Surroundings {
            pauses: vec![Pause {
                target,
                reason,
                actor,
                since,
                until,
            }],
            ..Surroundings::default()
        }
    }

    fn topic(running: u64, consumers: Option<u64>) -> Surroundings {
        Surroundings {
            depth: Some(TopicDepth {
                topic: TOPIC,
                available: 7,
                scheduled: 0,
                running,
                paused: 0,
                consumers,
            }),
            ..Surroundings::default()
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table: a sentence for each reason")]
    fn each_reason_to_wait_has_its_sentence() {
        let before: MessageId = "0192f0c1-7a3b-7c4d-8e5f-00000000000a".parse().unwrap();
        let behind = TaskDetails {
            place: TaskPlace {
                behind: Some(before),
                window: None,
            },
            ..task(TaskState::Available)
        };
        let window = |is_open| TaskDetails {
            place: TaskPlace {
                behind: None,
                window: Some(TaskWindow {
                    key: "invoice-7".into(),
                    is_open,
                }),
            },
            ..task(TaskState::Scheduled)
        };
        let ordered = Surroundings {
            order: Some(CancelOrder {
                task: before,
                actor: "ada".into(),
                reason: Reason::new("the customer left"),
            }),
            ..Surroundings::default()
        };
        let known = Surroundings {
            max_attempts: Some(20),
            ..Surroundings::default()
        };
        let nothing = Surroundings::default;
        let of_task = PauseTarget::Task {
            topic: TOPIC,
            task: TaskName::constant("send"),
        };
        for (task, around, expected) in [
            (task(TaskState::Completed), nothing(), "It is done."),
            (
                task(TaskState::Skipped),
                nothing(),
                "It ended without doing anything: smtp.refused: no.",
            ),
            (
                task(TaskState::Dead),
                nothing(),
                "It was given up after 3 attempts and is a dead letter: smtp.refused: no.",
            ),
            (task(TaskState::Running), nothing(), "It runs: attempt 3."),
            (
                task(TaskState::Running),
                ordered,
                "It runs, and was told to end, because ada cancelled it: the customer left.",
            ),
            (
                task(TaskState::Available),
                pause(PauseTarget::Topic(TOPIC), None),
                "It waits because topic:letters was paused by ada at 2027-01-15T08:00:00Z, until somebody resumes it: the provider is down.",
            ),
            (
                task(TaskState::Paused),
                pause(of_task, Some(time(3600))),
                "It waits because task:letters/send was paused by ada at 2027-01-15T08:00:00Z, until 2027-01-15T09:00:00Z: the provider is down.",
            ),
            (
                task(TaskState::Paused),
                pause(PauseTarget::Organization(OrganizationId::from(2_i64)), None),
                "It was set aside for a pause that is over; it goes on within a second.",
            ),
            (
                behind,
                topic(1, Some(1)),
                "It waits for task 0192f0c1-7a3b-7c4d-8e5f-00000000000a, the one before it of its order key.",
            ),
            (
                task(TaskState::Retryable),
                known,
                "It failed (smtp.refused: no) and waits for attempt 4 of 20 at 2027-01-15T08:01:00Z.",
            ),
            (
                window(true),
                nothing(),
                "It waits in the window of the key invoice-7 until 2027-01-15T08:01:00Z; what is published under the key before then is one task with it.",
            ),
            (window(false), nothing(), "It waits for its time, 2027-01-15T08:01:00Z."),
            (
                task(TaskState::Available),
                topic(0, Some(0)),
                "It waits for a worker: no process takes tasks of the topic letters.",
            ),
            (
                task(TaskState::Available),
                topic(0, None),
                "It waits for a worker: no process takes tasks of the topic letters.",
            ),
            (
                task(TaskState::Available),
                topic(20, Some(2)),
                "It waits for a free worker: 20 of its topic run now, and 7 wait.",
            ),
            (
                task(TaskState::Available),
                topic(0, Some(2)),
                "It waits for a worker, which should take it at once.",
            ),
        ] {
            assert_eq!(explain(&task, &around), expected);
        }
    }
}
