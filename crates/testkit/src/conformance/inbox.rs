//! The inbox: a message that comes twice takes effect once.

use aftercommit_domain::contract::{Cause, HandlerName, Json, Limits, Tenant};
use aftercommit_domain::events::OutboxMessage;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{DeadLetter, InboxClaim, InboxError, InboxMessage, PayloadDigest};
use aftercommit_domain::time::{hours, seconds};
use aftercommit_domain::unit_of_work::UnitOfWork;
use tokio::task::JoinSet;

use crate::conformance::support::{QUIET, append, begin, claim as claim_rows, failure, ids_of, ok, soon};
use crate::conformance::{Messages, Provider};

/// The scenarios of the inbox: `inbox_conformance!(Provider)`.
#[macro_export]
macro_rules! inbox_conformance {
    ($provider:ty) => {
        $crate::conformance_tests!(
            $provider,
            inbox,
            [
                the_first_claim_is_first_and_after_its_commit_every_other_is_seen,
                a_claim_that_was_not_committed_is_gone,
                a_second_claim_in_one_transaction_is_seen,
                claims_of_other_handlers_messages_and_tenants_have_nothing_to_do_with_it,
                while_a_claim_is_open_no_other_is_first,
                of_many_racing_claims_one_is_first,
                another_message_under_a_known_id_is_a_conflict,
                a_claim_for_another_tenant_is_refused,
                a_claim_and_what_is_written_with_it_are_kept_together_or_not_at_all,
                a_unit_of_work_of_an_organization_or_the_system_claims_for_its_projects,
                old_claims_are_forgotten_in_steps_and_new_ones_are_not,
                the_claim_of_a_dead_letter_is_not_forgotten,
            ]
        );
    };
}

/// How many scenarios this suite has.
pub const SCENARIOS: usize = 12;

fn tenant() -> Tenant {
    Tenant::project(1_i64, 10_i64)
}

fn digest(payload: &str) -> PayloadDigest {
    let payload = Json::parse(payload, &Limits::default()).expect("JSON");
    PayloadDigest::of(&payload, 1)
}

fn message<P: Provider>(provider: &P) -> InboxMessage {
    InboxMessage {
        tenant: tenant(),
        handler: HandlerName::constant("letters/post"),
        id: provider.services().envelopes.new_id(),
        payload: digest(r#"{"n":1}"#),
    }
}

async fn claim_in(unit_of_work: &mut Box<dyn UnitOfWork>, message: &InboxMessage) -> Result<InboxClaim, InboxError> {
    soon("a claim to be answered", unit_of_work.inbox().claim(message)).await
}

/// Claims in a transaction of its own and commits it.
async fn claim<P: Provider>(provider: &P, message: &InboxMessage) -> InboxClaim {
    let mut unit_of_work = begin(provider, &tenant()).await;
    let claimed = claim_in(&mut unit_of_work, message).await.expect("a claim");
    ok("the commit", unit_of_work.commit()).await;
    claimed
}

/// The first claim is first; once it is committed, every other is seen.
pub async fn the_first_claim_is_first_and_after_its_commit_every_other_is_seen<P: Provider>(provider: &P) {
    let message = message(provider);
    assert_eq!(claim(provider, &message).await, InboxClaim::First);
    for _ in 0..3 {
        assert_eq!(claim(provider, &message).await, InboxClaim::Seen);
    }
    provider.advance(hours(13 * 24)).await;
    assert_eq!(
        claim(provider, &message).await,
        InboxClaim::Seen,
        "13 days later as well"
    );
}

/// A claim whose transaction did not commit is gone.
pub async fn a_claim_that_was_not_committed_is_gone<P: Provider>(provider: &P) {
    let message = message(provider);
    for _ in 0..3 {
        let mut unit_of_work = begin(provider, &tenant()).await;
        let claimed = claim_in(&mut unit_of_work, &message).await;
        assert_eq!(claimed.expect("a claim"), InboxClaim::First);
        drop(unit_of_work);
    }
    assert_eq!(claim(provider, &message).await, InboxClaim::First);
}

/// A second claim in the same transaction is seen.
pub async fn a_second_claim_in_one_transaction_is_seen<P: Provider>(provider: &P) {
    let message = message(provider);
    let mut unit_of_work = begin(provider, &tenant()).await;
    let first = claim_in(&mut unit_of_work, &message).await;
    let second = claim_in(&mut unit_of_work, &message).await;
    assert_eq!(first.expect("a claim"), InboxClaim::First);
    assert_eq!(second.expect("a claim"), InboxClaim::Seen);
    ok("the commit", unit_of_work.commit()).await;
    assert_eq!(claim(provider, &message).await, InboxClaim::Seen);
}

/// Another handler's, another message's and another tenant's claim are claims of their own.
pub async fn claims_of_other_handlers_messages_and_tenants_have_nothing_to_do_with_it<P: Provider>(provider: &P) {
    let first = message(provider);
    assert_eq!(claim(provider, &first).await, InboxClaim::First);
    let other_handler = InboxMessage {
        handler: HandlerName::constant("letters/count"),
        ..first.clone()
    };
    let other_message = message(provider);
    for other in [other_handler, other_message] {
        assert_eq!(claim(provider, &other).await, InboxClaim::First, "{other:?}");
    }
    for of in [
        Tenant::project(1_i64, 11_i64),
        Tenant::project(2_i64, 10_i64),
        Tenant::System,
    ] {
        let other = InboxMessage {
            tenant: of.clone(),
            ..first.clone()
        };
        let mut unit_of_work = begin(provider, &of).await;
        let claimed = claim_in(&mut unit_of_work, &other).await;
        assert_eq!(claimed.expect("a claim"), InboxClaim::First, "{of}");
        ok("the commit", unit_of_work.commit()).await;
    }
    assert_eq!(claim(provider, &first).await, InboxClaim::Seen);
}

/// While a transaction that has claimed a message is open, no other claim of it is first.
pub async fn while_a_claim_is_open_no_other_is_first<P: Provider>(provider: &P) {
    if !P::CONCURRENT_TRANSACTIONS {
        // There is no other transaction.
        return;
    }
    for commits in [true, false] {
        let message = message(provider);
        let mut holder = begin(provider, &tenant()).await;
        assert_eq!(
            claim_in(&mut holder, &message).await.expect("a claim"),
            InboxClaim::First
        );
        let factory = provider.units_of_work();
        let mut others = JoinSet::new();
        others.spawn({
            let message = message.clone();
            async move {
                let mut unit_of_work = ok("a unit of work to begin", factory.begin(&tenant(), &Cause::root())).await;
                let claimed = unit_of_work.inbox().claim(&message).await;
                // Whatever it is told, nothing may come of it while the holder is open.
                if claimed.is_ok() {
                    ok("the commit", unit_of_work.commit()).await;
                }
                claimed
            }
        });
        // As long as the holder is open the other waits, or is told that it is busy.
        let early = tokio::time::timeout(QUIET, others.join_next()).await.ok().flatten();
        if let Some(early) = &early {
            assert!(matches!(early, Ok(Err(InboxError::Busy { .. }))), "{early:?}");
        }
        if commits {
            ok("the commit", holder.commit()).await;
        } else {
            drop(holder);
        }
        let claimed = match early {
            Some(early) => Some(early),
            None => soon("the other claim", others.join_next()).await,
        };
        let claimed = claimed.expect("it was started").expect("no panic");
        let is_right = match &claimed {
            Ok(InboxClaim::First) => !commits,
            Ok(InboxClaim::Seen) => commits,
            Err(InboxError::Busy { .. }) => true,
            Err(_) => false,
        };
        assert!(
            is_right,
            "the holder committed: {commits}; the other was told {claimed:?}"
        );
        let was_first = matches!(claimed, Ok(InboxClaim::First));
        let expected = if commits || was_first {
            InboxClaim::Seen
        } else {
            InboxClaim::First
        };
        assert_eq!(claim(provider, &message).await, expected);
    }
}

/// Of many claims at once exactly one is first.
pub async fn of_many_racing_claims_one_is_first<P: Provider>(provider: &P) {
    let message = message(provider);
    let mut racing = JoinSet::new();
    for _ in 0..24 {
        let (factory, message) = (provider.units_of_work(), message.clone());
        racing.spawn(async move {
            let mut unit_of_work = ok("a unit of work to begin", factory.begin(&tenant(), &Cause::root())).await;
            let claimed = unit_of_work.inbox().claim(&message).await;
            if claimed.is_ok() {
                ok("the commit", unit_of_work.commit()).await;
            }
            claimed
        });
    }
    let mut first = 0;
    while let Some(claimed) = soon("the race", racing.join_next()).await {
        match claimed.expect("no panic") {
            Ok(InboxClaim::First) => first += 1,
            Ok(InboxClaim::Seen) | Err(InboxError::Busy { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(first, 1);
}

/// Another message under the id of one that is done is no redelivery; it is refused, and nothing of it is kept.
pub async fn another_message_under_a_known_id_is_a_conflict<P: Provider>(provider: &P) {
    let message = message(provider);
    assert_eq!(claim(provider, &message).await, InboxClaim::First);
    let other = InboxMessage {
        payload: digest(r#"{"n":2}"#),
        ..message.clone()
    };
    let mut unit_of_work = begin(provider, &tenant()).await;
    let refused = claim_in(&mut unit_of_work, &other).await;
    assert!(matches!(refused, Err(InboxError::Conflict { .. })), "{refused:?}");
    drop(unit_of_work);
    assert_eq!(claim(provider, &message).await, InboxClaim::Seen);
}

/// A claim for another tenant than the transaction's is refused.
pub async fn a_claim_for_another_tenant_is_refused<P: Provider>(provider: &P) {
    for foreign in [
        Tenant::project(1_i64, 11_i64),
        Tenant::project(2_i64, 10_i64),
        Tenant::organization(2_i64),
    ] {
        let message = InboxMessage {
            tenant: foreign.clone(),
            ..message(provider)
        };
        let mut unit_of_work = begin(provider, &tenant()).await;
        let refused = claim_in(&mut unit_of_work, &message).await;
        assert!(matches!(refused, Err(InboxError::Tenant(_))), "{foreign}: {refused:?}");
        drop(unit_of_work);
        let mut unit_of_work = begin(provider, &foreign).await;
        let claimed = claim_in(&mut unit_of_work, &message).await;
        assert_eq!(claimed.expect("a claim"), InboxClaim::First);
        drop(unit_of_work);
    }
}

/// A claim and what is written in its transaction are kept together or not at all.
pub async fn a_claim_and_what_is_written_with_it_are_kept_together_or_not_at_all<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let message = message(provider);
    for commits in [false, true] {
        let row = messages.row("a");
        let id = row.id();
        let mut unit_of_work = begin(provider, &tenant()).await;
        let claimed = claim_in(&mut unit_of_work, &message).await;
        assert_eq!(claimed.expect("a claim"), InboxClaim::First);
        append(&mut unit_of_work, vec![row, OutboxMessage::Task(messages.task())]).await;
        if commits {
            ok("the commit", unit_of_work.commit()).await;
            let rows = ids_of(&claim_rows(&*provider.outbox(), 10).await);
            assert_eq!((rows.len(), rows.first()), (2, Some(&id)));
        } else {
            drop(unit_of_work);
            assert!(claim_rows(&*provider.outbox(), 10).await.is_empty());
        }
    }
    assert_eq!(claim(provider, &message).await, InboxClaim::Seen);
}

/// A unit of work of an organization claims for its projects, one of the system for anyone, and it is the same claim.
pub async fn a_unit_of_work_of_an_organization_or_the_system_claims_for_its_projects<P: Provider>(provider: &P) {
    let message = message(provider);
    for (of, expected) in [
        (Tenant::organization(1_i64), InboxClaim::First),
        (Tenant::System, InboxClaim::Seen),
        (tenant(), InboxClaim::Seen),
    ] {
        let mut unit_of_work = begin(provider, &of).await;
        let claimed = claim_in(&mut unit_of_work, &message).await;
        assert_eq!(claimed.expect("a claim"), expected, "{of}");
        ok("the commit", unit_of_work.commit()).await;
    }
}

/// Claims older than a time are forgotten, the oldest first and so many at once; newer ones stay.
pub async fn old_claims_are_forgotten_in_steps_and_new_ones_are_not<P: Provider>(provider: &P) {
    let old: Vec<InboxMessage> = (0..5).map(|_| message(provider)).collect();
    for message in &old {
        assert_eq!(claim(provider, message).await, InboxClaim::First);
    }
    provider.advance(seconds(60)).await;
    let before = provider.services().clock_port().now();
    provider.advance(seconds(60)).await;
    let new = message(provider);
    assert_eq!(claim(provider, &new).await, InboxClaim::First);
    let maintenance = provider.inbox_maintenance();
    for expected in [3, 2, 0] {
        assert_eq!(
            ok("claims to be forgotten", maintenance.prune(before, 3)).await,
            expected
        );
    }
    assert_eq!(claim(provider, &new).await, InboxClaim::Seen);
    for message in &old {
        assert_eq!(claim(provider, message).await, InboxClaim::First, "it is forgotten");
    }
}

/// As long as a message is a dead letter, its claim is not forgotten: whoever replays it does nothing twice.
pub async fn the_claim_of_a_dead_letter_is_not_forgotten<P: Provider>(provider: &P) {
    let task = Messages::new(provider.services()).task();
    let dead = InboxMessage::of(&task);
    let other = message(provider);
    for message in [&dead, &other] {
        assert_eq!(claim(provider, message).await, InboxClaim::First);
    }
    let id: MessageId = task.id;
    let (topic, body) = (task.topic.clone(), task.encode().into_bytes());
    let now = provider.services().clock_port().now();
    let letter = DeadLetter::new(id, topic, Some(task), body, 3, failure(), now);
    let letters = provider.dead_letters();
    ok("a letter to be kept", letters.add(letter)).await;
    provider.advance(hours(1)).await;
    let before = provider.services().clock_port().now();
    let maintenance = provider.inbox_maintenance();
    assert_eq!(ok("claims to be forgotten", maintenance.prune(before, 10)).await, 1);
    assert_eq!(claim(provider, &dead).await, InboxClaim::Seen);
    ok("the letter to be discarded", letters.discard(&[id], "a test")).await;
    assert_eq!(ok("claims to be forgotten", maintenance.prune(before, 10)).await, 1);
}
