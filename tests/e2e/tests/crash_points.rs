//! A process that dies at any point of the code loses nothing, does nothing twice and leaves nothing stuck; and one that is
//! told to stop there does as little.
//!
//! One process of the product under `aftercommit demo` on each provider: it dies at one point, the next process dies at the
//! next one, and so on; then the same with SIGTERM. `AFTERCOMMIT_E2E_CRASHES` is how often each point is the last; once by
//! default, and then some points are left out, but for deaths on SQLite.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::Instant;

use aftercommit::failpoints::all;
use aftercommit_e2e::demonstration::{Demonstration, Provider, Servers, assert_good, in_short};
use aftercommit_e2e::ledger::number;
use aftercommit_e2e::{Account, PATIENCE, Product, Program, RefusingPort, Setup, SilentPort, Stopped, eventually};
use serde_json::Value;

const VARIABLE: &str = "AFTERCOMMIT_FAILPOINTS";
/// Requests per second.
const RATE: u32 = 60;
/// `SIGABRT` on every Unix.
const ABORTED: i32 = 6;
/// A point is passed for at most this many times before something happens there.
const PASSINGS: u64 = 5;

/// What makes a process pass a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// The start.
    Starting,
    /// What the demonstration asks for.
    Working,
    /// A stop.
    Stopping,
    /// A mail server that refuses, and an attempt that is tried again.
    Retrying,
    /// The same, and no attempt is left.
    GivingUp,
    /// A stop while a handler runs that does not end.
    CutShort,
    /// Nothing of these tests.
    Never(&'static str),
}

const NO_BROKER: Reached = Reached::Never("only a broker's messages are acked");
const IN_MEMORY: Reached = Reached::Never("no such failure here; crates/runtime/tests/failpoints.rs has it");

/// Where a point is passed. One that is missing here is passed by every process that works.
fn reached(name: &str, provider: Provider) -> Reached {
    let on_broker = provider == Provider::RabbitMq;
    match name {
        "relay::after_transfer" if provider != Provider::Postgres => {
            Reached::Never("the batch is published, and then marked")
        }
        "relay::after_publish" | "relay::before_mark" | "relay::after_mark" if provider == Provider::Postgres => {
            Reached::Never("the batch goes by the shorter way, in one transaction")
        }
        "relay::after_release" | "dispatcher::after_dead_letter" | "bulk::after_step" => IN_MEMORY,
        "retry::after_hold" => Reached::Never("no topic of the product keeps an order at the broker and fails"),
        "drain::after_write" => Reached::Never("the broker gives up after 50 deliveries only"),
        "retry::after_republish" if on_broker => Reached::Retrying,
        "dead_letter::after_write" if on_broker => Reached::GivingUp,
        "retry::after_republish" | "dead_letter::after_write" | "hold::after_write" if !on_broker => NO_BROKER,
        "unit_of_work::after_messages" if provider == Provider::Sqlite => {
            Reached::Never("messages are written one by one there")
        }
        "queue::before_settle" | "queue::after_settle" if provider == Provider::Sqlite => {
            Reached::Never("settled in groups there")
        }
        _ if name.starts_with("amqp::") && !on_broker => NO_BROKER,
        _ if name.starts_with("storage::") => {
            Reached::Never("exports run on Temporal; apps/workflows/tests/workflow_faults.rs has it")
        }
        _ if name.starts_with("group::") && provider != Provider::Sqlite => {
            Reached::Never("only the one writer of SQLite writes in groups")
        }
        "retry::before_settle" | "retry::after_settle" => Reached::Retrying,
        "dead_letter::before_settle" | "dead_letter::after_settle" => Reached::GivingUp,
        "shutdown::after_cancel" | "shutdown::after_abort" => Reached::CutShort,
        _ if name.starts_with("give_back::") => Reached::CutShort,
        _ if name.starts_with("shutdown::") => Reached::Stopping,
        _ if name.starts_with("rescuer::") => Reached::Starting,
        _ => Reached::Working,
    }
}

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Abort,
    Terminate,
}

impl End {
    const fn word(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Terminate => "terminate",
        }
    }

    /// Asserts that the process ended by it, at the point.
    fn assert(self, name: &str, stopped: Stopped, log: &str) {
        let told = format!("failpoint {name}: {self:?}");
        assert!(log.contains(&told), "{name} was never reached: {stopped:?}");
        match self {
            Self::Abort => assert_eq!(stopped.signal, Some(ABORTED), "{name}"),
            // A second signal ends it at once.
            Self::Terminate if name.starts_with("shutdown::") => {
                assert!(matches!(stopped.code, Some(0 | 1)), "{name}: {stopped:?}");
            }
            Self::Terminate => assert_eq!(stopped.code, Some(0), "{name}"),
        }
    }
}

fn crashes() -> u64 {
    number("AFTERCOMMIT_E2E_CRASHES", 1)
}

/// A short run dies at every point on SQLite; else it leaves some out, because each process takes seconds.
fn step(provider: Provider, end: End) -> usize {
    match (provider, end) {
        _ if crashes() > 1 => 1,
        (Provider::Sqlite, End::Abort) => 1,
        (Provider::Sqlite, End::Terminate) => 2,
        (Provider::Postgres | Provider::RabbitMq, End::Abort) => 4,
        (Provider::Postgres | Provider::RabbitMq, End::Terminate) => 12,
    }
}

/// Each point is the last of a process that works, and then the one where a process is told to stop.
async fn processes_end_at_every_point(provider: Provider) {
    let (mut demonstration, setup) = Demonstration::begin_alone(provider, RATE, 20_261_128).await;
    demonstration.goes_on(50).await;
    demonstration.members[0].kill9();
    for end in [End::Abort, End::Terminate] {
        let (began, mut ends) = (Instant::now(), 0_u64);
        for round in 0..crashes() {
            for point in all().into_iter().step_by(step(provider, end)) {
                let nth = 1 + (round + ends) % PASSINGS;
                let (name, word) = (point.name, end.word());
                let armed = match reached(name, provider) {
                    Reached::Starting => format!("{name}={word}"),
                    Reached::Working => format!("{name}={word}@{nth}"),
                    Reached::Stopping => format!("worker::after_handler=terminate@{nth};{name}={word}"),
                    Reached::Retrying | Reached::GivingUp | Reached::CutShort | Reached::Never(_) => continue,
                };
                let victim = &mut demonstration.members[0];
                victim.set_up(setup.clone().set(VARIABLE, &armed));
                println!("{provider:?} {:.1?}: {armed}", began.elapsed());
                victim.spawn();
                let stopped = victim.ended().await;
                end.assert(name, stopped, &victim.last_log());
                ends += 1;
            }
        }
        println!(
            "{provider:?}: {ends} processes ended by {} in {:.0?}",
            end.word(),
            began.elapsed()
        );
    }
    demonstration.members[0].set_up(setup);
    demonstration.members[0].start_again().await;
    demonstration.goes_on(50).await;
    let draining = Instant::now();
    let found = demonstration.conclude().await;
    println!(
        "{provider:?}: all over {:.0?} after the last request: {}",
        draining.elapsed(),
        in_short(&found)
    );
    assert_good(&found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_a_process_that_dies_or_is_told_to_stop_at_any_point_loses_doubles_and_sticks_nothing() {
    processes_end_at_every_point(Provider::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql_a_process_that_dies_or_is_told_to_stop_at_any_point_loses_doubles_and_sticks_nothing() {
    processes_end_at_every_point(Provider::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_rabbitmq_a_process_that_dies_or_is_told_to_stop_at_any_point_loses_doubles_and_sticks_nothing() {
    processes_end_at_every_point(Provider::RabbitMq).await;
}

/// A process whose mail server is of no use.
struct Mailing {
    product: Product,
    setup: Setup,
    account: Account,
    refusing: RefusingPort,
    silent: SilentPort,
    /// Who was invited, and whether that was answered.
    invited: Vec<(String, bool)>,
    _servers: Servers,
}

impl Mailing {
    async fn start(provider: Provider) -> Self {
        let (servers, setup) = Servers::start(provider).await;
        let setup = setup.impatient();
        let product = Product::start_program(Program::WithFailpoints, setup.clone()).await;
        let account = Account::sign_up(&product.api(), "Acme").await;
        Self {
            product,
            setup,
            account,
            refusing: RefusingPort::open(),
            silent: SilentPort::open().await,
            invited: Vec::new(),
            _servers: servers,
        }
    }

    /// One process that ends at a point, which what the mail server does leads to.
    async fn end_at(&mut self, name: &str, reached: Reached, end: End) {
        let smtp = |address| format!("smtp://{address}");
        let armed = self.setup.clone().set(VARIABLE, &format!("{name}={}", end.word()));
        let refused = armed.clone().set("SMTP_URL", &smtp(self.refusing.address()));
        self.product.set_up(match reached {
            Reached::GivingUp => refused.set("AFTERCOMMIT_TOPICS__INVITATION_EMAIL__MAX_ATTEMPTS", "1"),
            Reached::CutShort => armed
                .set("SMTP_URL", &smtp(self.silent.address()))
                .set("AFTERCOMMIT_SHUTDOWN__GRACE", "1s")
                .set("AFTERCOMMIT_SHUTDOWN__CANCEL", "1s"),
            _ => refused,
        });
        let accepted = self.silent.accepted();
        self.product.spawn();
        // What earlier processes left may bring it there before anybody asks for more.
        if self.product.ready_or_ended().await {
            let address = format!("p{}@mailed.example", self.invited.len());
            let asked = self.account.at(&self.product.api()).try_invite(&address).await;
            self.invited
                .push((address, asked.is_ok_and(|answer| answer.status == 202)));
            if reached == Reached::CutShort {
                // Not what is said to run: a process that died may have left it behind.
                eventually("an e-mail is being sent", PATIENCE, async || {
                    (self.silent.accepted() > accepted).then_some(())
                })
                .await;
                self.product.signal_to_stop();
            }
        }
        let stopped = self.product.ended().await;
        println!("{name}: {stopped:?}");
        end.assert_passed(name, stopped, &self.product.last_log());
    }

    /// Everybody who was invited has their e-mail, once, or is the dead letter of a process that had no attempt left.
    async fn assert_all_mailed(&mut self) {
        self.product.set_up(self.setup.clone());
        self.product.start_again().await;
        eventually("every e-mail is sent or given up", PATIENCE * 3, async || {
            let status = self.product.admin().get("/admin/v1/outbox").await.expect(200);
            let topics = status["topics"].as_array()?;
            // What is scheduled on `invitations` are expiries in a week.
            let is_idle = |topic: &&Value| {
                topic["available"] == 0
                    && topic["running"] == 0
                    && (topic["scheduled"] == 0 || topic["topic"] == "invitations")
            };
            let is_over = topics.iter().filter(is_idle).count() == topics.len();
            (status["waiting"] == 0 && status["claimed"] == 0 && is_over).then_some(())
        })
        .await;
        let letters = self
            .product
            .admin()
            .get("/admin/v1/dead-letters?limit=1000")
            .await
            .expect(200);
        let letters: Vec<Value> = letters["dead_letters"].as_array().unwrap().clone();
        let mails = self.product.mail_files();
        let to = |address: &str| mails.iter().filter(|mail| mail.contains(address)).count();
        let answered = self.invited.iter().filter(|(_, answered)| *answered);
        let unsent = answered.filter(|(address, _)| to(address) == 0).count();
        assert!(unsent <= letters.len(), "{unsent} without an e-mail, {letters:?}");
        for (address, _) in &self.invited {
            assert!(to(address) <= 1, "{address} twice");
        }
        let ids: BTreeSet<&str> = letters.iter().filter_map(|letter| letter["id"].as_str()).collect();
        assert_eq!(ids.len(), letters.len(), "{letters:?}");
        println!(
            "{} invited, {} mailed, {} given up",
            self.invited.len(),
            mails.len(),
            letters.len()
        );
    }
}

impl End {
    /// As [`assert`](Self::assert) for a process that may have been told to stop already.
    fn assert_passed(self, name: &str, stopped: Stopped, log: &str) {
        let told = format!("failpoint {name}: {self:?}");
        assert!(log.contains(&told), "{name} was never reached: {stopped:?}");
        match self {
            Self::Abort => assert_eq!(stopped.signal, Some(ABORTED), "{name}"),
            Self::Terminate => assert!(matches!(stopped.code, Some(0 | 1)), "{name}: {stopped:?}"),
        }
    }
}

async fn failing_tasks_end_their_process(provider: Provider) {
    let began = Instant::now();
    let mut mailing = Mailing::start(provider).await;
    mailing.product.kill9();
    for _ in 0..crashes() {
        for end in [End::Abort, End::Terminate] {
            for point in all() {
                let reached = reached(point.name, provider);
                if matches!(reached, Reached::Retrying | Reached::GivingUp | Reached::CutShort) {
                    mailing.end_at(point.name, reached, end).await;
                }
            }
        }
    }
    mailing.assert_all_mailed().await;
    println!("{provider:?}: {:.0?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_a_process_that_ends_while_a_task_fails_or_is_cut_short_leaves_it_to_the_next() {
    failing_tasks_end_their_process(Provider::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql_a_process_that_ends_while_a_task_fails_or_is_cut_short_leaves_it_to_the_next() {
    failing_tasks_end_their_process(Provider::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_rabbitmq_a_process_that_ends_while_a_task_fails_or_is_cut_short_leaves_it_to_the_next() {
    failing_tasks_end_their_process(Provider::RabbitMq).await;
}

#[test]
fn at_least_twenty_points_are_passed_on_each_provider() {
    for provider in [Provider::Sqlite, Provider::Postgres, Provider::RabbitMq] {
        let (mut passed, mut never) = (0, Vec::new());
        for point in all() {
            match reached(point.name, provider) {
                Reached::Never(why) => never.push((point.name, why)),
                _ => passed += 1,
            }
        }
        println!("{provider:?}: {passed} points, and never {never:?}");
        assert!(passed >= 20, "{provider:?}: {passed}");
    }
}
