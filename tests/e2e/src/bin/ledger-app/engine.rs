//! The loops of one process, until it is told to stop.

use std::collections::BTreeMap;
use std::time::Duration;

use aftercommit::prelude::*;
use aftercommit::runtime::lifecycle::ShutdownGrace;
use aftercommit::runtime::maintenance::RescuerOptions;
use aftercommit::runtime::relay::RelayOptions;
use aftercommit::runtime::worker::TopicOverrides;
use aftercommit::runtime::{Engine, EngineOptions, Roles};
use tokio::signal::unix::{SignalKind, signal};

use crate::{Failed, Working, contract, recorder};

pub(crate) async fn run(kit: &Kit, working: &Working, lease: Duration) -> Result<(), Failed> {
    let mut terminate = signal(SignalKind::terminate())?;
    let topics = vec![recorder::topic(
        kit,
        &working.name,
        Duration::from_millis(working.takes),
    )?];
    let mut roles = Roles {
        relay: working.relay,
        dispatcher: working.dispatcher,
        ..Roles::default()
    };
    if !working.topics {
        roles.topics = Roles::none().topics;
    }
    let mut ports = kit.engine_ports();
    if working.stepwise {
        ports.outbox_transfer = None;
    }
    let engine = Engine::new(
        ports,
        options(roles, lease),
        &contract::events(),
        contract::routes(),
        topics,
    )?;
    let running = engine.start(kit.health());
    terminate.recv().await;
    let outcome = running.stop().await;
    tracing::info!(?outcome, "stopped");
    Ok(())
}

fn options(roles: Roles, lease: Duration) -> EngineOptions {
    let defaults = EngineOptions::default();
    let soon = TopicOverrides {
        base_delay: Some(Duration::from_millis(100)),
        max_delay: Some(Duration::from_secs(1)),
        // A handler's own statements have no other end on a link that is half open.
        timeout: Some(lease * 2),
        ..TopicOverrides::default()
    };
    let topics = [recorder::TOPIC.parse(), "domain-events".parse()];
    EngineOptions {
        roles,
        relay: RelayOptions {
            // Small, so that a kill finds many batches under way.
            batch_size: 32,
            lease,
            idle_poll: Duration::from_millis(200),
            publish_deadline: lease / 2,
            ..defaults.relay
        },
        rescuer: RescuerOptions {
            every: lease / 2,
            ..defaults.rescuer
        },
        lease,
        concurrency: 64,
        topics: topics
            .into_iter()
            .flatten()
            .map(|name| (name, soon))
            .collect::<BTreeMap<_, _>>(),
        grace: ShutdownGrace {
            finish: Duration::from_secs(5),
            cancel: Duration::from_secs(2),
            ..ShutdownGrace::default()
        },
        ..defaults
    }
}
