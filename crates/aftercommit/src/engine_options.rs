//! From the configuration to the engine's options.

use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::failure::Classified as _;
use aftercommit_domain::tasks::{InvalidSchedule, Patience, Schedule};
use aftercommit_platform_config::Settings;
use aftercommit_runtime::lifecycle::ShutdownGrace;
use aftercommit_runtime::maintenance::RescuerOptions;
use aftercommit_runtime::relay::RelayOptions;
use aftercommit_runtime::scheduler::SchedulerOptions;
use aftercommit_runtime::worker::TopicOverrides;
use aftercommit_runtime::{EngineOptions, Roles, StartError};

/// How often a process asks what was paused and cancelled, so that it keeps to it within a second.
const LOOK_FOR_ORDERS: Duration = Duration::from_millis(800);

/// What an engine of these roles does, with the settings of the topics it knows.
pub(crate) fn engine_options(settings: &Settings, roles: Roles, known: &[TopicName]) -> EngineOptions {
    let defaults = EngineOptions::default();
    let mut relay = RelayOptions {
        batch_size: settings.relay.batch_size,
        lease: settings.relay.lease,
        idle_poll: settings.relay.idle_poll,
        ..defaults.relay
    };
    relay.policy.retry.max_attempts = settings.relay.max_attempts;
    relay.publish_deadline = relay.publish_deadline.min(relay.lease / 2);
    let overrides = |name: &TopicName| {
        let topic = settings.topics.of(name.as_str());
        TopicOverrides {
            concurrency: topic.concurrency,
            timeout: topic.timeout,
            max_attempts: topic.max_attempts,
            base_delay: topic.base_delay,
            max_delay: topic.max_delay,
        }
    };
    EngineOptions {
        roles,
        relay,
        rescuer: RescuerOptions {
            every: settings.worker.lease / 2,
            keep_outcomes: settings.history.retention,
            keep_claims: settings.history.inbox,
        },
        // What is declared is not of the configuration.
        scheduler: SchedulerOptions::default(),
        concurrency: settings.worker.concurrency,
        prefetch_factor: settings.worker.prefetch_factor,
        timeout: settings.worker.timeout,
        lease: settings.worker.lease,
        look_for_orders: LOOK_FOR_ORDERS,
        unknown: Patience {
            whole: settings.worker.unknown_patience,
        },
        topics: known.iter().map(|name| (name.clone(), overrides(name))).collect(),
        grace: ShutdownGrace {
            finish: settings.shutdown.grace,
            cancel: settings.shutdown.cancel,
            ..ShutdownGrace::default()
        },
    }
}

/// The schedules, or everything that is wrong with them.
pub(crate) fn declared_schedules(
    schedules: Vec<Result<Schedule, InvalidSchedule>>,
) -> Result<Vec<Schedule>, StartError> {
    let (good, bad): (Vec<_>, Vec<_>) = schedules.into_iter().partition(Result::is_ok);
    let problems: Vec<String> = bad
        .into_iter()
        .filter_map(Result::err)
        .map(|error| format!("a schedule cannot be meant: {error} ({})", error.code()))
        .collect();
    if problems.is_empty() {
        return Ok(good.into_iter().flatten().collect());
    }
    Err(StartError { problems })
}
