//! What keeps a process from doing its work now, and what somebody should look at: one line each, that says what it is, since
//! when, and what to do about it.

use std::time::Duration;

use aftercommit_domain::events::OutboxStats;
use aftercommit_domain::time::{Timestamp, before};
use aftercommit_runtime::{LoopReport, LoopStatus};

use crate::http::dead_lately::DeadLately;
use crate::http::paused::Paused;
use crate::http::seen_since::SeenSince;

/// What was found out for one answer.
pub(crate) struct Found {
    pub(crate) now: Timestamp,
    pub(crate) is_stopping: bool,
    pub(crate) loops: Vec<LoopReport>,
    /// What the outbox holds, or why it cannot be asked.
    pub(crate) outbox: Result<OutboxStats, String>,
    /// Whether this process moves the outbox, and how old a row may become there.
    pub(crate) relay: Option<Duration>,
    /// Why the topics cannot be asked; never for a process that goes on without them.
    pub(crate) queue: Option<String>,
    /// Why it is not known how much waits on the broker, although that is there.
    pub(crate) uncounted: Option<String>,
    /// Why nothing can be written.
    pub(crate) writing: Option<String>,
    /// What the broker is in trouble with; never for a process that goes on without it.
    pub(crate) broker: Option<String>,
    /// Topics that nobody takes from, with what waits there; `None` when that is not known.
    pub(crate) without_owner: Option<Vec<(String, u64)>>,
    pub(crate) dead: DeadLately,
    /// What is paused, as far as is known.
    pub(crate) pauses: Paused,
}

/// What is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// Why the process is not ready; empty when it is.
    pub(crate) causes: Vec<String>,
    /// What does not keep it from working, and should be looked at.
    pub(crate) details: Vec<String>,
}

/// Decides what is told.
pub(crate) fn judge(found: Found, seen: &SeenSince) -> Readiness {
    let Found {
        now,
        is_stopping,
        loops,
        outbox,
        relay,
        queue,
        uncounted,
        writing,
        broker,
        without_owner,
        dead,
        pauses,
    } = found;
    let line = |what: &str, since: Timestamp, todo: &str| format!("{what}; since {}; {todo}", ago(since, now));
    let mut told = Readiness::default();
    if is_stopping {
        told.causes
            .push("stopping: no new work is taken; it ends by itself".into());
    }
    for failing in loops.iter().filter(|report| report.status == LoopStatus::BackingOff) {
        let what = format!(
            "{}: {}",
            failing.name,
            failing.cause.as_deref().unwrap_or("backing off")
        );
        let todo = format!(
            "it failed {} times in a row and goes on trying; see the log",
            failing.failures
        );
        told.causes.push(line(&what, failing.since, &todo));
    }
    let mut trouble = |name: &'static str, reason: Option<&String>, todo: &str| {
        let since = seen.of(name, reason.is_some(), now);
        if let Some(reason) = reason {
            // A broker's trouble says by itself whose it is.
            let what = if name == "broker" {
                reason.clone()
            } else {
                format!("{name}: {reason}")
            };
            told.causes.push(line(&what, since, todo));
        }
    };
    let database = "see that it runs and can be reached, by `aftercommit doctor`";
    trouble("database", outbox.as_ref().err(), database);
    trouble(
        "database, writing",
        writing.as_ref(),
        "see that its disk has room and that nothing holds it",
    );
    trouble("queue", queue.as_ref(), database);
    let blocked = broker
        .as_ref()
        .is_some_and(|reason| reason.starts_with("broker blocked"));
    let broker_todo = if blocked {
        "give it memory or disk, or see why messages are not consumed; publishing goes on by itself then"
    } else {
        "see that it runs and can be reached, by `aftercommit doctor`; what is to be published waits meanwhile"
    };
    trouble("broker", broker.as_ref(), broker_todo);
    if let Ok(stats) = &outbox {
        let lag = stats
            .oldest
            .filter(|oldest| relay.is_some_and(|bound| *oldest < before(now, bound)));
        if let Some(oldest) = lag {
            let waiting = stats.waiting.saturating_add(stats.claimed);
            let what = format!("outbox: {waiting} messages wait to be published");
            let todo = "see `aftercommit outbox status`, and whether the relay can publish";
            told.causes.push(line(&what, oldest, todo));
        }
        let since = seen.of("quarantine", stats.quarantined > 0, now);
        if stats.quarantined > 0 {
            let what = format!("outbox: {} messages are kept aside", stats.quarantined);
            told.details
                .push(line(&what, since, "see `aftercommit outbox status` for their reasons"));
        }
    }
    told.details.extend(pauses.lines(line));
    // What is not known leaves it as it was.
    let since = without_owner
        .as_ref()
        .map_or(now, |topics| seen.of("owner", !topics.is_empty(), now));
    for (topic, waiting) in without_owner.into_iter().flatten() {
        let what = format!("topic {topic}: nobody takes its {waiting} tasks");
        told.details.push(line(
            &what,
            since,
            "start workers of it, or see `aftercommit topics list`",
        ));
    }
    let since = seen.of("counting", uncounted.is_some(), now);
    if let Some(reason) = uncounted {
        let what = format!("topics: how much waits on the broker is not known: {reason}");
        told.details
            .push(line(&what, since, "it is asked again with the next request"));
    }
    if let Some((what, died_at)) = dead.described() {
        told.details
            .push(line(&what, died_at, "see `aftercommit dead-letters list`"));
    }
    told
}

/// What should be looked at besides: what it is, and what to do about it.
pub(crate) fn detail(
    name: &'static str,
    seen: &SeenSince,
    now: Timestamp,
    trouble: Option<(String, String)>,
) -> Option<String> {
    let since = seen.of(name, trouble.is_some(), now);
    trouble.map(|(what, todo)| format!("{what}; since {}; {todo}", ago(since, now)))
}

/// `2026-11-28T13:00:00Z (75 s)`
fn ago(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.signed_duration_since(since).num_seconds().max(0);
    format!("{} ({seconds} s)", since.format("%Y-%m-%dT%H:%M:%SZ"))
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::time::{after, seconds};

    use super::*;

    fn at(second: u32) -> Timestamp {
        after(Timestamp::UNIX_EPOCH, seconds(1_000 + u64::from(second)))
    }

    fn found() -> Found {
        Found {
            now: at(0),
            is_stopping: false,
            loops: Vec::new(),
            outbox: Ok(OutboxStats {
                waiting: 0,
                claimed: 0,
                quarantined: 0,
                oldest: None,
            }),
            relay: Some(seconds(60)),
            queue: None,
            uncounted: None,
            writing: None,
            broker: None,
            without_owner: Some(Vec::new()),
            dead: DeadLately::default(),
            pauses: Paused::default(),
        }
    }

    fn stats(waiting: u64, quarantined: u64, oldest: Option<Timestamp>) -> OutboxStats {
        OutboxStats {
            waiting,
            claimed: 0,
            quarantined,
            oldest,
        }
    }

    fn judged(found: Found) -> Readiness {
        judge(found, &SeenSince::default())
    }

    #[test]
    fn without_trouble_it_is_ready_and_nothing_is_told() {
        assert_eq!(judged(found()), Readiness::default());
    }

    #[test]
    fn each_cause_says_what_since_when_and_what_to_do() {
        let report = LoopReport {
            name: "relay".into(),
            status: LoopStatus::BackingOff,
            since: at(0),
            cause: Some("the disk is full".into()),
            failures: 3,
        };
        let lagging = Ok(stats(7, 0, Some(at(0))));
        let cases = [
            (
                Found {
                    now: at(75),
                    loops: vec![report],
                    ..found()
                },
                "relay: the disk is full; since 1970-01-01T00:16:40Z (75 s); it failed 3 times in a row and goes on trying; \
                 see the log",
            ),
            (
                Found {
                    now: at(75),
                    outbox: lagging,
                    ..found()
                },
                "outbox: 7 messages wait to be published; since 1970-01-01T00:16:40Z (75 s); see `aftercommit outbox \
                 status`, and whether the relay can publish",
            ),
            (
                Found {
                    outbox: Err("refused".into()),
                    ..found()
                },
                "database: refused; since 1970-01-01T00:16:40Z (0 s); see that it runs and can be reached, by \
                 `aftercommit doctor`",
            ),
            (
                Found {
                    writing: Some("busy".into()),
                    ..found()
                },
                "database, writing: busy; since 1970-01-01T00:16:40Z (0 s); see that its disk has room and that nothing \
                 holds it",
            ),
            (
                Found {
                    queue: Some("away".into()),
                    ..found()
                },
                "queue: away; since 1970-01-01T00:16:40Z (0 s); see that it runs and can be reached, by `aftercommit \
                 doctor`",
            ),
            (
                Found {
                    broker: Some("broker blocked: memory".into()),
                    ..found()
                },
                "broker blocked: memory; since 1970-01-01T00:16:40Z (0 s); give it memory or disk, or see why messages \
                 are not consumed; publishing goes on by itself then",
            ),
            (
                Found {
                    broker: Some("broker: 127.0.0.1:1 refused".into()),
                    ..found()
                },
                "broker: 127.0.0.1:1 refused; since 1970-01-01T00:16:40Z (0 s); see that it runs and can be reached, by \
                 `aftercommit doctor`; what is to be published waits meanwhile",
            ),
            (
                Found {
                    is_stopping: true,
                    ..found()
                },
                "stopping: no new work is taken; it ends by itself",
            ),
        ];
        for (found, expected) in cases {
            let told = judged(found);
            assert_eq!((told.causes, told.details), (vec![expected.to_owned()], Vec::new()));
        }
    }

    #[test]
    fn what_keeps_nobody_from_working_is_told_and_no_cause() {
        let dead = DeadLately {
            count: 20,
            is_more: true,
            newest: Some((at(0), "receipts".into(), "smtp.refused".into())),
        };
        let cases = [
            (
                Found {
                    outbox: Ok(stats(0, 2, None)),
                    ..found()
                },
                "outbox: 2 messages are kept aside; since 1970-01-01T00:16:40Z (0 s); see `aftercommit outbox status` for \
                 their reasons",
            ),
            (
                Found {
                    without_owner: Some(vec![("receipts".into(), 9)]),
                    ..found()
                },
                "topic receipts: nobody takes its 9 tasks; since 1970-01-01T00:16:40Z (0 s); start workers of it, or see \
                 `aftercommit topics list`",
            ),
            (
                Found {
                    uncounted: Some("no answer within 2 s".into()),
                    ..found()
                },
                "topics: how much waits on the broker is not known: no answer within 2 s; since 1970-01-01T00:16:40Z (0 \
                 s); it is asked again with the next request",
            ),
            (
                Found {
                    now: at(30),
                    dead,
                    ..found()
                },
                "dead letters: at least 20 in the last 15 min, the newest of receipts: smtp.refused; since \
                 1970-01-01T00:16:40Z (30 s); see `aftercommit dead-letters list`",
            ),
        ];
        for (found, expected) in cases {
            let told = judged(found);
            assert_eq!((told.causes, told.details), (Vec::new(), vec![expected.to_owned()]));
        }
    }

    #[test]
    fn an_outbox_that_lags_is_a_cause_only_over_the_bound_and_only_where_it_is_moved() {
        let lagging = |now, relay| Found {
            now,
            relay,
            outbox: Ok(stats(1, 0, Some(at(0)))),
            ..found()
        };
        assert!(judged(lagging(at(60), Some(seconds(60)))).causes.is_empty());
        assert_eq!(judged(lagging(at(61), Some(seconds(60)))).causes.len(), 1);
        assert!(judged(lagging(at(1_000), None)).causes.is_empty());
    }

    #[test]
    fn a_trouble_keeps_the_time_it_was_first_seen_at_until_it_is_over() {
        let (seen, mut told) = (SeenSince::default(), Vec::new());
        for (second, queue) in [(0, Some("away")), (5, Some("slow")), (9, None), (20, Some("away"))] {
            let queue = queue.map(str::to_owned);
            let readiness = judge(
                Found {
                    now: at(second),
                    queue,
                    ..found()
                },
                &seen,
            );
            told.extend(
                readiness
                    .causes
                    .iter()
                    .map(|cause| cause.split("; ").nth(1).unwrap_or_default().to_owned()),
            );
        }
        assert_eq!(
            told,
            [
                "since 1970-01-01T00:16:40Z (0 s)",
                "since 1970-01-01T00:16:40Z (5 s)",
                "since 1970-01-01T00:17:00Z (0 s)"
            ]
        );
    }
}
