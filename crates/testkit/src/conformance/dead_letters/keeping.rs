//! Letters are kept with everything, listed, replayed and discarded.

use aftercommit_domain::contract::{OrganizationId, TaskEnvelope, TaskName, Tenant};
use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{DeadLetter, DeadLetterFilter, Outcome};
use aftercommit_domain::time::{Clock, seconds};

use super::{all, kill, letters, replay};
use crate::conformance::messages::{OTHER_TOPIC, TOPIC};
use crate::conformance::support::{consume, envelope, failure, next, nothing_comes, ok, publish, task_id};
use crate::conformance::{Messages, Provider};

/// A dead task is kept with its envelope, its bytes, its attempts and its reason, and is not delivered any more.
pub async fn a_dead_task_is_kept_with_its_bytes_its_attempts_and_its_reason<P: Provider>(provider: &P) {
    let task = Messages::new(provider.services()).task();
    publish(provider, vec![task.clone()]).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    let first = next(&mut deliveries, "the task").await;
    let body = first.task().body.to_vec();
    ok("a retry", first.retry(seconds(1), true, Some(&failure()))).await;
    provider.advance(seconds(2)).await;
    let second = next(&mut deliveries, "its second attempt").await;
    let mut why = Failure::new("smtp.refused", ErrorClass::Permanent, "no such mailbox");
    why.chain = vec!["550 5.1.1".into()];
    let died_at = provider.services().clock.now();
    ok("a dead letter", second.dead_letter(&why)).await;
    nothing_comes(&mut deliveries, "the task is dead").await;
    let kept = all(provider).await;
    assert_eq!(kept.len(), 1);
    let letter = &kept[0];
    assert_eq!((letter.id, &letter.topic, letter.attempts), (task.id, &TOPIC, 2));
    assert_eq!((&letter.failure, &letter.body), (&why, &body));
    assert_eq!(letter.task.as_ref().map(|kept| &kept.payload), Some(&task.payload));
    assert!(letter.died_at >= died_at);
    let found = ok("the letter to be found", provider.dead_letters().find(task.id)).await;
    assert_eq!(found.as_ref(), Some(letter));
}

/// Bytes that are no task are kept as they came, under an id of their own, and can be replayed.
pub async fn bytes_that_are_no_task_are_kept_and_can_be_replayed<P: Provider>(provider: &P) {
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    for body in [b"\xff\xfe{not json".as_slice(), b"", b"\0", b"{\"id\":\"x\"}"] {
        provider.publish_raw(&TOPIC, body).await;
        let delivery = next(&mut deliveries, "the bytes").await;
        assert_eq!(&*delivery.task().body, body);
        ok("a dead letter", delivery.dead_letter(&failure())).await;
        let kept = all(provider).await;
        assert_eq!(kept.len(), 1, "{body:?}");
        assert_eq!((kept[0].task.as_ref(), kept[0].body.as_slice()), (None, body));
        assert_eq!((&kept[0].topic, kept[0].attempts), (&TOPIC, 1));
        assert_eq!(replay(provider, &[kept[0].id]).await, [kept[0].id]);
        let again = next(&mut deliveries, "the replayed bytes").await;
        assert_eq!(&*again.task().body, body);
        ok("the bytes to be acked", again.ack(&Outcome::Completed)).await;
    }
}

/// A task that never reached its topic can be added, and is replayed to its topic.
pub async fn a_task_that_never_reached_its_topic_can_be_added<P: Provider>(provider: &P) {
    let task = Messages::new(provider.services()).task();
    let (body, now) = (task.encode().into_bytes(), provider.services().clock.now());
    let letter = DeadLetter::new(task.id, TOPIC, Some(task.clone()), body, 0, failure(), now);
    ok("a letter to be added", provider.dead_letters().add(letter.clone())).await;
    assert_eq!(all(provider).await, std::slice::from_ref(&letter));
    assert_eq!(replay(provider, &[task.id]).await, [task.id]);
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    assert_eq!(task_id(&*next(&mut deliveries, "the replayed task").await), task.id);
}

/// There is at most one letter per id: a task that dies again replaces its letter.
pub async fn a_task_that_dies_again_replaces_its_letter<P: Provider>(provider: &P) {
    let task = Messages::new(provider.services()).task();
    kill(provider, task.clone(), &failure()).await;
    let later = Failure::new("test.again", ErrorClass::Permanent, "and again");
    kill(provider, task.clone(), &later).await;
    let kept = all(provider).await;
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].id, &kept[0].failure), (task.id, &later));
}

/// A replayed letter runs again under its id with a new series of attempts, and is no letter any more.
pub async fn a_replayed_letter_runs_again_under_its_id_with_a_new_series_of_attempts<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let task = TaskEnvelope {
        attempt: 3,
        ..messages.task()
    };
    kill(provider, task.clone(), &failure()).await;
    let unknown = messages.task().id;
    let replayed = replay(provider, &[unknown, task.id]).await;
    assert_eq!(replayed, [task.id], "it answers the ids it acted on");
    assert!(all(provider).await.is_empty());
    let mut deliveries = consume(provider, &TOPIC, 2).await;
    let delivery = next(&mut deliveries, "the replayed task").await;
    assert_eq!((task_id(&*delivery), delivery.attempt()), (task.id, 1));
    assert_eq!(envelope(&*delivery).payload, task.payload);
    ok("the task to be acked", delivery.ack(&Outcome::Completed)).await;
    assert!(
        replay(provider, &[task.id]).await.is_empty(),
        "it cannot be replayed twice"
    );
    nothing_comes(&mut deliveries, "it was replayed once").await;
}

/// A discarded letter is gone for good.
pub async fn a_discarded_letter_is_gone<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let dead = kill(provider, messages.task(), &failure()).await;
    let kept = kill(provider, messages.task(), &failure()).await;
    let unknown = messages.task().id;
    let store = provider.dead_letters();
    assert_eq!(
        ok("a letter to be discarded", store.discard(&[unknown, dead], "ada")).await,
        [dead]
    );
    assert!(ok("no letter to be found", store.find(dead)).await.is_none());
    assert!(replay(provider, &[dead]).await.is_empty());
    assert_eq!(all(provider).await.len(), 1);
    assert!(ok("the other letter to be found", store.find(kept)).await.is_some());
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    nothing_comes(&mut deliveries, "the task was discarded").await;
}

/// Letters are listed newest first, and only those that fit every part of the filter.
pub async fn letters_are_listed_newest_first_and_only_those_that_fit<P: Provider>(provider: &P) {
    let own = Messages::new(provider.services());
    let foreign = Messages::of(provider.services(), Tenant::project(2_i64, 20_i64));
    let parcel = TaskEnvelope {
        topic: OTHER_TOPIC,
        ..own.task()
    };
    let stamped = TaskEnvelope {
        task: TaskName::constant("stamp"),
        ..own.task()
    };
    let other = Failure::new("test.other", ErrorClass::Permanent, "another reason");
    let mut ids = Vec::new();
    for (task, why) in [
        (own.task(), failure()),
        (foreign.task(), failure()),
        (parcel, other.clone()),
        (stamped, failure()),
    ] {
        ids.push(kill(provider, task, &why).await);
        provider.advance(seconds(10)).await;
    }
    let none = DeadLetterFilter::default();
    let mut times = Vec::new();
    for id in &ids {
        let letter = ok("a letter to be found", provider.dead_letters().find(*id)).await;
        times.push(letter.expect("it is there").died_at);
    }
    let table = [
        (none.clone(), vec![ids[3], ids[2], ids[1], ids[0]]),
        (
            DeadLetterFilter {
                topic: Some(TOPIC),
                ..none.clone()
            },
            vec![ids[3], ids[1], ids[0]],
        ),
        (
            DeadLetterFilter {
                organization_id: Some(OrganizationId::from(2_i64)),
                ..none.clone()
            },
            vec![ids[1]],
        ),
        (
            DeadLetterFilter {
                code: Some("test.other".into()),
                ..none.clone()
            },
            vec![ids[2]],
        ),
        (
            DeadLetterFilter {
                task: Some(TaskName::constant("stamp")),
                ..none.clone()
            },
            vec![ids[3]],
        ),
        (
            DeadLetterFilter {
                fingerprint: Some(other.fingerprint()),
                ..none.clone()
            },
            vec![ids[2]],
        ),
        (
            DeadLetterFilter {
                since: Some(times[1]),
                until: Some(times[2]),
                ..none.clone()
            },
            vec![ids[2], ids[1]],
        ),
        (
            DeadLetterFilter {
                topic: Some(TOPIC),
                organization_id: Some(OrganizationId::from(1_i64)),
                code: Some("test.failed".into()),
                until: Some(times[2]),
                ..none.clone()
            },
            vec![ids[0]],
        ),
        (DeadLetterFilter { limit: Some(2), ..none }, vec![ids[3], ids[2]]),
    ];
    for (filter, expected) in table {
        let listed: Vec<MessageId> = letters(provider, &filter)
            .await
            .iter()
            .map(|letter| letter.id)
            .collect();
        assert_eq!(listed, expected, "{filter:?}");
    }
}
