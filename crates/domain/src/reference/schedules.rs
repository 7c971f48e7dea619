//! What the product does at times of its own.

use crate::reference::digests::TriggerWeeklyDigests;
use crate::reference::incidents::SweepOpenIncidents;
use crate::tasks::{InvalidSchedule, Misfire, Schedule};

/// The product's schedules. A week is counted late rather than not at all; of sweeps only the last is worth making up for.
pub fn schedules() -> [Result<Schedule, InvalidSchedule>; 2] {
    [
        Schedule::declare("weekly-digest", "0 9 * * 5")
            .zone("UTC")
            .misfire(Misfire::Once)
            .publishes(&TriggerWeeklyDigests {}),
        Schedule::declare("incident-sweep", "0 * * * *")
            .misfire(Misfire::Once)
            .publishes(&SweepOpenIncidents {}),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_schedule_can_be_meant_and_publishes_a_task_of_the_product() {
        for schedule in schedules() {
            let task = schedule.unwrap().task;
            let tasks = crate::reference::tasks();
            let is_known = |known: &crate::tasks::TaskDescriptor| known.topic == task.topic && known.task == task.task;
            assert!(tasks.iter().any(is_known), "{}/{}", task.topic, task.task);
        }
    }
}
