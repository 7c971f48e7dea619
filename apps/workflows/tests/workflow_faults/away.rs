//! A Temporal that is away for long, under a load of other topics.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aftercommit_domain::reference::RequestContext;
use aftercommit_domain::reference::invitations::use_cases::{CreateInvitation, create_invitation};
use aftercommit_testkit::temporal_server::{TemporalOptions, TemporalServer};
use tokio::task::JoinSet;

use crate::program::{eventually, number};
use crate::site::{QUEUE, Site};

/// Invitations per second.
const RATE: u32 = 10;
/// How long the usual rate is looked at.
const BEFORE: Duration = Duration::from_secs(8);
/// How long the workers have to come as far as the load.
const WARM: Duration = Duration::from_secs(2);

/// What became of the invitations of some seconds.
#[derive(Debug, sqlx::FromRow)]
struct Pace {
    asked_for: i64,
    /// In the same time, whenever they were asked for.
    sent: i64,
    /// Of those asked for then.
    median_ms: f64,
    slowest_ms: f64,
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            asked_for,
            sent,
            median_ms,
            slowest_ms,
        } = self;
        write!(
            f,
            "{asked_for} e-mails asked for, {sent} sent, after {median_ms:.0} ms in the median and {slowest_ms:.0} ms at most"
        )
    }
}

/// The database's time.
async fn now(site: &Site) -> f64 {
    let query = "SELECT extract(epoch FROM clock_timestamp())::float8";
    sqlx::query_scalar(query).fetch_one(site.pool()).await.unwrap()
}

async fn pace(site: &Site, from: f64, to: f64) -> Pace {
    let query = "WITH these AS (SELECT *, extract(epoch FROM emailed_at - created_at)::float8 * 1000 AS took, \
                 created_at >= to_timestamp($1) AND created_at < to_timestamp($2) AS asked, \
                 emailed_at >= to_timestamp($1) AND emailed_at < to_timestamp($2) AS sent FROM reference.invitations) \
                 SELECT count(*) FILTER (WHERE asked) AS asked_for, count(*) FILTER (WHERE sent) AS sent, \
                 coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY took) FILTER (WHERE asked), 0) AS median_ms, \
                 coalesce(max(took) FILTER (WHERE asked), 0) AS slowest_ms FROM these";
    let paced = sqlx::query_as(query).bind(from).bind(to);
    paced.fetch_one(site.pool()).await.unwrap()
}

/// Invites people until it is told to stop.
async fn invite(site: Arc<Site>, is_over: Arc<AtomicBool>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    let mut number = 0;
    while !is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        let invitation = CreateInvitation {
            email: format!("p{number}@invited.test"),
            role: "member".into(),
            project_id: None,
        };
        let request = RequestContext::default();
        create_invitation(&site.ports, &site.caller, &request, invitation)
            .await
            .unwrap();
        number += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_temporal_is_away_other_topics_go_on_and_starts_wait_and_afterwards_each_workflow_runs_once() {
    let temporal = TemporalServer::start(TemporalOptions::default().durable()).await;
    let mut site = Site::start(temporal).await;
    let _workers = site.workers(site.temporal.address());
    let _workflows = site.workflows(QUEUE, None);
    site.learn_content().await;
    let site = Arc::new(site);
    let is_over = Arc::new(AtomicBool::new(false));
    let mut load = JoinSet::new();
    load.spawn(invite(Arc::clone(&site), Arc::clone(&is_over)));
    tokio::time::sleep(WARM).await;
    let began = now(&site).await;
    tokio::time::sleep(BEFORE).await;

    site.temporal.kill().await;
    let killed = now(&site).await;
    let away = Duration::from_secs(number("AFTERCOMMIT_E2E_WORKFLOW_AWAY", 20));
    let (since, mut exports) = (Instant::now(), Vec::new());
    while since.elapsed() < away {
        exports.push(site.request().await);
        // As many whatever the time is.
        tokio::time::sleep(away / 20).await;
    }
    let back = now(&site).await;
    assert_eq!(
        site.starts().await.0,
        1,
        "nothing is started by a Temporal that is away"
    );
    site.temporal.start_again().await;
    let returned = Instant::now();
    for id in &exports {
        site.ends(*id).await;
        site.is_whole(*id).await;
    }
    let took = returned.elapsed();
    is_over.store(true, Ordering::Relaxed);
    load.join_next().await.unwrap().unwrap();
    eventually("every e-mail is sent", async || {
        let query = "SELECT count(*) FROM reference.invitations WHERE emailed_at IS NULL";
        let left: i64 = sqlx::query_scalar(query).fetch_one(site.pool()).await.unwrap();
        (left == 0).then_some(())
    })
    .await;

    let (before, meanwhile) = (pace(&site, began, killed).await, pace(&site, killed, back).await);
    println!("before, {:.0} s: {before}", killed - began);
    println!("Temporal away, {:.0} s: {meanwhile}", back - killed);
    assert!(meanwhile.sent * 10 >= meanwhile.asked_for * 9, "{before}; {meanwhile}");
    let all = i64::try_from(exports.len()).unwrap() + 1;
    let starts = eventually("every request is carried out", async || {
        Some(site.starts().await).filter(|(count, _)| *count == all)
    })
    .await;
    assert_eq!(starts, (all, 1), "an engine that is away costs no attempt");
    site.nothing_is_left_over().await;
    println!(
        "{} exports asked for meanwhile: whole {took:.1?} after it was back, no attempt counted",
        exports.len()
    );
}
