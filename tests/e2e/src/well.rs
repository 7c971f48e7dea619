//! What a healthy process does.

use crate::{Account, PATIENCE, Product, eventually};

/// Work still goes through, every loop runs, and nothing was thrown.
///
/// # Panics
/// It is not so.
pub async fn assert_well(product: &Product, account: &Account) {
    let api = product.api();
    let loops = api.get("/health").await.expect(200)["loops"].clone();
    let loops = loops.as_array().unwrap();
    assert!(
        loops
            .iter()
            .all(|one| one["status"] == "running" && one["failures"] == 0),
        "{loops:?}"
    );
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
