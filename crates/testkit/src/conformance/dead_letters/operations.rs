//! What operators do with letters: the record of it, groups, corrections, bulk runs.

use aftercommit_domain::contract::{Json, Limits, TaskEnvelope};
use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    DeadLetterAct, DeadLetterAction, DeadLetterBatch, DeadLetterFilter, DeadLetterGroup, Fate, InboxClaim,
    InboxMessage, Outcome,
};
use aftercommit_domain::time::{Clock, hours, seconds};

use super::{all, kill, replay};
use crate::conformance::messages::{OTHER_TOPIC, TOPIC};
use crate::conformance::support::{
    begin, consume, envelope, failure, next, nothing_comes, ok, publish, soon, take, task_id,
};
use crate::conformance::{Messages, Provider};

async fn actions<P: Provider>(provider: &P, letter: Option<MessageId>) -> Vec<DeadLetterAction> {
    let operations = provider.dead_letter_operations();
    ok("actions to be listed", operations.actions(letter, None)).await
}

async fn groups<P: Provider>(provider: &P, filter: &DeadLetterFilter) -> Vec<DeadLetterGroup> {
    let operations = provider.dead_letter_operations();
    ok("letters to be grouped", operations.groups(filter)).await
}

async fn act<P: Provider>(provider: &P, batch: &DeadLetterBatch) -> Vec<MessageId> {
    let operations = provider.dead_letter_operations();
    ok("a batch to be acted on", operations.act_on_oldest(batch)).await
}

fn batch<P: Provider>(provider: &P, act: DeadLetterAct, filter: DeadLetterFilter, limit: u32) -> DeadLetterBatch {
    DeadLetterBatch {
        bulk_run: provider.services().envelopes.new_id(),
        act,
        filter,
        actor: "ada".into(),
        limit,
    }
}

/// Takes the next task and lets it die.
async fn dies_again<P: Provider>(provider: &P, why: &Failure) -> MessageId {
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    let delivery = next(&mut deliveries, "the task").await;
    let id = task_id(&*delivery);
    ok("a dead letter", delivery.dead_letter(why)).await;
    soon("the consumer to stop", deliveries.stop()).await;
    id
}

/// A letter tells how often its task died and since when, also after it was replayed.
pub async fn a_letter_tells_how_often_it_died_and_since_when<P: Provider>(provider: &P) {
    let task = Messages::new(provider.services()).task();
    let id = kill(provider, task.clone(), &failure()).await;
    let first = all(provider).await.remove(0);
    assert_eq!((first.deaths, first.first_died_at), (1, first.died_at));
    assert_eq!(first.enqueued_at, task.first_enqueued_at);
    for deaths in 2..=3 {
        provider.advance(seconds(60)).await;
        assert_eq!(replay(provider, &[id]).await, [id]);
        dies_again(provider, &failure()).await;
        let letter = all(provider).await.remove(0);
        assert_eq!((letter.deaths, letter.first_died_at), (deaths, first.died_at));
        assert!(letter.died_at > first.died_at && letter.enqueued_at == first.enqueued_at);
    }
    // One that dies again without having been replayed.
    kill(provider, task, &failure()).await;
    let letter = all(provider).await.remove(0);
    assert_eq!((letter.deaths, letter.first_died_at), (4, first.died_at));
}

/// Everything that is done to a letter is recorded with who, when and what, newest first, and so is what it had died of.
pub async fn what_was_done_to_letters_is_recorded_with_who_when_and_what<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let why = Failure::new("test.other", ErrorClass::Permanent, "another reason");
    let one = kill(provider, messages.task(), &failure()).await;
    provider.advance(seconds(1)).await;
    let other = kill(provider, messages.task(), &why).await;
    let [late, early] = <[_; 2]>::try_from(all(provider).await).expect("two letters");
    provider.advance(seconds(1)).await;
    let before = provider.services().clock.now();
    assert_eq!(replay(provider, &[one, messages.task().id]).await, [one]);
    provider.advance(seconds(1)).await;
    let letters = provider.dead_letters();
    assert_eq!(ok("a discard", letters.discard(&[other], "bob")).await, [other]);
    assert!(
        ok("a second discard", letters.discard(&[other], "eve"))
            .await
            .is_empty()
    );
    let done = actions(provider, None).await;
    let expected = [
        (DeadLetterAct::Discard, "bob", other, &late),
        (DeadLetterAct::Replay, "ada", one, &early),
    ];
    assert_eq!(done.len(), expected.len(), "who found nothing did nothing");
    for (action, (act, actor, letter, was)) in done.iter().zip(expected) {
        assert_eq!((action.act, action.actor.as_str(), action.letter), (act, actor, letter));
        assert_eq!(action.topic.as_ref(), Some(&TOPIC));
        assert_eq!(action.fingerprint, Some(was.failure.fingerprint()));
        assert_eq!(action.died_at, Some(was.died_at));
        assert_eq!((&action.replaced, action.bulk_run), (&None, None));
        assert!(action.at >= before);
    }
    assert_eq!(actions(provider, Some(one)).await, [done[1].clone()]);
    assert_eq!(actions(provider, Some(messages.task().id)).await, []);
    let operations = provider.dead_letter_operations();
    let newest = ok("actions to be listed", operations.actions(None, Some(1))).await;
    assert_eq!(newest, [done[0].clone()]);
}

/// Letters are counted by fingerprint, topic and task, the biggest group first; and counted as they fit.
pub async fn letters_are_counted_by_what_they_have_in_common_the_biggest_group_first<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let refused = |mailbox: u32| {
        let message = format!("no mailbox {mailbox}");
        Failure::new("smtp.refused", ErrorClass::Permanent, message)
    };
    let parcel = TaskEnvelope {
        topic: OTHER_TOPIC,
        ..messages.task()
    };
    kill(provider, messages.task(), &failure()).await;
    provider.advance(seconds(1)).await;
    kill(provider, parcel, &refused(0)).await;
    for mailbox in 1..=3 {
        provider.advance(seconds(1)).await;
        kill(provider, messages.task(), &refused(mailbox)).await;
    }
    let none = DeadLetterFilter::default();
    let found = groups(provider, &none).await;
    let short = |group: &DeadLetterGroup| (group.letters, group.topic.to_string(), group.code.clone());
    let expected = [
        (3, TOPIC.to_string(), "smtp.refused".to_owned()),
        (1, OTHER_TOPIC.to_string(), "smtp.refused".to_owned()),
        (1, TOPIC.to_string(), "test.failed".to_owned()),
    ];
    assert_eq!(found.iter().map(short).collect::<Vec<_>>(), expected);
    let listed = all(provider).await;
    let biggest = &found[0];
    assert_eq!(
        (biggest.task.as_str(), biggest.message.as_str()),
        ("send", "no mailbox 3")
    );
    assert_eq!(biggest.fingerprint, refused(9).fingerprint());
    assert_eq!(
        (biggest.first_died_at, biggest.last_died_at),
        (listed[2].died_at, listed[0].died_at)
    );
    let of_topic = DeadLetterFilter {
        topic: Some(OTHER_TOPIC),
        ..none.clone()
    };
    assert_eq!(groups(provider, &of_topic).await, [found[1].clone()]);
    let one = DeadLetterFilter {
        limit: Some(1),
        ..none.clone()
    };
    assert_eq!(groups(provider, &one).await, [found[0].clone()]);
    let operations = provider.dead_letter_operations();
    assert_eq!(ok("letters to be counted", operations.count(&one)).await, 5);
    assert_eq!(ok("letters to be counted", operations.count(&of_topic)).await, 1);
}

/// A corrected letter runs under its id with a new series of attempts; the bytes it had are in the record.
pub async fn a_corrected_letter_runs_under_its_id_and_the_bytes_it_had_are_kept<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let task = messages.ordered_task("a");
    let id = kill(provider, task.clone(), &failure()).await;
    let bytes = all(provider).await.remove(0).body;
    let corrected = TaskEnvelope {
        payload: Json::parse(r#"{"letter":2}"#, &Limits::default()).expect("valid JSON"),
        ..task
    };
    let operations = provider.dead_letter_operations();
    let unknown = TaskEnvelope {
        id: messages.task().id,
        ..corrected.clone()
    };
    assert!(!ok("no correction", operations.replay_corrected(&unknown, "ada")).await);
    assert!(ok("a correction", operations.replay_corrected(&corrected, "ada")).await);
    assert!(all(provider).await.is_empty());
    assert!(!ok("no second one", operations.replay_corrected(&corrected, "ada")).await);
    let done = actions(provider, Some(id)).await;
    assert_eq!(done.len(), 1);
    assert_eq!((done[0].act, &done[0].replaced), (DeadLetterAct::Correct, &Some(bytes)));
    let mut deliveries = consume(provider, &TOPIC, 2).await;
    let delivery = next(&mut deliveries, "the corrected task").await;
    assert_eq!((task_id(&*delivery), delivery.attempt()), (id, 1));
    assert_eq!(envelope(&*delivery).payload, corrected.payload);
    ok("the task to be acked", delivery.ack(&Outcome::Completed)).await;
    nothing_comes(&mut deliveries, "it was replayed once").await;
}

/// A bulk run acts on the oldest letters that fit, so many at once, and on each at most once: not again on those that died
/// again meanwhile.
pub async fn a_bulk_run_acts_on_the_oldest_that_fit_and_on_each_once<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(kill(provider, messages.task(), &failure()).await);
        provider.advance(seconds(1)).await;
    }
    let other = Failure::new("test.other", ErrorClass::Permanent, "another reason");
    let unfit = kill(provider, messages.task(), &other).await;
    let filter = DeadLetterFilter {
        code: Some("test.failed".into()),
        ..DeadLetterFilter::default()
    };
    let replays = batch(provider, DeadLetterAct::Replay, filter.clone(), 2);
    assert_eq!(act(provider, &replays).await, ids[..2]);
    for _ in 0..2 {
        provider.advance(seconds(1)).await;
        dies_again(provider, &failure()).await;
    }
    assert_eq!(act(provider, &replays).await, ids[2..4]);
    assert_eq!(
        act(provider, &replays).await,
        ids[4..],
        "fewer than asked for: no other fits"
    );
    assert_eq!(act(provider, &replays).await, [], "each once");
    let done = actions(provider, None).await;
    assert!(done.iter().all(|action| action.bulk_run == Some(replays.bulk_run)));
    // Another run may act on them again, and may discard.
    let mut again = ids[..2].to_vec();
    let discards = batch(provider, DeadLetterAct::Discard, filter, 1000);
    let mut discarded = act(provider, &discards).await;
    again.sort();
    discarded.sort();
    assert_eq!(discarded, again);
    let left: Vec<MessageId> = all(provider).await.iter().map(|letter| letter.id).collect();
    assert_eq!(left, [unfit]);
}

/// Of what a bulk run replayed, the last first, it is told what has not run, what failed again, and what is over.
pub async fn what_became_of_replayed_letters_is_told_the_last_first<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    for _ in 0..4 {
        kill(provider, messages.task(), &failure()).await;
    }
    let operations = provider.dead_letter_operations();
    let replays = batch(provider, DeadLetterAct::Replay, DeadLetterFilter::default(), 10);
    let replayed = act(provider, &replays).await;
    let fates = async |limit| ok("fates", operations.fates(replays.bulk_run, limit)).await;
    assert_eq!(fates(10).await, [Fate::Open; 4]);
    let mut deliveries = consume(provider, &TOPIC, 3).await;
    // One is over, one dies, one waits for its retry, one has not run.
    for delivery in take(&mut deliveries, 3).await {
        let id = task_id(&*delivery);
        if id == replayed[0] {
            ok("an ack", delivery.ack(&Outcome::Completed)).await;
        } else if id == replayed[1] {
            ok("a dead letter", delivery.dead_letter(&failure())).await;
        } else {
            ok("a retry", delivery.retry(seconds(600), true, Some(&failure()))).await;
        }
    }
    soon("the consumer to stop", deliveries.stop()).await;
    assert_eq!(
        fates(10).await,
        [Fate::Open, Fate::Failed, Fate::Failed, Fate::Ended],
        "the last replayed first"
    );
    assert_eq!(fates(2).await, [Fate::Open, Fate::Failed]);
    let other = messages.task().id;
    assert_eq!(ok("no fates", operations.fates(other, 10)).await, []);
}

/// Of several who replay the same letters at once, by id and in bulk, while they run already: each letter runs once, and
/// one of them is answered its id.
pub async fn of_several_who_replay_the_same_letters_at_once_each_letter_runs_once<P: Provider>(provider: &P) {
    const LETTERS: usize = 40;
    let tasks = Messages::new(provider.services()).tasks(LETTERS);
    let ids = publish(provider, tasks).await;
    let mut deliveries = consume(provider, &TOPIC, LETTERS).await;
    for delivery in take(&mut deliveries, LETTERS).await {
        ok("a dead letter", delivery.dead_letter(&failure())).await;
    }
    let by_id = async || replay(provider, &ids).await;
    let in_bulk = async || {
        let replays = batch(provider, DeadLetterAct::Replay, DeadLetterFilter::default(), 1000);
        act(provider, &replays).await
    };
    let run_them = async {
        for number in 0..LETTERS {
            let delivery = next(&mut deliveries, &format!("replayed letter {number}")).await;
            ok("an ack", delivery.ack(&Outcome::Completed)).await;
        }
    };
    let (a, b, c, d, ()) = futures::join!(by_id(), in_bulk(), by_id(), in_bulk(), run_them);
    let mut replayed: Vec<MessageId> = [a, b, c, d].concat();
    replayed.sort();
    let mut expected = ids;
    expected.sort();
    assert_eq!(replayed, expected, "each was replayed by one of them");
    assert_eq!(actions(provider, None).await.len(), LETTERS);
    nothing_comes(&mut deliveries, "each ran once").await;
    assert!(all(provider).await.is_empty());
}

/// What the handlers of a replayed letter did is remembered as if they had done it then: it is old, and the letter that kept
/// it is gone.
pub async fn what_the_handlers_of_a_replayed_letter_did_is_remembered_from_then_on<P: Provider>(provider: &P) {
    let task = Messages::new(provider.services()).task();
    let claim = async || {
        let mut unit_of_work = begin(provider, &task.tenant).await;
        let claim = ok("a claim", unit_of_work.inbox().claim(&InboxMessage::of(&task))).await;
        ok("a unit of work to commit", unit_of_work.commit()).await;
        claim
    };
    assert_eq!(claim().await, InboxClaim::First);
    let id = kill(provider, task.clone(), &failure()).await;
    provider.advance(hours(2)).await;
    assert_eq!(replay(provider, &[id]).await, [id]);
    let before = provider.services().clock.now() - chrono::Duration::hours(1);
    let maintenance = provider.inbox_maintenance();
    assert_eq!(ok("no claim to be forgotten", maintenance.prune(before, 10)).await, 0);
    assert_eq!(claim().await, InboxClaim::Seen);
    let before = provider.services().clock.now() + chrono::Duration::hours(1);
    assert_eq!(ok("the claim to be forgotten", maintenance.prune(before, 10)).await, 1);
}

/// What was done before a time is forgotten, oldest first, at most so much at once; later records are kept.
pub async fn old_records_of_what_was_done_are_forgotten_in_steps<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(kill(provider, messages.task(), &failure()).await);
    }
    let letters = provider.dead_letters();
    ok("three discards", letters.discard(&ids[..3], "ada")).await;
    provider.advance(seconds(60)).await;
    ok("one discard", letters.discard(&ids[3..], "ada")).await;
    let before = provider.services().clock.now() - chrono::Duration::seconds(30);
    let operations = provider.dead_letter_operations();
    for expected in [2, 1, 0] {
        let forgotten = ok("old records to be forgotten", operations.prune_actions(before, 2)).await;
        assert_eq!(forgotten, expected);
    }
    let left: Vec<MessageId> = actions(provider, None)
        .await
        .iter()
        .map(|action| action.letter)
        .collect();
    assert_eq!(left, ids[3..]);
}
