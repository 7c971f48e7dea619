//! A mail server that does not answer delays the mail and nothing else.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aftercommit_e2e::{Account, PATIENCE, Product, RefusingPort, Setup, SilentPort, eventually, p50};
use aftercommit_testkit::smtp_server::RecordingSmtpServer;
use serde_json::Value;

const INVITATIONS: usize = 20;

/// Invites twenty people, and answers how long each answer took.
async fn invite_all(account: &Account) -> Vec<Duration> {
    let mut took = Vec::new();
    for number in 0..INVITATIONS {
        let asked = Instant::now();
        account.invite(&format!("person-{number}@away.example")).await;
        took.push(asked.elapsed());
    }
    took
}

/// Waits until every invitation has arrived once at this server.
async fn all_arrive_at(server: &RecordingSmtpServer) {
    let mut to: Vec<String> = server
        .wait_for(INVITATIONS)
        .await
        .into_iter()
        .flat_map(|email| email.to)
        .collect();
    to.sort();
    to.dedup();
    assert_eq!(to.len(), INVITATIONS, "{to:?}");
}

fn print_and_check(case: &str, took: Vec<Duration>) {
    let slowest = took.iter().max().copied().unwrap_or_default();
    let middle = p50(took);
    println!("{case}: {INVITATIONS} invitations answered 202, p50 {middle:.1?}, slowest {slowest:.1?}");
    // The figure is printed; only waiting for a mail server would take this long, on any machine.
    assert!(middle < Duration::from_secs(1), "{middle:?}");
}

/// Waits until a task has failed at least once and waits for its next attempt.
async fn retryable_task(product: &Product) -> Value {
    eventually("a failed attempt", PATIENCE, async || {
        let answer = product
            .cli_json(&["tasks", "list", "--topic", "invitation-email", "--state", "retryable"])
            .await;
        answer["tasks"].as_array()?.first().cloned()
    })
    .await
}

async fn start(smtp: SocketAddr) -> (Product, Account) {
    let product = Product::start(Setup::smtp(smtp).impatient()).await;
    let account = Account::sign_up(&product.api(), "Acme").await;
    (product, account)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_never_waits_for_smtp_that_refuses() {
    let port = RefusingPort::open();
    let (product, account) = start(port.address()).await;
    print_and_check("connections refused", invite_all(&account).await);
    let task = retryable_task(&product).await;
    assert!(task["attempts"].as_u64() >= Some(1), "{task}");
    assert_eq!(
        product.api().get("/ready").await.status,
        200,
        "a mail server that is away is no reason to get no work"
    );

    let server = RecordingSmtpServer::start_on(port.address()).await.unwrap();
    all_arrive_at(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_never_waits_for_smtp_that_is_silent() {
    let port = SilentPort::open().await;
    let address = port.address();
    let (_product, account) = start(address).await;
    print_and_check("connections accepted and never answered", invite_all(&account).await);

    drop(port);
    let server = eventually("the port is free", PATIENCE, async || {
        RecordingSmtpServer::start_on(address).await.ok()
    })
    .await;
    all_arrive_at(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_invitation_ends_skipped_with_its_reason() {
    const REASON: &str = "the invitation was revoked";
    let port = RefusingPort::open();
    let (product, account) = start(port.address()).await;
    let invitation_id = account.invite("nobody@mailed.example").await;
    let id = retryable_task(&product).await["id"].as_str().unwrap().to_owned();
    account
        .api
        .delete(&format!("/v1/invitations/{invitation_id}"))
        .await
        .expect(200);

    let server = RecordingSmtpServer::start_on(port.address()).await.unwrap();
    let task = eventually("the task has ended", PATIENCE, async || {
        Some(product.cli_json(&["tasks", "show", &id]).await).filter(|task| task["finished_at"].is_string())
    })
    .await;
    assert_eq!(
        (task["state"].as_str(), task["reason"].as_str()),
        (Some("skipped"), Some(REASON))
    );
    assert_eq!(
        product.admin().get(&format!("/admin/v1/tasks/{id}")).await.expect(200),
        task
    );
    let shown = product.cli(&["tasks", "show", &id]).await;
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("skipped") && shown.contains(REASON), "{shown}");
    let listed = product.cli_json(&["tasks", "list", "--state", "skipped"]).await;
    assert_eq!(listed["tasks"][0]["id"], *id);

    // One that is wanted comes through, so the server would have got the other one too.
    account.invite("somebody@mailed.example").await;
    let to: Vec<_> = server.wait_for(1).await.into_iter().map(|email| email.to).collect();
    assert_eq!(to, [["somebody@mailed.example"]]);
    println!("{shown}");
}
