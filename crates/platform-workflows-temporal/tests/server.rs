//! The throw-away server itself.
#![cfg(unix)]

use std::net::TcpStream;
use std::path::Path;

use aftercommit_testkit::temporal_server::{TemporalOptions, TemporalServer};

const WORKFLOW: [&str; 8] = [
    "--type",
    "kept",
    "--task-queue",
    "nobody",
    "--workflow-id",
    "kept",
    "--input",
    "1",
];

#[tokio::test]
async fn the_shared_server_talks_to_clients() {
    let server = TemporalServer::shared().await;
    let health = server.cli(&["operator", "cluster", "health"]).await;
    assert!(health.contains("SERVING"), "{health}");
}

#[tokio::test]
#[should_panic(expected = "start one with `TemporalServer::start`")]
async fn the_shared_server_cannot_be_killed() {
    TemporalServer::shared().await.kill().await;
}

#[tokio::test]
async fn what_is_durable_survives_a_kill_and_a_stop_and_the_address_stays() {
    let server = TemporalServer::start(TemporalOptions::default().durable()).await;
    let start: Vec<&str> = ["workflow", "start"].into_iter().chain(WORKFLOW).collect();
    server.cli(&start).await;
    server.kill().await;
    assert_eq!(server.pid(), None);
    assert!(TcpStream::connect(server.address()).is_err());
    server.start_again().await;
    server.stop_gracefully().await;
    server.start_again().await;
    let described = server.cli(&["workflow", "describe", "--workflow-id", "kept"]).await;
    assert!(described.contains("StateTransitionCount"), "{described}");
}

#[tokio::test]
async fn a_dropped_server_leaves_nothing() {
    let server = TemporalServer::start(TemporalOptions::default().namespace("other")).await;
    let described = server
        .cli(&["operator", "namespace", "describe", "--namespace", "other"])
        .await;
    assert!(described.contains("other"), "{described}");
    let (pid, address) = (server.pid().unwrap(), server.address().to_owned());
    drop(server);
    assert!(TcpStream::connect(address).is_err());
    let process = Path::new("/proc").join(pid.to_string());
    assert!(!process.exists());
}
