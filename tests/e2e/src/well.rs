//! What a healthy process does.

use crate::{Account, PATIENCE, Product, eventually};

/// Work still goes through, every loop runs, and nothing was thrown.
///
/// # Panics
/// It is not so.
pub async fn assert_well(product: &Product, account: &Account) {
    let api = product.api();
    eventually("every loop runs, none failed", PATIENCE, async || {
        let health = api.get("/health").await.expect(200);
        let loops = health["loops"].as_array().unwrap();
        assert!(loops.iter().all(|one| one["failures"] == 0), "{loops:?}");
        loops.iter().all(|one| one["status"] == "running").then_some(())
    })
    .await;
    assert_eq!(api.get("/ready").await.expect(200)["ready"], true);
    account.invite("still@well.example").await;
    eventually("the e-mail", PATIENCE, async || {
        product
            .mail_files()
            .iter()
            .any(|email| email.contains("still@well.example"))
            .then_some(())
    })
    .await;
    assert!(!product.log().contains("panicked"), "{}", product.log());
}
