//! Starts that arrive, and whose answers do not.

use aftercommit_testkit::proxy::{Direction, Flow, TcpProxy};
use aftercommit_testkit::temporal_server::{TemporalOptions, TemporalServer};

use crate::program::{eventually, number};
use crate::site::{QUEUE, Site};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_whose_answer_is_lost_makes_one_workflow() {
    let temporal = TemporalServer::start(TemporalOptions::default()).await;
    let mut site = Site::start(temporal).await;
    let proxy = TcpProxy::start(site.temporal.address()).await.unwrap();
    let _workers = site.workers(&proxy.address().to_string());
    let _workflows = site.workflows(QUEUE, None);
    site.learn_content().await;
    let rounds = number("AFTERCOMMIT_E2E_WORKFLOW_FAULTS", 1);
    for _ in 0..rounds {
        proxy.set_flow(Direction::ToClient, Flow::Blackhole);
        let id = site.request().await;
        let (engine, workflow) = (site.engine(QUEUE), site.workflow_of(id));
        eventually("the start arrives", async || {
            engine.querier().describe(&workflow).await.ok().flatten()
        })
        .await;
        proxy.set_flow(Direction::ToClient, Flow::Pass);
        proxy.cut();
        site.ends(id).await;
        site.is_whole(id).await;
    }
    let all = i64::try_from(rounds).unwrap() + 1;
    let starts = eventually("every request is carried out", async || {
        Some(site.starts().await).filter(|(count, _)| *count == all)
    })
    .await;
    assert_eq!(starts, (all, 1), "an answer that is lost costs no attempt");
    site.nothing_is_left_over().await;
    println!("{rounds} answers to a start lost: one workflow each, no attempt counted");
}
