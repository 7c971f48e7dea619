//! The outbox: claim, publish, mark; leases, order, retries, quarantine.

mod leases;
mod order;
mod releasing;
mod rows;
mod waking;

pub use leases::*;
pub use order::*;
pub use releasing::*;
pub use waking::*;

/// The scenarios of an outbox: `outbox_conformance!(Provider)`.
#[macro_export]
macro_rules! outbox_conformance {
    ($provider:ty) => {
        $crate::conformance_tests!(
            $provider,
            outbox,
            [
                a_committed_row_is_claimable_at_once_in_whatever_order_transactions_commit,
                a_claimed_row_is_not_claimed_again_before_its_lease_ends,
                a_row_whose_lease_ended_is_claimed_again_with_another_token,
                a_stale_token_changes_nothing,
                marked_events_move_to_the_event_log_and_marked_tasks_do_not,
                rows_of_one_aggregate_leave_in_write_order,
                a_claimed_row_holds_back_the_later_rows_of_its_aggregate_only,
                a_row_that_waits_for_its_retry_holds_back_the_later_rows_of_its_aggregate_only,
                a_quarantined_row_lets_its_aggregate_go_on,
                the_same_aggregate_of_another_organization_is_another_aggregate,
                events_of_one_aggregate_stay_in_order_whether_they_name_a_project_or_not,
                rows_without_an_order_do_not_wait_for_each_other,
                an_untouched_row_is_claimable_at_once_and_was_no_attempt,
                only_counted_retries_count_as_attempts,
                concurrent_relays_share_the_rows_without_overlap,
                a_commit_wakes_a_waiting_relay,
                a_commit_between_a_claim_and_its_wait_is_not_missed,
                a_wait_ends_when_its_idle_time_is_over,
                a_row_held_behind_another_does_not_keep_a_relay_awake,
                the_numbers_tell_what_waits_is_claimed_and_is_quarantined,
                quarantined_rows_are_listed_with_their_reason_the_newest_first,
            ]
        );
    };
}

/// How many scenarios this suite has.
pub const SCENARIOS: usize = 21;
