//! A server that gives out no connections any more.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{Limits, TaskEnvelope};
use aftercommit_domain::tasks::{Outcome, QueueMaintenance as _};
use aftercommit_platform_db_postgres::{PostgresDatabase, PostgresOptions, PostgresServices};
use aftercommit_platform_queue_postgres::{PostgresQueue, PostgresQueueOptions};
use aftercommit_testkit::conformance::Messages;
use aftercommit_testkit::conformance::support::{next, ok};
use aftercommit_testkit::postgres_server::{PostgresOptions as ServerOptions, PostgresServer};
use aftercommit_testkit::{SeededRandomness, TestServices, test_services};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::time::{Instant, sleep};

use crate::rig::Process;

/// In real time: there is no clock of the test's here.
const LEASE: Duration = Duration::from_millis(1500);

async fn process(url: &str, services: &TestServices, seed: u64) -> Process {
    let mut options = PostgresOptions::new(url);
    options.acquire_timeout = Duration::from_millis(300);
    let ports = PostgresServices {
        clock: services.clock_port(),
        ids: services.ids_port(),
        randomness: Arc::new(SeededRandomness::new(seed)),
        limits: Limits::default(),
    };
    let database = PostgresDatabase::open(options, ports).await.unwrap();
    let queue = PostgresQueue::new(&database, PostgresQueueOptions::default());
    Process { database, queue }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_gets_no_connection_for_its_handlers_keeps_renewing_its_leases() {
    // The limit is the role's, which all tests on the shared server use.
    let server = PostgresServer::start(ServerOptions::default().without_fsync()).await;
    let database = server.database(None).await;
    let services = test_services();
    let process_a = process(&database.url(), &services, 1).await;
    let process_b = process(&database.url(), &services, 2).await;
    let tasks: Vec<TaskEnvelope> = Messages::new(&services).tasks(1);
    process_a.publish(tasks).await;
    let mut deliveries = process_a.consume_with_lease(1, LEASE).await;
    let held = next(&mut deliveries, "the task").await;
    // Both have used their connections for leases by now.
    ok("a look", process_b.queue.rescue_expired()).await;

    let mut superuser = PgConnection::connect(&server.superuser_url()).await.unwrap();
    let role = url_user(&database.url());
    superuser
        .execute(AssertSqlSafe(format!("ALTER ROLE {role} CONNECTION LIMIT 1")))
        .await
        .unwrap();
    let until = Instant::now() + LEASE * 3;
    let mut refused = 0;
    while Instant::now() < until {
        let read = process_a.database.pools().handlers.execute("SELECT 1").await;
        assert!(read.is_err(), "there is a connection for handlers");
        refused += 1;
        let freed = ok("a look", process_b.queue.rescue_expired()).await;
        assert_eq!(freed, 0, "its lease was not renewed");
        sleep(LEASE / 5).await;
    }
    println!("{refused} times there was no connection for a handler");
    superuser
        .execute(AssertSqlSafe(format!("ALTER ROLE {role} CONNECTION LIMIT -1")))
        .await
        .unwrap();
    ok("an ack", held.ack(&Outcome::Completed)).await;
    process_a.database.pools().handlers.execute("SELECT 1").await.unwrap();
    process_a.stop().await;
    process_b.stop().await;
}

fn url_user(url: &str) -> String {
    let (_, rest) = url.split_once("://").unwrap();
    rest.split_once(':').unwrap().0.to_owned()
}
