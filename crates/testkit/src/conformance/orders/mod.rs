//! What people order about tasks: cancelling, pausing, and changing what waits under a key.

mod cancelling;
mod pausing;
mod windows;

pub use cancelling::*;
pub use pausing::*;
pub use windows::*;

/// The scenarios of orders: `orders_conformance!(Provider)`.
#[macro_export]
macro_rules! orders_conformance {
    ($provider:ty) => {
        $crate::conformance_tests!(
            $provider,
            orders,
            [
                a_cancelled_task_that_waits_is_gone_with_its_reason,
                a_cancelled_task_that_runs_is_named_to_whoever_runs_it,
                a_cancelled_task_whose_retry_comes_late_is_not_run_again,
                a_cancelled_task_that_has_not_reached_its_topic_is_not_run,
                a_cancelled_task_that_is_published_again_is_not_run,
                a_task_that_is_over_or_unknown_is_not_cancelled,
                a_task_that_may_be_elsewhere_is_named_until_the_order_is_old,
                the_next_of_its_order_key_runs_after_a_cancelled_one,
                a_pause_holds_until_it_is_resumed_or_its_time_is_over,
                a_pause_takes_the_place_of_the_one_before_it,
                there_are_so_many_pauses_and_no_more,
                what_was_set_aside_waits_until_no_pause_holds_it,
                what_was_set_aside_keeps_its_place_in_the_order_of_its_key,
                what_waits_under_a_key_is_cancelled_with_the_transaction_or_not_at_all,
                what_waits_under_a_key_is_moved_with_the_transaction_or_not_at_all,
                what_is_cancelled_under_a_key_is_not_handed_out_meanwhile,
                what_a_worker_has_is_not_changed_under_its_key,
                the_same_key_of_another_tenant_is_not_touched,
                after_one_that_is_cancelled_under_its_key_the_next_of_its_order_key_runs,
            ]
        );
    };
}

/// How many scenarios this suite has.
pub const SCENARIOS: usize = 19;
