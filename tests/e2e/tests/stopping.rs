//! How a process ends.

use std::time::Duration;

use aftercommit_e2e::{Account, PATIENCE, Product, Setup, SilentPort, eventually};
use aftercommit_testkit::smtp_server::{RecordingSmtpServer, SmtpAnswer, SmtpStage};
use serde_json::Value;

/// Starts a process with one e-mail on its way that never comes to an end by itself.
async fn hanging(setup: impl FnOnce(Setup) -> Setup) -> (SilentPort, Product, Account) {
    let port = SilentPort::open().await;
    let product = Product::start(setup(Setup::smtp(port.address()))).await;
    let account = Account::sign_up(&product.api(), "Acme").await;
    account.invite("late@stopping.example").await;
    eventually("the e-mail is being sent", PATIENCE, async || {
        let tasks = product
            .admin()
            .get("/admin/v1/tasks?topic=invitation-email&state=running")
            .await
            .expect(200);
        (tasks["tasks"].as_array()?.len() == 1).then_some(())
    })
    .await;
    (port, product, account)
}

/// Waits until `/ready` says that the process stops.
async fn not_ready(product: &Product) -> Value {
    eventually("/ready answers 503", PATIENCE, async || {
        let answer = product.api().get("/ready").await;
        (answer.status == 503).then(|| answer.json())
    })
    .await
}

fn run_file_is_gone(product: &Product) -> bool {
    !product.data().join("run.json").exists()
}

#[tokio::test]
async fn sigterm_ends_an_idle_process_clean() {
    let mut product = Product::start(Setup::default()).await;
    let account = Account::sign_up(&product.api(), "Acme").await;
    account.invite("early@stopping.example").await;
    eventually("the e-mail", PATIENCE, async || {
        (product.mail_files().len() == 1).then_some(())
    })
    .await;
    let stopped = product.terminate().await;
    println!("idle: status {:?} after {:.0?}", stopped.code, stopped.took);
    assert_eq!(stopped.code, Some(0));
    assert!(run_file_is_gone(&product));
    assert!(!product.log().contains("panicked"));
    // The next process finds everything as it was left.
    product.start_again().await;
    let tasks = product
        .cli_json(&["tasks", "list", "--topic", "invitation-email"])
        .await;
    assert_eq!(tasks["tasks"][0]["state"], "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_handler_may_finish_while_ready_is_off() {
    let server = RecordingSmtpServer::start().await.unwrap();
    server.script(SmtpStage::Message, [SmtpAnswer::AcceptAndHang]);
    let mut product = Product::start(Setup::smtp(server.address()).set("AFTERCOMMIT_SHUTDOWN__GRACE", "25s")).await;
    let account = Account::sign_up(&product.api(), "Acme").await;
    account.invite("late@stopping.example").await;
    assert!(server.wait_for_visits(SmtpStage::Message, 1).await);
    product.signal_to_stop();
    let ready = not_ready(&product).await;
    assert_eq!(
        ready["causes"],
        serde_json::json!(["stopping: no new work is taken; it ends by itself"])
    );
    let health = product.api().get("/health").await;
    assert_eq!(health.status, 200, "a process that stops is not dead");
    // The handler's own deadline ends what hangs; the attempt counts.
    let stopped = product.ended().await;
    println!(
        "with a handler that finished: status {:?} after {:.1?}",
        stopped.code, stopped.took
    );
    assert_eq!(stopped.code, Some(0));
    assert!(run_file_is_gone(&product));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_outlasts_the_grace_is_cancelled_and_its_attempt_not_counted() {
    let short = |setup: Setup| {
        setup
            .set("AFTERCOMMIT_SHUTDOWN__GRACE", "1s")
            .set("AFTERCOMMIT_SHUTDOWN__CANCEL", "1s")
    };
    let (port, mut product, _) = hanging(short).await;
    let stopped = product.terminate().await;
    println!(
        "with a handler that was cancelled: status {:?} after {:.1?}",
        stopped.code, stopped.took
    );
    assert_eq!(stopped.code, Some(0));
    assert!(stopped.took < Duration::from_secs(20), "{stopped:?}");
    assert!(run_file_is_gone(&product));

    let address = port.address();
    drop(port);
    let server = eventually("the port is free", PATIENCE, async || {
        RecordingSmtpServer::start_on(address).await.ok()
    })
    .await;
    product.start_again().await;
    assert_eq!(server.wait_for(1).await.len(), 1);
    let task = eventually("the task has ended", PATIENCE, async || {
        let tasks = product
            .cli_json(&["tasks", "list", "--topic", "invitation-email"])
            .await;
        Some(tasks["tasks"][0].clone()).filter(|task| task["state"] == "completed")
    })
    .await;
    assert_eq!(task["attempts"], 1, "the run that the stop cut short was none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once() {
    let (port, mut product, _) = hanging(|setup| setup).await;
    product.signal_to_stop();
    not_ready(&product).await;
    let stopped = product.terminate().await;
    println!("second signal: status {:?} after {:.0?}", stopped.code, stopped.took);
    assert_eq!(stopped.code, Some(1));
    assert!(stopped.took < Duration::from_secs(20), "{stopped:?}");
    assert!(run_file_is_gone(&product));

    // Nothing is lost by it.
    let address = port.address();
    drop(port);
    let server = eventually("the port is free", PATIENCE, async || {
        RecordingSmtpServer::start_on(address).await.ok()
    })
    .await;
    product.start_again().await;
    assert_eq!(server.wait_for(1).await.len(), 1);
}
