//! What pausing promises.

use aftercommit_domain::contract::{OrganizationId, ProjectId, TaskName, Tenant};
use aftercommit_domain::tasks::{MOST_PAUSES, NewPause, Pause, PauseTarget, Reason, TaskState};
use aftercommit_domain::time::{Clock, after, seconds};
use aftercommit_domain::unit_of_work::StoreError;

use crate::conformance::messages::{OTHER_TOPIC, TOPIC};
use crate::conformance::support::{consume, next, nothing_comes, ok, publish, task_id};
use crate::conformance::{Messages, Provider};

fn pause_of(target: PauseTarget) -> NewPause {
    NewPause {
        target,
        reason: Reason::new("the provider is down"),
        actor: "ada".into(),
        until: None,
    }
}

fn of_organization(id: i64) -> PauseTarget {
    PauseTarget::Organization(OrganizationId::from(id))
}

async fn pause<P: Provider>(provider: &P, target: PauseTarget) -> Pause {
    ok("a pause", provider.pauses().pause(&pause_of(target))).await
}

async fn targets<P: Provider>(provider: &P) -> Vec<PauseTarget> {
    let pauses = ok("the pauses", provider.pauses().list()).await;
    pauses.into_iter().map(|pause| pause.target).collect()
}

async fn release<P: Provider>(provider: &P) -> u64 {
    ok("what no pause holds to go on", provider.pauses().release(100)).await
}

/// A pause is in force until somebody resumes it, or its time is over.
pub async fn a_pause_holds_until_it_is_resumed_or_its_time_is_over<P: Provider>(provider: &P) {
    let topic = PauseTarget::Topic(TOPIC);
    let made = pause(provider, topic.clone()).await;
    assert_eq!((&*made.actor, made.reason.as_str()), ("ada", "the provider is down"));
    let until = after(provider.services().clock.now(), seconds(60));
    let timed = NewPause {
        until: Some(until),
        ..pause_of(PauseTarget::Topic(OTHER_TOPIC))
    };
    ok("a pause with an end", provider.pauses().pause(&timed)).await;
    assert_eq!(targets(provider).await, [topic.clone(), timed.target.clone()]);
    provider.advance(seconds(61)).await;
    assert_eq!(targets(provider).await, std::slice::from_ref(&topic));
    let ended = ok("it to be resumed", provider.pauses().resume(&topic)).await;
    assert_eq!(ended.map(|pause| pause.target), Some(topic.clone()));
    assert_eq!(targets(provider).await, []);
    let again = ok("it to be resumed again", provider.pauses().resume(&topic)).await;
    assert_eq!(again, None);
}

/// A pause takes the place of the one before it of the same target.
pub async fn a_pause_takes_the_place_of_the_one_before_it<P: Provider>(provider: &P) {
    let project = PauseTarget::Project {
        organization: OrganizationId::from(1_i64),
        project: ProjectId::from(10_i64),
    };
    pause(provider, project.clone()).await;
    let other = NewPause {
        reason: Reason::new("moving house"),
        actor: "bob".into(),
        ..pause_of(project)
    };
    ok("another pause", provider.pauses().pause(&other)).await;
    let pauses = ok("the pauses", provider.pauses().list()).await;
    assert_eq!(pauses.len(), 1);
    assert_eq!((&*pauses[0].actor, pauses[0].reason.as_str()), ("bob", "moving house"));
}

/// There are at most so many pauses; an existing one can be changed all the same.
pub async fn there_are_so_many_pauses_and_no_more<P: Provider>(provider: &P) {
    let most = i64::try_from(MOST_PAUSES).expect("it is small");
    for id in 0..most {
        pause(provider, of_organization(id)).await;
    }
    let refused = provider.pauses().pause(&pause_of(of_organization(most))).await;
    assert!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
    pause(provider, of_organization(0)).await;
    ok("one to be resumed", provider.pauses().resume(&of_organization(1))).await;
    pause(provider, of_organization(most)).await;
}

/// What was set aside is handed to nobody until no pause holds it, and no attempt is counted.
pub async fn what_was_set_aside_waits_until_no_pause_holds_it<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let task = PauseTarget::Task {
        topic: TOPIC,
        task: TaskName::constant("send"),
    };
    pause(provider, task.clone()).await;
    pause(provider, of_organization(1)).await;
    pause(provider, of_organization(2)).await;
    let ids = publish(provider, vec![messages.task()]).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    let delivery = next(&mut deliveries, "the task").await;
    ok("it to be set aside", delivery.set_aside()).await;
    nothing_comes(&mut deliveries, "a pause holds it").await;
    let found = ok("the task to be looked up", provider.task_inspector().find(ids[0])).await;
    if let Some(found) = found {
        assert_eq!((found.summary.state, found.summary.attempts), (TaskState::Paused, 0));
    }
    let depths = ok("the depths", provider.task_inspector().depths()).await;
    let depth = depths.iter().find(|depth| depth.topic == TOPIC);
    let depth = depth.map(|depth| (depth.available, depth.scheduled, depth.paused));
    assert_eq!(depth, Some((0, 0, 1)));
    for target in [of_organization(1), task] {
        assert_eq!(release(provider).await, 0, "a pause holds it");
        nothing_comes(&mut deliveries, "a pause holds it").await;
        ok("a pause to end", provider.pauses().resume(&target)).await;
    }
    assert_eq!(release(provider).await, 1);
    assert_eq!(release(provider).await, 0);
    let delivery = next(&mut deliveries, "it goes on").await;
    assert_eq!((task_id(&*delivery), delivery.attempt()), (ids[0], 1));
}

/// What was set aside keeps its place in the order of its key, and does not hold up other keys.
pub async fn what_was_set_aside_keeps_its_place_in_the_order_of_its_key<P: Provider>(provider: &P) {
    if !provider.queue_publisher().capabilities().holds_order_over_retries {
        return;
    }
    pause(provider, of_organization(1)).await;
    let held = Messages::new(provider.services());
    let free = Messages::of(provider.services(), Tenant::project(2_i64, 20_i64));
    let ids = publish(
        provider,
        vec![
            held.ordered_task("account-1"),
            held.ordered_task("account-1"),
            free.ordered_task("account-1"),
        ],
    )
    .await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    let mut come = Vec::new();
    for _ in 0..2 {
        let delivery = next(&mut deliveries, "a first of its key").await;
        come.push(task_id(&*delivery));
        if come.last() == Some(&ids[0]) {
            ok("it to be set aside", delivery.set_aside()).await;
        } else {
            let done = delivery.ack(&aftercommit_domain::tasks::Outcome::Completed);
            ok("the other tenant's to be done", done).await;
        }
    }
    come.sort_unstable();
    let mut firsts = [ids[0], ids[2]];
    firsts.sort_unstable();
    assert_eq!(come, firsts);
    nothing_comes(&mut deliveries, "the one before it is paused").await;
    ok("the pause to end", provider.pauses().resume(&of_organization(1))).await;
    assert_eq!(release(provider).await, 1);
    for id in [ids[0], ids[1]] {
        let delivery = next(&mut deliveries, "in its order").await;
        assert_eq!(task_id(&*delivery), id);
        let done = delivery.ack(&aftercommit_domain::tasks::Outcome::Completed);
        ok("it to be done", done).await;
    }
}
