//! What a process costs that has nothing to do.

use std::time::Duration;

use aftercommit_e2e::{Account, Figures, Product, Setup};

const OBSERVED: Duration = Duration::from_secs(5);

#[tokio::test]
async fn idle_costs_next_to_nothing() {
    let product = Product::start(Setup::default().set("AFTERCOMMIT_LOG__FILTER", "info")).await;
    Account::sign_up(&product.api(), "Acme").await;
    let Some(before) = Figures::of(product.pid()) else {
        println!("not measured: this system has no /proc");
        return;
    };
    tokio::time::sleep(OBSERVED).await;
    let after = Figures::of(product.pid()).unwrap();
    let busy = after.cpu.saturating_sub(before.cpu).as_secs_f64() / OBSERVED.as_secs_f64() * 100.0;
    println!(
        "idle for {OBSERVED:?}: {busy:.1} % of one CPU, {} wake-ups, {:.1} MiB resident (this build: {})",
        after.switches.saturating_sub(before.switches),
        after.rss_mib,
        if cfg!(debug_assertions) { "debug" } else { "release" },
    );
    assert!(after.rss_mib < 200.0, "{after:?}");
}
