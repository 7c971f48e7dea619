//! A process that dies at any step of its way loses nothing, does nothing twice and reorders nothing.
//!
//! A proxy between the process and PostgreSQL catches the statement of the step, or the answer to it, and the process is
//! killed while it waits. `AFTERCOMMIT_E2E_CRASHES` is how often each step is its last; once by default.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use aftercommit_e2e::ledger::{Fleet, Loops, Production, Verdict, create_tables, number};
use aftercommit_e2e::{PATIENCE, eventually};
use aftercommit_testkit::postgres_server::{PostgresServer, TestDatabase};
use aftercommit_testkit::proxy::{Hold, PostgresProxy};
use sqlx::{Connection as _, PgConnection};

/// How long relays and workers keep what they took.
const LEASE: Duration = Duration::from_millis(1500);
const AGGREGATES: u32 = 8;
/// How many events a producer commits while a step is waited for.
const EVENTS: u64 = 12;

const CLAIM: Words = "SELECT * FROM aftercommit.outbox_claim";
const PUBLISH: Words = "SELECT aftercommit.tasks_insert";
const MARK: Words = "SELECT aftercommit.outbox_mark_published";
const TRANSFER: Words = "SELECT aftercommit.outbox_transfer";
const SETTLE: Words = "SELECT aftercommit.tasks_settle";

/// Rows that a relay holds, and those it held.
const CLAIMED: &str = "SELECT EXISTS (SELECT FROM aftercommit.outbox WHERE state = 1)";
const GONE: &str = "SELECT EXISTS (SELECT FROM aftercommit.event_log)
    AND NOT EXISTS (SELECT FROM aftercommit.outbox WHERE state = 1)";

/// A step, and what the database shows of it while the process that dies there waits.
struct CrashPoint {
    name: &'static str,
    catch: Catch,
    shown: &'static str,
}

enum Catch {
    /// The server does not get the statement.
    Before(Words),
    /// The server has done it, and its answer does not arrive.
    After(Words),
}

/// What a statement begins with.
type Words = &'static str;

/// The processes of one test, one of which reaches the server through a proxy.
struct Stage {
    database: TestDatabase,
    proxy: PostgresProxy,
    fleet: Fleet,
    producers: usize,
}

impl Stage {
    async fn set() -> Self {
        let server = PostgresServer::shared().await;
        let database = server.database(None).await;
        create_tables(&database.url(), AGGREGATES).await;
        let proxy = PostgresProxy::start(server.address()).await.unwrap();
        let fleet = Fleet::new(env!("CARGO_BIN_EXE_ledger-app"), &database.url(), LEASE);
        Self {
            database,
            proxy,
            fleet,
            producers: 0,
        }
    }

    /// What is added next goes through the proxy, or does not.
    fn behind_the_proxy(mut self, is_behind: bool) -> Self {
        let url = if is_behind {
            self.database.urls().through(self.proxy.address()).url()
        } else {
            self.database.url()
        };
        self.fleet = self.fleet.set("DATABASE_URL", &url);
        self
    }

    fn add(mut self, name: &str, loops: Loops) -> Self {
        self.fleet.add(name, loops);
        self
    }

    fn produce(&mut self, events: u64) -> String {
        let name = format!("producer-{}", self.producers);
        let production = Production {
            events,
            aggregates: AGGREGATES,
            seed: self.producers as u64,
            rest: Duration::from_millis(20),
            own_pool: self.producers % 2 == 1,
        };
        self.producers += 1;
        self.fleet.add_producer(&name, production);
        name
    }

    fn hold(&self, catch: &Catch) -> Hold {
        match catch {
            Catch::Before(words) => self.proxy.hold_request(*words),
            Catch::After(words) => self.proxy.hold_reply(*words),
        }
    }

    /// Kills `victim` at `point`. The next one finds what it left behind.
    async fn crash(&mut self, victim: &str, point: &CrashPoint) {
        let hold = self.hold(&point.catch);
        self.produce(EVENTS);
        hold.arrived().await;
        let shown = eventually(point.name, PATIENCE, async || {
            // The producers go on meanwhile.
            self.fleet.tend();
            self.shows(point.shown).await.then_some(())
        });
        shown.await;
        self.fleet.kill9(victim, Duration::ZERO);
        hold.cut();
        let verdict = self.drained().await;
        assert!(verdict.is_drained(), "{}: {verdict}", point.name);
    }

    async fn shows(&self, sql: &'static str) -> bool {
        let mut connection = PgConnection::connect(&self.database.superuser_url()).await.unwrap();
        let shown = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        shown
    }

    async fn drained(&mut self) -> Verdict {
        self.fleet.drained(&self.database.superuser_url(), PATIENCE).await
    }

    async fn end(mut self) -> Verdict {
        let verdict = self.drained().await;
        println!("{verdict}");
        verdict.assert_clean();
        self.fleet.stop().await;
        verdict
    }
}

fn crashes() -> u64 {
    number("AFTERCOMMIT_E2E_CRASHES", 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_dies_at_any_step_leaves_the_rest_to_the_next_one() {
    let points = [
        CrashPoint {
            name: "R2: after the commit, before the claim",
            catch: Catch::Before(CLAIM),
            shown: "SELECT count(*) > 3 AND count(*) FILTER (WHERE state = 1) = 0 FROM aftercommit.outbox",
        },
        CrashPoint {
            name: "R3: claimed, not published",
            catch: Catch::Before(PUBLISH),
            shown: CLAIMED,
        },
        CrashPoint {
            name: "R4: published, not confirmed",
            catch: Catch::After(PUBLISH),
            shown: CLAIMED,
        },
        CrashPoint {
            name: "R5: confirmed, not marked",
            catch: Catch::Before(MARK),
            shown: CLAIMED,
        },
        CrashPoint {
            name: "R6: marked, and the answer lost",
            catch: Catch::After(MARK),
            shown: GONE,
        },
    ];
    relays_die_at(&points, Loops::StepwiseRelay, MARK).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_dies_on_the_shorter_way_leaves_the_rest_to_the_next_one() {
    let points = [
        CrashPoint {
            name: "R3: claimed, not transferred",
            catch: Catch::Before(TRANSFER),
            shown: CLAIMED,
        },
        CrashPoint {
            name: "R6: transferred, and the answer lost",
            catch: Catch::After(TRANSFER),
            shown: GONE,
        },
    ];
    relays_die_at(&points, Loops::Relay, TRANSFER).await;
}

/// One relay after the other dies at each point; then one loses the answer to `last` and lives.
async fn relays_die_at(points: &[CrashPoint], loops: Loops, last: Words) {
    let mut stage = Stage::set().await.add("worker", Loops::Handlers);
    stage.fleet.ready().await;
    stage = stage.behind_the_proxy(true).add("relay", loops).behind_the_proxy(false);
    stage.fleet.ready().await;
    for point in points {
        for _ in 0..crashes() {
            stage.crash("relay", point).await;
        }
        println!("{} × {}", crashes(), point.name);
    }
    // Its answer lost, but the relay alive: what was done stays so.
    for _ in 0..crashes() {
        let loss = stage.proxy.lose_reply(last, 1);
        stage.produce(EVENTS);
        loss.happened().await;
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_dies_at_any_step_is_followed_by_one_that_does_what_is_missing_and_nothing_twice() {
    // The effect of a task that is not settled.
    let effect = "SELECT (SELECT count(*) FROM effects)
        > (SELECT count(*) FROM aftercommit.task_outcomes WHERE topic = 'steps')";
    let points = [
        CrashPoint {
            name: "S0: taken, the handler's transaction not begun",
            catch: Catch::Before("INSERT INTO deliveries"),
            shown: "SELECT EXISTS (SELECT FROM aftercommit.tasks WHERE topic = 'steps' AND state = 1)",
        },
        CrashPoint {
            name: "S1: inside the handler's transaction",
            catch: Catch::After("INSERT INTO effects"),
            shown: "SELECT EXISTS (SELECT FROM pg_stat_activity
                WHERE datname = current_database() AND state = 'idle in transaction')",
        },
        CrashPoint {
            name: "S2: the handler's commit done, and the answer lost",
            catch: Catch::After("COMMIT"),
            shown: effect,
        },
        CrashPoint {
            name: "S3: committed, not settled",
            catch: Catch::Before(SETTLE),
            shown: effect,
        },
        CrashPoint {
            name: "S4: settled, and the answer lost",
            catch: Catch::After(SETTLE),
            shown: "SELECT EXISTS (SELECT FROM aftercommit.task_outcomes WHERE topic = 'steps')",
        },
    ];
    let mut stage = Stage::set()
        .await
        .add("relay", Loops::Relay)
        .add("dispatcher", Loops::Dispatcher);
    stage.fleet.ready().await;
    stage = stage
        .behind_the_proxy(true)
        .add("worker", Loops::Topics)
        .behind_the_proxy(false);
    stage.fleet.ready().await;
    for point in &points {
        for _ in 0..crashes() {
            stage.crash("worker", point).await;
        }
        println!("{} × {}", crashes(), point.name);
    }
    // The answer lost, but the worker alive.
    for words in ["COMMIT", SETTLE] {
        for _ in 0..crashes() {
            let loss = stage.proxy.lose_reply(words, 1);
            stage.produce(EVENTS);
            loss.happened().await;
        }
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_dies_before_its_commit_wrote_nothing_and_one_that_dies_after_it_wrote_once() {
    let mut stage = Stage::set().await.add("all", Loops::All);
    stage.fleet.ready().await;
    stage = stage.behind_the_proxy(true);
    // R0 and R1: each time the first commit of a producer. The next process of its name begins anew.
    for catch in [Catch::Before("COMMIT"), Catch::After("COMMIT")] {
        for _ in 0..crashes() {
            let hold = stage.hold(&catch);
            let producer = stage.produce(2);
            hold.arrived().await;
            stage.fleet.kill9(&producer, Duration::ZERO);
            hold.cut();
            stage.drained().await;
        }
    }
    let crashed = usize::try_from(crashes()).unwrap();
    let verdict = stage.drained().await;
    // Of what was tried without an answer, the commits that reached the server have happened, and no others.
    assert_eq!(verdict.attempted, verdict.ok + 2 * crashed, "{verdict}");
    assert_eq!(verdict.effects, verdict.ok + crashed, "{verdict}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_whose_commits_answer_is_lost_tries_again_under_the_same_id_and_writes_once() {
    let mut stage = Stage::set().await.add("all", Loops::All);
    stage.fleet.ready().await;
    stage = stage.behind_the_proxy(true);
    let lost = usize::try_from(crashes()).unwrap();
    // On the kit's transaction, and on one of the application's own.
    for _ in 0..2 {
        let replies = stage.proxy.lose_reply("COMMIT", lost);
        stage.produce(EVENTS + 2 * crashes());
        replies.happened().await;
        let requests = stage.proxy.lose_request("COMMIT", lost);
        stage.drained().await;
        drop(requests);
    }
    let verdict = stage.end().await;
    assert!(verdict.unknown >= 2 * lost, "{verdict}");
    assert_eq!(verdict.effects, verdict.attempted, "{verdict}");
}
