//! Dead letters: kept with everything, corrected, replayed or discarded, one by one or many, and who did it.

mod keeping;
mod operations;

pub use keeping::*;
pub use operations::*;

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::failure::Failure;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{DeadLetter, DeadLetterFilter};

use crate::conformance::Provider;
use crate::conformance::support::{consume, next, ok, publish, soon};

/// The scenarios of dead letters: `dead_letters_conformance!(Provider)`.
#[macro_export]
macro_rules! dead_letters_conformance {
    ($provider:ty) => {
        $crate::conformance_tests!(
            $provider,
            dead_letters,
            [
                a_dead_task_is_kept_with_its_bytes_its_attempts_and_its_reason,
                bytes_that_are_no_task_are_kept_and_can_be_replayed,
                a_task_that_never_reached_its_topic_can_be_added,
                a_task_that_dies_again_replaces_its_letter,
                a_replayed_letter_runs_again_under_its_id_with_a_new_series_of_attempts,
                a_discarded_letter_is_gone,
                letters_are_listed_newest_first_and_only_those_that_fit,
                a_letter_tells_how_often_it_died_and_since_when,
                what_was_done_to_letters_is_recorded_with_who_when_and_what,
                letters_are_counted_by_what_they_have_in_common_the_biggest_group_first,
                a_corrected_letter_runs_under_its_id_and_the_bytes_it_had_are_kept,
                a_bulk_run_acts_on_the_oldest_that_fit_and_on_each_once,
                what_became_of_replayed_letters_is_told_the_last_first,
                of_several_who_replay_the_same_letters_at_once_each_letter_runs_once,
                what_the_handlers_of_a_replayed_letter_did_is_remembered_from_then_on,
                old_records_of_what_was_done_are_forgotten_in_steps,
            ]
        );
    };
}

/// How many scenarios this suite has.
pub const SCENARIOS: usize = 16;

pub(crate) async fn letters<P: Provider>(provider: &P, filter: &DeadLetterFilter) -> Vec<DeadLetter> {
    ok("dead letters to be listed", provider.dead_letters().list(filter)).await
}

pub(crate) async fn all<P: Provider>(provider: &P) -> Vec<DeadLetter> {
    letters(provider, &DeadLetterFilter::default()).await
}

pub(crate) async fn replay<P: Provider>(provider: &P, ids: &[MessageId]) -> Vec<MessageId> {
    ok("letters to be replayed", provider.dead_letters().replay(ids, "ada")).await
}

/// Publishes a task and lets it die with `why`.
pub(crate) async fn kill<P: Provider>(provider: &P, task: TaskEnvelope, why: &Failure) -> MessageId {
    let topic = task.topic.clone();
    let ids = publish(provider, vec![task]).await;
    let mut deliveries = consume(provider, &topic, 1).await;
    let delivery = next(&mut deliveries, "the task").await;
    ok("a dead letter", delivery.dead_letter(why)).await;
    soon("the consumer to stop", deliveries.stop()).await;
    ids[0]
}
