//! The queue: publishing, order, delays, settling, leases, stopping.

mod delays;
mod leases;
mod order;
mod publishing;
mod settling;
mod stopping;
mod taking;

pub use delays::*;
pub use leases::*;
pub use order::*;
pub use publishing::*;
pub use settling::*;
pub use stopping::*;
pub use taking::*;

/// The scenarios of a queue: `queue_conformance!(Provider)`.
#[macro_export]
macro_rules! queue_conformance {
    ($provider:ty) => {
        $crate::conformance_tests!(
            $provider,
            queue,
            [
                publish_answers_for_each_task_in_input_order,
                a_published_task_can_be_taken_by_another_consumer,
                a_task_arrives_as_it_was_published,
                an_id_that_waits_or_runs_is_not_added_again,
                concurrent_publishers_of_one_id_add_it_once,
                an_invalid_task_does_not_spoil_others,
                after_an_invalid_task_the_later_ones_of_its_order_key_are_not_published,
                a_waiting_consumer_gets_a_task_the_moment_it_is_published,
                topics_are_apart,
                at_most_prefetch_deliveries_are_unsettled,
                consumers_share_the_tasks_without_overlap,
                a_wait_that_is_given_up_loses_no_task,
                bytes_that_are_no_task_are_delivered_as_they_came,
                tasks_of_one_order_key_run_one_after_another_in_the_order_they_were_published,
                tasks_of_one_order_key_never_overlap_whatever_the_number_of_consumers,
                a_head_that_waits_for_its_retry_holds_back_its_followers_only,
                a_head_that_waits_for_its_time_holds_back_its_followers_only,
                a_dead_head_lets_its_followers_go,
                the_same_order_key_of_another_tenant_or_topic_is_another_key,
                a_delayed_task_does_not_run_before_its_time_and_does_after,
                delayed_tasks_do_not_hold_back_others,
                a_retry_waits_its_time_and_a_counted_one_is_the_next_attempt,
                a_snoozed_task_comes_again_as_the_same_attempt,
                an_acked_task_is_gone_and_its_outcome_is_recorded,
                a_given_back_task_is_available_at_once_as_the_same_attempt,
                a_given_back_task_keeps_its_place_in_its_order,
                what_settling_frees_reaches_a_waiting_consumer_at_once,
                outcomes_are_forgotten_when_they_are_old,
                a_dropped_delivery_comes_again_when_its_lease_ended,
                a_lost_task_is_rescued_and_the_rescue_answers_how_many,
                settling_after_the_lease_was_lost_is_stale_and_changes_nothing,
                a_live_consumer_keeps_what_it_holds,
                what_was_handed_out_before_a_stop_is_kept_when_the_consumer_is_gone,
                a_stopped_consumer_gives_back_what_it_did_not_hand_out,
                what_was_handed_out_before_a_stop_can_still_be_settled,
                a_stopped_consumer_hands_out_nothing_more,
            ]
        );
    };
}

/// How many scenarios this suite has.
pub const SCENARIOS: usize = 36;
