//! Coalescing: when publishes of one key are one task.

mod keys;
mod model;
mod order;
mod scene;
mod time_windows;
mod unfinished;
mod walk;

pub use keys::*;
pub use order::*;
pub use time_windows::*;
pub use unfinished::*;
pub use walk::*;

use scene::Scene;

/// The scenarios of coalescing: `coalescing_conformance!(Provider)`.
#[macro_export]
macro_rules! coalescing_conformance {
    ($provider:ty) => {
        $crate::conformance_tests!(
            $provider,
            coalescing,
            [
                a_debounce_runs_once_it_was_quiet_with_the_last_payload,
                a_debounce_runs_again_for_what_came_after_it,
                a_debounce_waits_no_longer_than_its_longest_wait,
                what_is_published_while_a_debounced_task_runs_is_run_after_it,
                a_throttle_runs_at_the_time_and_with_the_payload_of_the_first,
                a_latest_throttle_runs_at_the_time_of_the_first_with_the_last_payload,
                a_window_that_is_due_is_over_however_late_the_workers_are,
                a_replace_takes_the_newest_payload_and_time,
                a_once_is_once_until_its_time_is_over_done_or_not,
                while_one_is_pending_another_is_dropped_and_while_it_runs_it_is_not,
                while_one_waits_for_a_retry_another_is_dropped,
                after_success_and_after_the_final_failure_it_runs_again,
                while_one_is_active_another_is_dropped,
                while_one_runs_all_others_are_one_more_run_after_it,
                the_same_key_of_another_tenant_task_or_topic_is_another,
                a_publish_that_comes_again_changes_nothing_whatever_became_of_it,
                what_was_coalesced_is_remembered_until_it_is_old,
                a_publish_that_was_coalesced_is_traced_to_its_task,
                the_answers_in_bulk_are_those_one_by_one,
                of_many_racing_publishers_one_task_comes_and_covers_them_all,
                a_publish_that_is_coalesced_spoils_no_other_of_its_call,
                what_replaces_an_ordered_task_is_behind_what_was_published_of_its_order_meanwhile,
                what_replaces_a_task_of_another_order_waits_in_its_own,
                what_is_ordered_stays_in_order_within_a_call_coalesced_or_not,
                a_publish_under_the_id_of_an_unfinished_task_of_its_own_changes_nothing,
                whatever_happens_to_a_key_comes_to_what_the_model_says,
            ]
        );
    };
}

/// How many scenarios this suite has.
pub const SCENARIOS: usize = 26;
