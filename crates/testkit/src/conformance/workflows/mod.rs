//! Workflows: starting, activities, timers, signals, children, ends, crashes, looking.
//!
//! An engine implements [`WorkflowEnvironment`] in its `tests/conformance.rs` and names the suite once:
//! `workflows_conformance!(MyEnvironment)`. The scenarios bring their own workflows and their own world ([`fixture`]).

mod activities;
mod children;
mod crashing;
mod ending;
mod environment;
pub mod fixture;
mod looking;
mod starting;
mod waiting;

pub use activities::*;
pub use children::*;
pub use crashing::*;
pub use ending::*;
pub use environment::WorkflowEnvironment;
pub use looking::*;
pub use starting::*;
pub use waiting::*;

/// Runs one scenario in a fresh environment.
#[doc(hidden)]
pub fn run<E: WorkflowEnvironment>(name: &str, scenario: impl AsyncFnOnce(&fixture::Scene<E>)) {
    super::suite::block_on(name, async {
        let scene = fixture::Scene::<E>::start().await;
        scenario(&scene).await;
        scene.environment.stop().await;
    });
}

/// The scenarios of a workflow engine: `workflows_conformance!(Environment)`.
#[macro_export]
macro_rules! workflows_conformance {
    ($environment:ty) => {
        $crate::conformance_tests!(
            $environment,
            workflows,
            $crate::conformance::workflows::run,
            [
                a_started_workflow_runs_and_its_answer_can_be_read,
                a_workflow_that_fails_says_why,
                a_second_start_is_refused_while_the_first_runs_and_names_its_run,
                a_closed_workflow_may_be_started_again_as_another_run,
                a_workflow_that_runs_once_ever_is_never_started_again,
                the_same_start_again_starts_nothing_and_answers_the_same_run,
                the_same_key_of_another_tenant_is_another_workflow,
                an_activity_that_fails_is_tried_again_until_it_succeeds,
                an_activity_that_fails_at_its_last_attempt_is_a_failed_step,
                a_failure_that_is_not_retryable_ends_the_attempts_at_once,
                a_panic_of_an_activity_is_a_failed_attempt,
                an_attempt_that_takes_too_long_is_given_up_and_tried_again,
                an_activity_that_never_ends_has_failed_as_timed_out,
                an_activity_that_is_not_done_in_its_whole_time_has_failed,
                an_attempt_that_falls_silent_is_given_up_and_the_next_begins_at_its_cursor,
                attempts_share_an_idempotency_key_and_activities_and_runs_do_not,
                forty_activities_at_once_answer_in_their_order,
                an_activity_that_is_given_up_is_told_to_end,
                a_timer_fires_at_its_time_and_not_before,
                a_timer_that_is_given_up_holds_up_nothing,
                a_timer_of_no_time_fires_and_one_of_all_time_waits,
                signals_are_kept_until_they_are_taken_in_the_order_they_came,
                a_wait_that_is_given_up_takes_no_signal,
                a_wait_that_is_kept_and_not_awaited_takes_no_signal,
                the_same_signal_again_tells_nothing_new,
                a_signal_to_a_workflow_that_does_not_run_is_refused,
                a_signal_with_start_starts_what_does_not_run_and_tells_what_does,
                a_signal_with_start_is_known_again_after_its_workflow_went_on_and_closed,
                a_child_answers_its_parent,
                a_child_is_found_by_its_parents_tenant_and_counts_its_runs_as_its_parent_does,
                a_child_that_fails_is_a_failed_step_of_its_parent,
                a_child_whose_id_is_taken_is_a_failed_step,
                a_child_that_is_given_up_is_cancelled_and_cleans_up,
                a_child_is_cancelled_with_its_parent,
                a_child_whose_parent_is_terminated_is_cancelled,
                a_child_that_somebody_else_ends_is_a_failed_step,
                a_cancelled_workflow_cleans_up_and_ends_as_cancelled,
                a_workflow_that_is_cancelled_at_once_ends_as_cancelled,
                a_cancelled_workflow_may_answer_all_the_same,
                a_terminated_workflow_ends_where_it_stands,
                what_does_not_run_can_neither_be_cancelled_nor_terminated,
                a_workflow_that_continues_as_new_keeps_its_id_and_its_unread_signals,
                a_workflow_that_continues_as_new_is_cancelled_by_what_came_with_its_last_signal,
                a_workflow_that_leaves_too_much_unread_to_a_new_run_says_so,
                a_workflow_goes_on_where_it_stood_after_its_worker_died,
                a_signal_that_comes_around_a_crash_is_not_lost,
                the_winner_of_a_race_is_the_same_after_a_crash,
                a_run_that_began_before_a_change_keeps_the_old_way,
                a_workflow_that_awaits_a_foreign_thing_is_stuck_until_it_is_mended,
                a_workflow_that_panics_is_stuck_until_it_is_mended,
                a_build_that_takes_another_way_is_found_out,
                a_description_names_the_step_it_waits_in_and_since_when,
                a_query_reads_what_was_published_last_also_after_the_end,
                of_a_workflow_that_never_was_there_is_nothing_to_see,
                a_list_shows_what_is_asked_for_page_by_page,
            ]
        );
    };
}

/// How many scenarios this suite has.
pub const SCENARIOS: usize = 55;
