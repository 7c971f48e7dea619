//! A process that is killed at any moment has lost nothing that it answered for.
//!
//! `AFTERCOMMIT_E2E_KILLS` is the number of kills, 10 unless it is set; `AFTERCOMMIT_E2E_SEED` repeats their moments.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aftercommit_e2e::{Account, Database, Product, Setup, Token, eventually};
use aftercommit_testkit::smtp_server::{ReceivedEmail, RecordingSmtpServer};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;

const CONNECTIONS: usize = 8;
/// How long after it was ready a process is killed, in milliseconds.
const MOMENTS: std::ops::RangeInclusive<u64> = 50..=800;
/// How long the last process may take for what all others left behind.
const DRAIN: Duration = Duration::from_mins(5);

/// What the clients know of each invitation, by the address that only it has.
#[derive(Debug, Default)]
struct Ledger {
    next: AtomicUsize,
    /// Answered 202, with the id it got.
    answered: Mutex<BTreeMap<String, String>>,
    /// Asked for, and then the connection broke.
    unanswered: Mutex<BTreeSet<String>>,
}

impl Ledger {
    /// Invites one person after the other until the process is gone.
    async fn invite_until_killed(&self, account: &Account, killed: &AtomicBool) {
        loop {
            let email = format!("person-{}@kills.example", self.next.fetch_add(1, Ordering::Relaxed));
            match account.try_invite(&email).await {
                Ok(answer) => {
                    let id = answer.expect(202)["invitation_id"].as_str().unwrap().to_owned();
                    self.answered.lock().unwrap().insert(email, id);
                }
                Err(error) => {
                    // Before that, a process that is well has broken a connection.
                    assert!(killed.load(Ordering::SeqCst), "{error}");
                    self.unanswered.lock().unwrap().insert(email);
                    return;
                }
            }
        }
    }
}

fn number(variable: &str, default: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the test chooses how long it is")]
    let given = std::env::var(variable);
    given.map_or(default, |text| text.parse().unwrap())
}

async fn drained(product: &Product) {
    eventually("everything has been done", DRAIN, async || {
        let status = product.admin().get("/admin/v1/outbox").await.expect(200);
        let topics = status["topics"].as_array()?;
        // What is scheduled on `invitations` are expiries in a week; elsewhere it is a retry.
        let idle = topics.iter().all(|topic| {
            topic["available"] == 0
                && topic["running"] == 0
                && (topic["scheduled"] == 0 || topic["topic"] == "invitations")
        });
        (status["waiting"] == 0 && status["claimed"] == 0 && idle).then_some(())
    })
    .await;
}

/// The invitation that an e-mail is about, as 32 hex digits.
fn invitation_of(email: &ReceivedEmail) -> String {
    let tokens = Token::all_in(&email.text().unwrap());
    tokens.first().unwrap().invitation_id()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_every_answered_invitation_is_sent() {
    let kills = number("AFTERCOMMIT_E2E_KILLS", 10);
    let seed = number("AFTERCOMMIT_E2E_SEED", 20_261_123);
    println!("{kills} kills, AFTERCOMMIT_E2E_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let server = RecordingSmtpServer::start().await.unwrap();
    // Only warnings, so that writing the log is not what it spends its time with.
    let setup = Setup::smtp(server.address()).set("AFTERCOMMIT_LOG__FILTER", "warn");
    let mut product = Product::start(setup).await;
    let account = Account::sign_up(&product.api(), "Acme").await;
    let ledger = Arc::new(Ledger::default());

    for kill in 1..=kills {
        let killed = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let (ledger, killed) = (Arc::clone(&ledger), Arc::clone(&killed));
            let account = account.at(&product.api());
            clients.spawn(async move { ledger.invite_until_killed(&account, &killed).await });
        }
        let moment = Duration::from_millis(random.random_range(MOMENTS));
        tokio::time::sleep(moment).await;
        killed.store(true, Ordering::SeqCst);
        product.kill9();
        while let Some(client) = clients.join_next().await {
            client.unwrap();
        }
        let starting = Instant::now();
        product.start_again().await;
        println!(
            "kill {kill:2} after {moment:3.0?}: {} answered so far, ready again after {:.0?}",
            ledger.answered.lock().unwrap().len(),
            starting.elapsed()
        );
    }

    let draining = Instant::now();
    drained(&product).await;
    let drained_in = draining.elapsed();
    let dead = product.cli_json(&["dead-letters", "list"]).await;
    assert_eq!(product.terminate().await.code, Some(0));

    let received = server.received();
    let mut sent: BTreeMap<String, usize> = BTreeMap::new();
    let mut message_ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for email in &received {
        let [to] = &email.to[..] else { panic!("{:?}", email.to) };
        *sent.entry(to.clone()).or_default() += 1;
        message_ids
            .entry(to.clone())
            .or_default()
            .insert(email.message_id.clone());
    }
    let answered = ledger.answered.lock().unwrap().clone();
    let unanswered = ledger.unanswered.lock().unwrap().clone();
    let missing: Vec<_> = answered
        .iter()
        .filter(|(email, _)| !sent.contains_key(*email))
        .collect();
    let more_than_once: usize = sent.values().filter(|times| **times > 1).count();
    let unanswered_but_sent = unanswered.iter().filter(|email| sent.contains_key(*email)).count();
    println!(
        "answered 202: {}, of these sent: {}, sent more than once: {more_than_once}, unanswered: {}, of these sent: \
         {unanswered_but_sent}; dead letters: {}; drained in {drained_in:.1?}",
        answered.len(),
        answered.len() - missing.len(),
        unanswered.len(),
        dead["dead_letters"].as_array().unwrap().len(),
    );
    assert!(
        missing.is_empty(),
        "answered and never sent: {missing:?}; dead letters: {dead}"
    );
    assert!(answered.len() as u64 > kills, "too few requests to prove anything");
    assert_eq!(dead["dead_letters"], serde_json::json!([]), "a kill is nobody's fault");
    let known = |to: &String| answered.contains_key(to) || unanswered.contains(to);
    assert!(sent.keys().all(known), "sent to somebody whom nobody invited");
    assert!(
        message_ids.values().all(|ids| ids.len() == 1),
        "a repeated e-mail can be recognised by its Message-ID"
    );

    // The file agrees: what is in it was sent, and what was sent is in it.
    let mut database = Database::open(&product.data()).await;
    assert_eq!(database.integrity().await, "ok");
    assert_eq!(database.number("SELECT count(*) FROM aftercommit_outbox").await, 0);
    assert_eq!(
        database
            .number("SELECT count(*) FROM reference_invitations WHERE emailed_at IS NULL")
            .await,
        0
    );
    let rows = database.texts("SELECT lower(hex(id)) FROM reference_invitations").await;
    let rows: BTreeSet<String> = rows.into_iter().collect();
    let mailed: BTreeSet<String> = received.iter().map(invitation_of).collect();
    assert_eq!(mailed, rows, "exactly the committed invitations were mailed");
    assert!(answered.values().all(|id| rows.contains(&id.replace('-', ""))));
}
