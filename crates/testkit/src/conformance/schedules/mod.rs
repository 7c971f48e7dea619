//! Schedules: each slot is decided about once, and nothing of it is lost.

mod deciding;
mod keeping;
mod overlapping;
mod pausing;
mod scene;

pub use deciding::*;
pub use keeping::*;
pub use overlapping::*;
pub use pausing::*;

use scene::Scene;

/// The scenarios of schedules: `schedules_conformance!(Provider)`.
#[macro_export]
macro_rules! schedules_conformance {
    ($provider:ty) => {
        $crate::conformance_tests!(
            $provider,
            schedules,
            [
                a_slot_publishes_its_task_through_the_outbox_and_is_recorded,
                of_sixteen_who_tick_at_once_one_decides_about_each_slot,
                a_tick_whose_answer_was_lost_is_not_made_again,
                a_plan_for_what_a_schedule_was_changes_nothing,
                slots_that_nobody_was_there_for_become_what_the_schedule_says,
                a_year_of_seconds_is_one_record,
                the_next_slot_follows_from_the_slot_however_late_it_is_decided,
                a_slot_does_not_fire_before_the_task_of_the_last_one_is_over,
                a_slot_fires_when_the_task_of_the_last_one_is_dead,
                a_slot_fires_all_the_same_where_overlapping_is_allowed,
                a_run_by_hand_is_recorded_with_who_ordered_it_and_moves_no_slot,
                a_run_by_hand_does_not_overlap_either,
                what_comes_in_a_pause_is_skipped_and_recorded,
                a_pause_ends_by_itself_or_when_it_is_resumed,
                a_pause_survives_reconciling_and_changing,
                what_is_declared_is_added_changed_and_removed,
                what_was_made_at_run_time_stays,
                two_builds_side_by_side_do_not_fight,
                a_schedule_of_a_transaction_is_there_when_it_commits_and_never_when_it_does_not,
                a_transaction_changes_no_schedule_of_another_tenant,
                one_key_of_two_tenants_is_two_schedules,
                a_changed_timetable_records_what_it_leaves_behind,
                a_removed_schedule_leaves_its_history,
                old_records_are_forgotten_in_steps_and_new_ones_kept,
            ]
        );
    };
}

/// How many scenarios this suite has.
pub const SCENARIOS: usize = 24;
