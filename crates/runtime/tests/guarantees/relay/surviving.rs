//! Errors and panics do not end the loop.

use std::time::Duration;

use aftercommit_runtime::LoopStatus;
use aftercommit_runtime::relay::RelayOptions;
use aftercommit_testkit::faults::{Fault, Operation};

use crate::support::contracts::parcel_sent;
use crate::support::rig::Rig;

#[tokio::test(start_paused = true)]
async fn the_relay_survives_errors_and_panics_shows_them_in_health_and_recovers() {
    let rig = Rig::new();
    rig.store
        .script(Operation::Claim, [Fault::Fail, Fault::Fail, Fault::Panic, Fault::Pass]);
    let engine = rig.start_relay(RelayOptions::default());
    for (failures, cause) in [
        (
            1,
            "outbox.unavailable: the outbox is unavailable (claim): the test says so",
        ),
        (
            2,
            "outbox.unavailable: the outbox is unavailable (claim): the test says so",
        ),
        (3, "loop.panicked: Claim panics because the test says so"),
    ] {
        rig.until(&format!("failure {failures} shows"), async || {
            rig.report("relay").failures == failures
        })
        .await;
        let report = rig.report("relay");
        assert_eq!(report.status, LoopStatus::BackingOff);
        assert_eq!(report.cause.as_deref(), Some(cause));
        assert_eq!(rig.health.causes(), [format!("relay: {cause}")]);
    }
    rig.until("it runs again", async || {
        rig.report("relay").status == LoopStatus::Running
    })
    .await;
    assert_eq!((rig.report("relay").failures, rig.health.causes()), (0, vec![]));
    let id = rig.commit_event(&parcel_sent(1, 1)).await;
    rig.until("and does its work", async || rig.logged().await == [id])
        .await;
    engine.stop().await;
    assert_eq!(rig.report("relay").status, LoopStatus::Stopped);
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_round_that_panicked_come_again_when_their_lease_is_over() {
    let rig = Rig::new();
    rig.store.script(Operation::Publish, [Fault::Panic]);
    let id = rig.commit_event(&parcel_sent(1, 1)).await;
    let engine = rig.start_relay(RelayOptions::default());
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(rig.logged().await, []);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(rig.logged().await, [id]);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_relay_shows_that_it_is_well_again_before_it_waits() {
    let rig = Rig::new();
    rig.store.script(Operation::Claim, [Fault::Fail]);
    let engine = rig.start_relay(RelayOptions {
        idle_poll: Duration::from_hours(10),
        ..RelayOptions::default()
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(rig.report("relay").status, LoopStatus::Running);
    engine.stop().await;
}
