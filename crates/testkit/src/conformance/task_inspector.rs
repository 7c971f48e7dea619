//! Looking at tasks: where each is, and how many there are.

use aftercommit_domain::contract::{OrganizationId, TaskEnvelope, Tenant};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Coalescing, Outcome, Published, Reason, TaskFilter, TaskState, TaskWindow};
use aftercommit_domain::time::{Clock, after, hours, seconds};

use crate::conformance::messages::{OTHER_TOPIC, TOPIC};
use crate::conformance::support::{consume, failure, next, ok, publish, soon, task_id};
use crate::conformance::{Messages, Provider};

/// The scenarios of a task inspector: `task_inspector_conformance!(Provider)`.
#[macro_export]
macro_rules! task_inspector_conformance {
    ($provider:ty) => {
        $crate::conformance_tests!(
            $provider,
            task_inspector,
            [
                a_task_is_found_wherever_it_is,
                tasks_are_listed_newest_first_and_only_those_that_fit,
                depths_tell_what_each_topic_holds,
                a_task_shows_its_key_and_what_it_waits_behind,
            ]
        );
    };
}

/// How many scenarios this suite has.
pub const SCENARIOS: usize = 4;

/// A task is found wherever it is, with what is known of it; one that never was is not. A queue that does not show each task
/// finds what died or ended.
pub async fn a_task_is_found_wherever_it_is<P: Provider>(provider: &P) {
    let (messages, inspector) = (Messages::new(provider.services()), provider.task_inspector());
    let task = messages.task();
    let find = async || ok("the task to be looked up", inspector.find(task.id)).await;
    assert!(find().await.is_none());
    publish(provider, vec![task.clone()]).await;
    if !provider.queue_publisher().capabilities().shows_each_task {
        assert!(find().await.is_none(), "it is counted, and not shown");
        let mut deliveries = consume(provider, &TOPIC, 1).await;
        let delivery = next(&mut deliveries, "the task").await;
        ok("a dead letter", delivery.dead_letter(&failure())).await;
        let dead = find().await.expect("it is a dead letter");
        assert_eq!((dead.summary.state, dead.summary.attempts), (TaskState::Dead, 1));
        assert_eq!(dead.code.as_deref(), Some("test.failed"));
        return;
    }
    let waiting = find().await.expect("it waits");
    assert_eq!(
        (waiting.summary.state, waiting.summary.attempts),
        (TaskState::Available, 0)
    );
    assert_eq!(
        (&waiting.summary.topic, waiting.summary.task.as_str()),
        (&TOPIC, "send")
    );
    assert_eq!(waiting.summary.organization_id.as_ref(), task.tenant.organization_id());
    assert_eq!(waiting.summary.project_id.as_ref(), task.tenant.project_id());
    assert_eq!(waiting.summary.enqueued_at, task.first_enqueued_at);
    assert_eq!(waiting.payload.as_ref(), Some(&task.payload));
    assert_eq!(waiting.correlation_id, Some(task.id.to_string()));
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    let delivery = next(&mut deliveries, "the task").await;
    let running = find().await.expect("it runs");
    assert_eq!(
        (running.summary.state, running.summary.attempts),
        (TaskState::Running, 1)
    );
    ok("a retry", delivery.retry(seconds(60), true, Some(&failure()))).await;
    let failed = find().await.expect("it waits for its retry");
    assert_eq!(
        (failed.summary.state, failed.summary.attempts),
        (TaskState::Retryable, 1)
    );
    assert_eq!(
        (failed.code.as_deref(), failed.summary.reason.as_deref()),
        (Some("test.failed"), Some("it did not work"))
    );
    let due = after(provider.services().clock.now(), seconds(60));
    assert_eq!(failed.summary.due_at, Some(due));
    provider.advance(seconds(61)).await;
    let delivery = next(&mut deliveries, "the task").await;
    ok("a dead letter", delivery.dead_letter(&failure())).await;
    let dead = find().await.expect("it is a dead letter");
    assert_eq!((dead.summary.state, dead.summary.attempts), (TaskState::Dead, 2));
    assert_eq!(dead.code.as_deref(), Some("test.failed"));
}

/// Tasks are listed newest first, 50 when no limit is given, and only those that fit every part of the filter. A queue that
/// does not show each task lists what ended.
pub async fn tasks_are_listed_newest_first_and_only_those_that_fit<P: Provider>(provider: &P) {
    let inspector = provider.task_inspector();
    let own = Messages::new(provider.services());
    let foreign = Messages::of(provider.services(), Tenant::project(2_i64, 20_i64));
    let mut ids = Vec::new();
    for number in 0..60 {
        let task = match number {
            0 => foreign.task(),
            1 => TaskEnvelope {
                topic: OTHER_TOPIC,
                ..own.task()
            },
            2 => TaskEnvelope {
                not_before: Some(after(provider.services().clock.now(), hours(1))),
                ..own.task()
            },
            _ => own.task(),
        };
        ids.extend(publish(provider, vec![task]).await);
        provider.advance(seconds(1)).await;
    }
    let mut deliveries = consume(provider, &OTHER_TOPIC, 1).await;
    let delivery = next(&mut deliveries, "the task of the other topic").await;
    assert_eq!(task_id(&*delivery), ids[1]);
    ok("it to be acked", delivery.ack(&Outcome::Skipped(Reason::new("gone")))).await;
    soon("the consumer to stop", deliveries.stop()).await;
    let none = TaskFilter::default();
    if !provider.queue_publisher().capabilities().shows_each_task {
        let of_state = |state| TaskFilter {
            state: Some(state),
            ..none.clone()
        };
        for (filter, expected) in [
            (none.clone(), vec![ids[1]]),
            (of_state(TaskState::Skipped), vec![ids[1]]),
            (of_state(TaskState::Available), vec![]),
        ] {
            let listed = ok("tasks to be listed", inspector.list(&filter)).await;
            let listed: Vec<MessageId> = listed.iter().map(|task| task.id).collect();
            assert_eq!(listed, expected, "{filter:?}");
        }
        return;
    }
    let newest: Vec<MessageId> = ids.iter().rev().copied().collect();
    let table = [
        (none.clone(), newest[..50].to_vec()),
        (
            TaskFilter {
                limit: Some(2),
                ..none.clone()
            },
            newest[..2].to_vec(),
        ),
        (
            TaskFilter {
                topic: Some(OTHER_TOPIC),
                ..none.clone()
            },
            vec![ids[1]],
        ),
        (
            TaskFilter {
                state: Some(TaskState::Skipped),
                ..none.clone()
            },
            vec![ids[1]],
        ),
        (
            TaskFilter {
                state: Some(TaskState::Scheduled),
                ..none.clone()
            },
            vec![ids[2]],
        ),
        (
            TaskFilter {
                organization_id: Some(OrganizationId::from(2_i64)),
                ..none.clone()
            },
            vec![ids[0]],
        ),
        (
            TaskFilter {
                topic: Some(OTHER_TOPIC),
                state: Some(TaskState::Running),
                ..none
            },
            vec![],
        ),
    ];
    for (filter, expected) in table {
        let listed = ok("tasks to be listed", inspector.list(&filter)).await;
        let listed: Vec<MessageId> = listed.iter().map(|task| task.id).collect();
        assert_eq!(listed, expected, "{filter:?}");
    }
}

/// Depths tell how many tasks each topic holds: available, waiting for their time, running; and who takes them, if anybody
/// knows.
pub async fn depths_tell_what_each_topic_holds<P: Provider>(provider: &P) {
    let (messages, inspector) = (Messages::new(provider.services()), provider.task_inspector());
    let later = || TaskEnvelope {
        not_before: Some(after(provider.services().clock.now(), hours(1))),
        ..messages.task()
    };
    let parcel = TaskEnvelope {
        topic: OTHER_TOPIC,
        ..messages.task()
    };
    let mut tasks = messages.tasks(3);
    tasks.extend([later(), later(), parcel]);
    publish(provider, tasks).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    let _running = next(&mut deliveries, "a task").await;
    let mut depths = ok("the depths", inspector.depths()).await;
    depths.sort_by(|a, b| a.topic.cmp(&b.topic));
    let counted: Vec<_> = depths
        .iter()
        .map(|depth| (depth.topic.clone(), depth.available, depth.running))
        .collect();
    assert_eq!(counted, [(TOPIC, 2, 1), (OTHER_TOPIC, 1, 0)]);
    // What waits for its time on a broker need not be counted by topic.
    let shows_each_task = provider.queue_publisher().capabilities().shows_each_task;
    assert!(depths[0].scheduled == 2 || !shows_each_task, "{depths:?}");
    for (depth, consumers) in depths.iter().zip([1, 0]) {
        assert!(depth.consumers.is_none_or(|known| known == consumers), "{depth:?}");
    }
}

/// A task shows the key it waits under, and the task before it of its order key.
pub async fn a_task_shows_its_key_and_what_it_waits_behind<P: Provider>(provider: &P) {
    let (messages, inspector) = (Messages::new(provider.services()), provider.task_inspector());
    let place = async |id| {
        let found = ok("the task to be looked up", inspector.find(id)).await;
        found.map(|found| found.place)
    };
    let waits = TaskEnvelope {
        coalescing: Some(Coalescing::debounce("invoice-7", seconds(60), None)),
        ..messages.task()
    };
    let id = waits.id;
    let published = soon("it to be published", provider.queue_publisher().publish(vec![waits])).await;
    assert!(matches!(published[..], [Ok(Published::Enqueued(_))]), "{published:?}");
    let window = |is_open| {
        let key = "invoice-7".to_owned();
        Some(TaskWindow { key, is_open })
    };
    let of_window = place(id).await.expect("it waits under its key");
    assert_eq!((of_window.behind, of_window.window), (None, window(true)));
    if !provider.queue_publisher().capabilities().shows_each_task {
        return;
    }
    let ids = publish(
        provider,
        vec![messages.ordered_task("account-1"), messages.ordered_task("account-1")],
    )
    .await;
    let places = [place(ids[0]).await, place(ids[1]).await];
    let behind = places.map(|place| place.expect("it waits").behind);
    assert_eq!(behind, [None, Some(ids[0])]);
    provider.advance(seconds(61)).await;
    let mut deliveries = consume(provider, &TOPIC, 2).await;
    let first = next(&mut deliveries, "one that is due").await;
    let second = next(&mut deliveries, "another that is due").await;
    assert!([task_id(&*first), task_id(&*second)].contains(&id));
    let taken = place(id).await.expect("it runs");
    assert_eq!(taken.window, window(false), "nothing takes the place of one that runs");
}
