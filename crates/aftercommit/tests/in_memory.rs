//! What `docs/guides/test-your-handlers.md` shows, with nothing but the kit and the testkit.

use std::sync::Arc;

use aftercommit::domain::effects::{Email, EmailAddress, EmailError, EmailSender};
use aftercommit::prelude::*;
use aftercommit_testkit::{RecordingEmailSender, SendStep, TestApplication};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "InvoicePaid", version = 1, aggregate = "invoice")]
struct InvoicePaid {
    organization_id: OrganizationId,
    project_id: ProjectId,
    #[aggregate_id]
    invoice_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
struct SendReceipt {
    organization_id: OrganizationId,
    project_id: ProjectId,
    invoice_id: i64,
}

struct Receipts {
    mailer: Arc<dyn EmailSender>,
}

#[async_trait]
impl TaskHandler<SendReceipt> for Receipts {
    async fn handle(&self, task: SendReceipt, ctx: &TaskContext) -> TaskResult {
        let receipt = Email {
            to: EmailAddress::new("ada@example.com").retryable()?,
            subject: format!("Receipt for invoice {}", task.invoice_id),
            text: "Thank you.".to_owned(),
            html: "<p>Thank you.</p>".to_owned(),
        };
        self.mailer.send(receipt, &ctx.idempotency_key()).await?;
        completed()
    }
}

fn routes() -> Routes {
    Routes::new().on(|paid: &InvoicePaid| {
        publish(SendReceipt {
            organization_id: paid.organization_id.clone(),
            project_id: paid.project_id.clone(),
            invoice_id: paid.invoice_id,
        })
    })
}

/// The application's own: used by its `main` with the real sender, and by its tests.
fn topics(mailer: Arc<dyn EmailSender>) -> Vec<Topic> {
    vec![Topic::named("receipts").handle::<SendReceipt>(Receipts { mailer })]
}

fn application(mailer: &Arc<RecordingEmailSender>) -> TestApplication {
    TestApplication::new()
        .events(catalogue![InvoicePaid])
        .routes(routes())
        .topics(|_kit| topics(mailer.clone()))
}

fn paid(invoice_id: i64) -> InvoicePaid {
    InvoicePaid {
        organization_id: 7.into(),
        project_id: 8.into(),
        invoice_id,
    }
}

#[tokio::test]
async fn a_paid_invoice_is_followed_by_its_receipt() {
    let mailer = Arc::new(RecordingEmailSender::new());
    let app = application(&mailer);
    app.write(paid(9)).await;
    app.run_until_idle().await;
    assert_eq!(app.assert_published::<SendReceipt>()[0].invoice_id, 9);
    assert_eq!(mailer.sent()[0].email.subject, "Receipt for invoice 9");
}

#[tokio::test]
async fn a_receipt_waits_for_a_mail_server_that_is_away() {
    let mailer = Arc::new(RecordingEmailSender::new());
    let away = EmailError::Unavailable {
        reason: "451 later".to_owned(),
    };
    mailer.script(vec![SendStep::Reject(away); 12]);
    let app = application(&mailer);
    app.write(paid(9)).await;
    app.run_due().await;
    assert_eq!(mailer.attempts(), 1);
    app.run_until_idle().await;
    assert_eq!((mailer.attempts(), mailer.sent().len()), (13, 1));
}

#[tokio::test]
async fn a_receipt_that_is_refused_becomes_a_dead_letter() {
    let mailer = Arc::new(RecordingEmailSender::new());
    let refused = EmailError::Refused {
        reason: "550 no such user".to_owned(),
    };
    mailer.script([SendStep::Reject(refused)]);
    let app = application(&mailer);
    app.write(paid(9)).await;
    app.run_until_idle().await;
    let letters = app.take_dead_letters();
    assert_eq!(letters[0].failure.code, "smtp.refused");
}

/// The guide's code is that of this file, so that it compiles and is true.
#[test]
fn the_guide_shows_what_is_tested_here() {
    let guide = include_str!("../../../docs/guides/test-your-handlers.md");
    let here = include_str!("in_memory.rs");
    let blocks: Vec<&str> = guide
        .split("```rust\n")
        .skip(1)
        .filter_map(|block| block.split("```").next())
        .collect();
    assert!(blocks.len() >= 3);
    for block in blocks {
        assert!(here.contains(block), "only in the guide:\n{block}");
    }
}
